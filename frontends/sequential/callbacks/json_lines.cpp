#include "frontends/sequential/callbacks/callback_parts.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat {

namespace {

constexpr const char* json_lines_ending = ".jsonl";

class JsonLinesRun final : public CallbackRun {
 public:
  explicit JsonLinesRun(const JsonLines& options) : options_(options) {}

  void begin(FitView& view) override {
    file_ = callback_parts::file_of(view, "file", options_.file, json_lines_ending);
    AtomicFile file(file_);
    for (const EpochReport& epoch : view.epochs) file.write(to_json(epoch) + "\n");
    file.commit();
  }
  void after_epoch(FitView&, const EpochReport& report) override {
    callback_parts::append_to(file_, to_json(report) + "\n");
  }

 private:
  JsonLines options_;
  std::string file_;
};

const CallbackRecord<JsonLines>& json_lines_record() {
  static const CallbackRecord<JsonLines> record{
      .name = "json_lines",
      .doc = "a line of JSON for each epoch",
      .fields = Fields<JsonLines>().text("file", &JsonLines::file, "to write; empty: MODEL.jsonl"),
      .start = [](const JsonLines& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<JsonLinesRun>(options);
      },
      .ending = json_lines_ending};
  return record;
}

}  // namespace

CallbackKind callback_records::json_lines() { return json_lines_record().kind(); }
JsonLines::operator Callback() const { return json_lines_record().callback(*this); }

}  // namespace lariat
