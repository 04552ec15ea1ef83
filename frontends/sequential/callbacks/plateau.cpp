#include <algorithm>

#include "frontends/sequential/callbacks/callback_parts.hpp"
#include "graph/base/json.hpp"

namespace lariat {

namespace {

class PlateauRun final : public CallbackRun {
 public:
  explicit PlateauRun(const Plateau& options)
      : options_(options), monitor_(callback_parts::BestEpoch::of(options)) {}

  void check(const FitView& view) override { monitor_.begin(view); }
  void after_epoch(FitView& view, const EpochReport& report) override {
    const bool best = monitor_.is_best(view, report), cooling = cooling_ > 0;
    if (cooling) --cooling_;
    waited_ = best || cooling ? 0 : waited_ + 1;
    if (waited_ < options_.patience) return;
    factor_ = std::max(options_.least, factor_ * options_.factor);
    waited_ = 0;
    cooling_ = options_.cooldown;
  }
  std::string state() const override {
    return to_text(
        Json{{"monitor", monitor_.state()}, {"waited", waited_}, {"cooling", cooling_}, {"factor", factor_}});
  }
  void restore(const std::string& state) override {
    const Json object = parse_json(state);
    monitor_.restore(object.at("monitor").get<std::string>());
    waited_ = object.at("waited").get<int64_t>();
    cooling_ = object.at("cooling").get<int64_t>();
    factor_ = object.at("factor").get<double>();
  }
  double rate_factor() const override { return factor_; }

 private:
  Plateau options_;
  callback_parts::Monitor monitor_;
  int64_t waited_ = 0, cooling_ = 0;
  double factor_ = 1;
};

const CallbackRecord<Plateau>& plateau_record() {
  static const CallbackRecord<Plateau> record{
      .name = "plateau",
      .doc = "lowers the learning rate where a figure does not get better",
      .fields = callback_parts::plateau_fields<Plateau>(),
      .start = [](const Plateau& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<PlateauRun>(options);
      }};
  return record;
}

}  // namespace

CallbackKind callback_records::plateau() { return plateau_record().kind(); }
Plateau::operator Callback() const { return plateau_record().callback(*this); }

}  // namespace lariat
