#include <chrono>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "frontends/sequential/callbacks/callback_parts.hpp"
#include "frontends/sequential/callbacks/event_file.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/io/input_file.hpp"

namespace lariat {

namespace {

constexpr const char* tensorboard_ending = ".tensorboard";

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

class TensorBoardRun final : public CallbackRun {
 public:
  explicit TensorBoardRun(const TensorBoard& options) : options_(options) {}

  void begin(FitView& view) override {
    const std::string folder = callback_parts::file_of(view, "folder", options_.folder, tensorboard_ending);
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error)
      throw UserError(fmt::format("{}cannot make the folder '{}': {}; check the path", view.place, folder,
                                  error.message()));
    file_ = folder + "/events.out.tfevents.0.lariat";
    AtomicFile file(file_);
    file.write(earlier(view));
    file.commit();
  }
  void after_step(FitView&, const StepReport& report) override {
    ++steps_;
    if (options_.every == 0 || steps_ % options_.every != 0) return;
    std::string text;
    const auto add = [&](const char* tag, double value) {
      text += scalar_event(wall_time(), steps_, tag, value);
    };
    add("step/loss", report.result.loss);
    add("step/penalty", report.result.penalty);
    append(text);
  }
  void after_epoch(FitView&, const EpochReport& report) override { append(events_of(report)); }
  std::string state() const override { return to_text(Json{{"bytes", bytes_}, {"steps", steps_}}); }
  void restore(const std::string& state) override {
    const Json object = parse_json(state);
    bytes_ = object.at("bytes").get<uint64_t>();
    steps_ = object.at("steps").get<int64_t>();
  }

 private:
  // What the file held when the fit stopped; or, where it is gone, the epochs.
  std::string earlier(const FitView& view) {
    std::string text;
    std::error_code error;
    if (bytes_ > 0 && std::filesystem::file_size(file_, error) >= bytes_ && !error) {
      text.resize(bytes_);
      InputFile(file_).read(text.data(), bytes_);
    } else {
      text = event_file_version(wall_time());
      for (const EpochReport& epoch : view.epochs) text += events_of(epoch);
    }
    bytes_ = text.size();
    return text;
  }
  static std::string events_of(const EpochReport& report) {
    std::string text;
    for (const auto& [name, value] : callback_parts::figures_of(report))
      text += scalar_event(wall_time(), report.epoch, "epoch/" + name, value);
    return text;
  }
  void append(const std::string& text) {
    callback_parts::append_to(file_, text);
    bytes_ += text.size();
  }

  TensorBoard options_;
  std::string file_;
  uint64_t bytes_ = 0;
  int64_t steps_ = 0;
};

const CallbackRecord<TensorBoard>& tensorboard_record() {
  static const CallbackRecord<TensorBoard> record{
      .name = "tensorboard",
      .doc = "event files that TensorBoard shows",
      .fields = Fields<TensorBoard>()
                    .text("folder", &TensorBoard::folder, "to write to; empty: MODEL.tensorboard")
                    .integer("every", &TensorBoard::every, 0, 1000000000,
                             "steps from one loss to the next; 0: epochs only"),
      .start = [](const TensorBoard& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<TensorBoardRun>(options);
      },
      .ending = tensorboard_ending};
  return record;
}

}  // namespace

CallbackKind callback_records::tensorboard() { return tensorboard_record().kind(); }
TensorBoard::operator Callback() const { return tensorboard_record().callback(*this); }

}  // namespace lariat
