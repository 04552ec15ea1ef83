#pragma once

#include "frontends/sequential/callback.hpp"

namespace lariat {

// The callbacks, as C++ and recipes name them. Each throws UserError for an option out of its range. A
// monitored figure is loss, smooth, penalty, zeros (the share of exact zeros among penalised weights),
// prox_residual, a metric, or validation_loss and validation_METRIC; empty: validation_loss, or loss where
// nothing is validated.

/// Whether a figure should grow; automatic: losses, errors and residuals should not, all else should.
enum class Goal { automatic, least, most };
inline const std::vector<std::string> goal_names{"auto", "min", "max"};

/// Ends a fit after `patience` epochs none of which was the best, and brings the weights of the best one
/// back, also where the fit came to its last epoch. Here and below an epoch is the best where its figure is
/// better by more than least_change, and its share of zeros at least `zeros`.
struct EarlyStopping {
  std::string monitor = {};
  Goal goal = Goal::automatic;
  int64_t patience = 10;
  double least_change = 0, zeros = 0;
  bool restore = true;
  operator Callback() const;
};
/// Writes the model after each epoch that is the best so far.
struct BestCheckpoint {
  std::string file = {};  ///< empty: the model's file with .best behind
  std::string monitor = {};
  Goal goal = Goal::automatic;
  double least_change = 0, zeros = 0;
  operator Callback() const;
};
/// The learning rate times `factor`, down to the share `least` of it, after `patience` epochs none of which
/// was the best; then it waits `cooldown` epochs.
struct Plateau {
  std::string monitor = {};
  Goal goal = Goal::automatic;
  double factor = 0.5;
  int64_t patience = 5, cooldown = 0;
  double least = 0, least_change = 0, zeros = 0;
  operator Callback() const;
};
/// A row for each epoch.
struct CsvLog {
  std::string file = {};  ///< empty: the model's file with .csv behind
  operator Callback() const;
};
/// An object for each epoch, a line each.
struct JsonLines {
  std::string file = {};  ///< empty: the model's file with .jsonl behind
  operator Callback() const;
};
/// Event files that TensorBoard shows: figures of each epoch, and of every so many steps the loss; 0: none.
struct TensorBoard {
  std::string folder = {};  ///< empty: the model's file with .tensorboard behind
  int64_t every = 0;
  operator Callback() const;
};

/// Averages of weights, which take their place at the fit's end. An average is zero only where every weight
/// in it was: with penalties that make zeros a line warns of that, unless averaging starts once zeros stay
/// zero, or keep_zeros makes zero what is zero in the last weights.
///
/// a ← decay·a + (1 - decay)·w after each step, from w at the first step of the share `start` of the fit.
struct Ema {
  double decay = 0.999, start = 0;
  bool keep_zeros = false;
  operator Callback() const;
};
/// The mean of the weights after every so many epochs. Izmailov et al. (2018), "Averaging Weights Leads to
/// Wider Optima and Better Generalization".
struct Swa {
  double start = 0.75;
  int64_t every = 1;
  bool keep_zeros = false;
  operator Callback() const;
};

/// Moves the strength of all penalties until a wanted share of the penalised weights is zero: a controller
/// that sees e = target - share after every so many of the fit's n steps and sets log strength =
/// gain·(Σ e·every/n) + damping·e, within the limits.
struct TargetZeros {
  double target = 0.9, gain = 30, damping = 1;
  int64_t every = 10;
  double least = 1e-4, most = 1e4;
  operator Callback() const;
};
/// The strength of all penalties times `up` after an epoch whose figure is at most the share `tolerance` of
/// the best one worse than that, else times `down`.
struct PenaltyByValidation {
  std::string monitor = {};
  Goal goal = Goal::automatic;
  double tolerance = 0.01, up = 1.2, down = 0.7, least = 1e-4, most = 1e4;
  operator Callback() const;
};
/// L1 with a factor ε/(|w| + ε) of its own on every weight, set after every so many epochs, `times` times:
/// what is large is shrunk less. Candès, Wakin and Boyd (2008), equation 6, times ε.
struct Reweight {
  int64_t every = 5, times = 4;
  double epsilon = 0.01;
  operator Callback() const;
};

}  // namespace lariat
