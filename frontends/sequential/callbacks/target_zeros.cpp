#include <algorithm>
#include <cmath>

#include "frontends/sequential/callbacks/callback_parts.hpp"
#include "graph/base/json.hpp"

namespace lariat {

namespace {

class TargetZerosRun final : public CallbackRun {
 public:
  explicit TargetZerosRun(const TargetZeros& options) : options_(options) {}

  void check(const FitView& view) override { callback_parts::need_zeros(view); }
  void after_step(FitView& view, const StepReport&) override {
    const int64_t steps = static_cast<int64_t>(view.store.get("step").item()) - view.first_step;
    if (steps % options_.every != 0) return;
    const double error = options_.target - callback_parts::zero_share(view);
    const double share = static_cast<double>(options_.every) / static_cast<double>(view.total_steps);
    // What is summed stays where the strength can follow it.
    sum_ =
        std::clamp(sum_ + options_.gain * error * share, std::log(options_.least), std::log(options_.most));
    strength_ = std::clamp(std::exp(sum_ + options_.damping * error), options_.least, options_.most);
  }
  std::string state() const override { return to_text(Json{{"sum", sum_}, {"strength", strength_}}); }
  void restore(const std::string& state) override {
    const Json object = parse_json(state);
    sum_ = object.at("sum").get<double>();
    strength_ = object.at("strength").get<double>();
  }
  double penalty_factor() const override { return strength_; }

 private:
  TargetZeros options_;
  double sum_ = 0, strength_ = 1;
};

const CallbackRecord<TargetZeros>& target_zeros_record() {
  static const CallbackRecord<TargetZeros> record{
      .name = "target_zeros",
      .doc = "moves the strength of penalties until a wanted share of the weights is zero",
      .fields =
          Fields<TargetZeros>()
              .number("target", &TargetZeros::target, 0, 1,
                      "share of the penalised weights that should be zero")
              .number(
                  "gain", &TargetZeros::gain, 0, 1e6,
                  "how far the logarithm of the strength goes in the whole training for a share of 1 that is "
                  "missing")
              .number("damping", &TargetZeros::damping, 0, 1e3,
                      "what of the logarithm follows the missing share")
              .integer("every", &TargetZeros::every, 1, 1000000000,
                       "steps from one look at the zeros to the next")
              .number("least", &TargetZeros::least, 1e-12, 1, "smallest strength")
              .number("most", &TargetZeros::most, 1, 1e12, "largest strength"),
      .start = [](const TargetZeros& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<TargetZerosRun>(options);
      },
      .scales_penalties = true};
  return record;
}

}  // namespace

CallbackKind callback_records::target_zeros() { return target_zeros_record().kind(); }
TargetZeros::operator Callback() const { return target_zeros_record().callback(*this); }

}  // namespace lariat
