#include <fmt/format.h>

#include "frontends/sequential/callbacks/callback_parts.hpp"

namespace lariat {

namespace {

class EarlyStoppingRun final : public CallbackRun {
 public:
  explicit EarlyStoppingRun(const EarlyStopping& options)
      : options_(options), monitor_(callback_parts::BestEpoch::of(options)) {}

  void check(const FitView& view) override { monitor_.begin(view); }
  void begin(FitView& view) override {
    if (!view.epochs.empty()) epoch_ = view.epochs.back().epoch;
  }
  void after_epoch(FitView& view, const EpochReport& report) override {
    epoch_ = report.epoch;
    if (monitor_.is_best(view, report) && options_.restore) callback_parts::keep_weights(view);
  }
  void end(FitView& view) override {
    if (options_.restore && monitor_.best_epoch() != epoch_) callback_parts::bring_back_weights(view);
  }
  std::string state() const override { return monitor_.state(); }
  void restore(const std::string& state) override { monitor_.restore(state); }
  std::string why_end() const override {
    if (epoch_ - monitor_.best_epoch() < options_.patience) return {};
    if (monitor_.best_epoch() == 0)
      return fmt::format("in {} epochs {} was never a number that counts", epoch_, monitor_.name());
    return fmt::format("{} was best in epoch {}, {:.6g}, and not in {} epochs since{}", monitor_.name(),
                       monitor_.best_epoch(), monitor_.best(), epoch_ - monitor_.best_epoch(),
                       options_.restore ? "; its weights are back" : "");
  }

 private:
  EarlyStopping options_;
  callback_parts::Monitor monitor_;
  int64_t epoch_ = 0;
};

const CallbackRecord<EarlyStopping>& early_stopping_record() {
  static const CallbackRecord<EarlyStopping> record{
      .name = "early_stopping",
      .doc = "ends the training where a figure does not get better, with the best weights",
      .fields = callback_parts::best_fields<EarlyStopping>()
                    .integer("patience", &EarlyStopping::patience, 1, 1000000,
                             "epochs in a row that are not the best")
                    .boolean("restore", &EarlyStopping::restore, "bring the weights of the best epoch back"),
      .start = [](const EarlyStopping& options) -> std::unique_ptr<CallbackRun> {
        return std::make_unique<EarlyStoppingRun>(options);
      }};
  return record;
}

}  // namespace

CallbackKind callback_records::early_stopping() { return early_stopping_record().kind(); }
EarlyStopping::operator Callback() const { return early_stopping_record().callback(*this); }

}  // namespace lariat
