#include "frontends/sequential/callbacks/callback_parts.hpp"

namespace lariat {

namespace {

class SwaRun final : public CallbackRun {
 public:
  explicit SwaRun(const Swa& options)
      : options_(options), average_("swa", options.start, options.keep_zeros) {}

  void begin(FitView& view) override { average_.begin(view); }
  void after_epoch(FitView& view, const EpochReport& report) override {
    const auto steps = static_cast<int64_t>(view.store.get("step").item());
    if (report.epoch % options_.every == 0 && average_.has_started(view, steps))
      average_.add(view, 1 / static_cast<double>(average_.count() + 1));
  }
  void end(FitView& view) override { average_.end(view); }
  std::string state() const override { return average_.state(); }
  void restore(const std::string& state) override { average_.restore(state); }

 private:
  Swa options_;
  callback_parts::Average average_;
};

const CallbackRecord<Swa>& swa_record() {
  static const CallbackRecord<Swa> record{
      .name = "swa",
      .doc = "weights become their mean over the last epochs at the end; Izmailov et al. (2018)",
      .fields = Fields<Swa>()
                    .number("start", &Swa::start, 0, 1, "share of the training before the mean begins")
                    .integer("every", &Swa::every, 1, 1000000, "epochs from one to the next that is in it")
                    .boolean("keep_zeros", &Swa::keep_zeros, "what is zero in the last weights stays zero"),
      .start = [](const Swa& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<SwaRun>(options);
      }};
  return record;
}

}  // namespace

CallbackKind callback_records::swa() { return swa_record().kind(); }
Swa::operator Callback() const { return swa_record().callback(*this); }

}  // namespace lariat
