#include <algorithm>
#include <cmath>

#include "frontends/sequential/callbacks/callback_parts.hpp"
#include "graph/base/json.hpp"

namespace lariat {

namespace {

class PenaltyByValidationRun final : public CallbackRun {
 public:
  explicit PenaltyByValidationRun(const PenaltyByValidation& options)
      : options_(options), monitor_({options.monitor, options.goal, 0, 0}) {}

  void check(const FitView& view) override {
    callback_parts::need_penalty(view);
    monitor_.begin(view);
  }
  void after_epoch(FitView& view, const EpochReport& report) override {
    const double now = monitor_.value(view, report);
    monitor_.is_best(view, report);
    const bool good = monitor_.behind(now) <= options_.tolerance * std::abs(monitor_.best());
    strength_ = std::clamp(strength_ * (good ? options_.up : options_.down), options_.least, options_.most);
  }
  std::string state() const override {
    return to_text(Json{{"monitor", monitor_.state()}, {"strength", strength_}});
  }
  void restore(const std::string& state) override {
    const Json object = parse_json(state);
    monitor_.restore(object.at("monitor").get<std::string>());
    strength_ = object.at("strength").get<double>();
  }
  double penalty_factor() const override { return strength_; }

 private:
  PenaltyByValidation options_;
  callback_parts::Monitor monitor_;
  double strength_ = 1;
};

const CallbackRecord<PenaltyByValidation>& penalty_by_validation_record() {
  using P = PenaltyByValidation;
  static const CallbackRecord<P> record{
      .name = "penalty_by_validation",
      .doc = "strengthens penalties as long as a figure stays close to its best",
      .fields =
          callback_parts::monitor_fields<P>()
              .number("tolerance", &P::tolerance, 0, 1e6, "share of the best figure by which it may be worse")
              .number("up", &P::up, 1, 1e6, "factor on the strength after an epoch that is close")
              .number("down", &P::down, 1e-6, 1, "factor on the strength after another")
              .number("least", &P::least, 1e-12, 1, "smallest strength")
              .number("most", &P::most, 1, 1e12, "largest strength"),
      .start = [](const P& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<PenaltyByValidationRun>(options);
      },
      .scales_penalties = true};
  return record;
}

}  // namespace

CallbackKind callback_records::penalty_by_validation() { return penalty_by_validation_record().kind(); }
PenaltyByValidation::operator Callback() const { return penalty_by_validation_record().callback(*this); }

}  // namespace lariat
