#include "frontends/sequential/callbacks/callback_parts.hpp"

namespace lariat {

namespace {

class EmaRun final : public CallbackRun {
 public:
  explicit EmaRun(const Ema& options)
      : options_(options), average_("ema", options.start, options.keep_zeros) {}

  void begin(FitView& view) override { average_.begin(view); }
  void after_step(FitView& view, const StepReport&) override {
    const auto steps = static_cast<int64_t>(view.store.get("step").item());
    if (average_.has_started(view, steps)) average_.add(view, 1 - options_.decay);
  }
  void end(FitView& view) override { average_.end(view); }
  std::string state() const override { return average_.state(); }
  void restore(const std::string& state) override { average_.restore(state); }

 private:
  Ema options_;
  callback_parts::Average average_;
};

const CallbackRecord<Ema>& ema_record() {
  static const CallbackRecord<Ema> record{
      .name = "ema",
      .doc = "weights become their exponential moving average over steps at the end",
      .fields =
          Fields<Ema>()
              .number("decay", &Ema::decay, 0, 0.9999999, "share of the average that stays at each step")
              .number("start", &Ema::start, 0, 1, "share of the training before the average begins")
              .boolean("keep_zeros", &Ema::keep_zeros, "what is zero in the last weights stays zero"),
      .start = [](const Ema& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<EmaRun>(options);
      }};
  return record;
}

}  // namespace

CallbackKind callback_records::ema() { return ema_record().kind(); }
Ema::operator Callback() const { return ema_record().callback(*this); }

}  // namespace lariat
