#pragma once

#include <optional>

#include "frontends/sequential/callbacks/callbacks.hpp"
#include "frontends/sequential/fit.hpp"

namespace lariat {

namespace callback_records {
#define LARIAT_CALLBACK(name) CallbackKind name();
#include "callback_records.inc"
#undef LARIAT_CALLBACK
}  // namespace callback_records

/// What several callbacks share.
namespace callback_parts {

/// A figure of an epoch by its name; nothing where it has none.
std::optional<double> figure_of(const EpochReport& report, const std::string& name);
/// All of them, by name, in an order.
MetricValues figures_of(const EpochReport& report);

/// Which epoch is the best.
struct BestEpoch {
  std::string monitor;
  Goal goal = Goal::automatic;
  double least_change = 0, zeros = 0;

  template <class Options>
  static BestEpoch of(const Options& options) {
    return {options.monitor, options.goal, options.least_change, options.zeros};
  }
};

/// Looks at one figure, epoch by epoch.
class Monitor {
 public:
  explicit Monitor(const BestEpoch& options) : options_(options) {}
  /// Throws UserError where the fit has no such figure.
  void begin(const FitView& view);
  /// Whether this epoch is the best so far.
  bool is_best(const FitView& view, const EpochReport& report);
  /// The figure; NaN where the epoch has none.
  double value(const FitView& view, const EpochReport& report) const;
  /// By how much `value` is worse than the best; less than 0 where it is better.
  double behind(double value) const { return grows_ ? best_ - value : value - best_; }
  const std::string& name() const { return name_; }
  double best() const { return best_; }
  int64_t best_epoch() const { return epoch_; }
  std::string state() const;
  void restore(const std::string& state);

 private:
  BestEpoch options_;
  std::string name_;
  bool grows_ = false;
  double best_ = 0;
  int64_t epoch_ = 0;  // of the best, 0: none so far
};

template <class Options>
Fields<Options> monitor_fields() {
  return Fields<Options>()
      .text("monitor", &Options::monitor, "figure of an epoch; empty: validation_loss, or loss")
      .choice("goal", &Options::goal, goal_names, "which way is better; auto: by the figure");
}
template <class Options>
Fields<Options> best_fields() {
  return monitor_fields<Options>()
      .number("least_change", &Options::least_change, 0, 1e300, "better is what is better by more than this")
      .number("zeros", &Options::zeros, 0, 1, "epochs count from this share of zeros on");
}
/// Of Plateau, or of what has its options.
template <class Options>
Fields<Options> plateau_fields() {
  return best_fields<Options>()
      .number("factor", &Plateau::factor, 1e-9, 1, "what the learning rate is multiplied by")
      .integer("patience", &Plateau::patience, 1, 1000000, "epochs in a row that are not the best")
      .integer("cooldown", &Plateau::cooldown, 0, 1000000, "epochs that do not count after that")
      .number("least", &Plateau::least, 0, 1, "smallest factor on the learning rate");
}

/// Copies weights to tensors that a callback keeps, and back.
void keep_weights(FitView& view);
void bring_back_weights(FitView& view);

/// `file`, or what the model's file makes of `ending`. Throws UserError where there is neither.
std::string file_of(const FitView& view, const std::string& key, const std::string& file,
                    const std::string& ending);

/// Adds to the end of a file. Throws UserError with the reason.
void append_to(const std::string& file, std::string_view text);

/// An average of weights, element by element.
class Average {
 public:
  Average(std::string kind, double start, bool keep_zeros)
      : kind_(std::move(kind)), start_(start), keep_zeros_(keep_zeros) {}
  /// Warns where it makes zeros no zeros.
  void begin(const FitView& view) const;
  bool has_started(const FitView& view, int64_t steps) const;
  /// average ← average + share·(w - average); the first one is w.
  void add(FitView& view, double share);
  void end(FitView& view) const;
  int64_t count() const { return count_; }
  std::string state() const;
  void restore(const std::string& state);

 private:
  std::string kind_;
  double start_;
  bool keep_zeros_;
  int64_t count_ = 0;
};

/// Exact zeros among the penalised weights.
double zero_share(const FitView& view);
/// Throws UserError where no weight has a penalty that makes zeros.
void need_penalty(const FitView& view);
/// The same, and where no penalty is rewritten.
void need_zeros(const FitView& view);

}  // namespace callback_parts

}  // namespace lariat
