#pragma once

#include <atomic>
#include <functional>

#include "autodiff/penalty/penalty.hpp"
#include "graph/program/program.hpp"

namespace lariat {

/// A parameter of which terms with a kink can make every element zero.
struct PenalisedParameter {
  std::string name;
  /// Of those terms, each where it is one number for all elements.
  std::vector<std::optional<double>> coefficients;
};
std::vector<PenalisedParameter> parameters_made_zero(const std::vector<Value>& parameters,
                                                     const std::vector<PenaltyTerm>& terms);

/// Multiplies the weights of all terms with a kink by a scalar.
void scale_kinks(std::vector<PenaltyTerm>& terms, Value factor);

/// A training that can be tried on copies of its state.
struct Rehearsal {
  /// The training step, without dropout; its input `factor` multiplies the penalties that make zeros, and for
  /// each trained parameter it puts out ‖∇f‖∞ of the smooth loss as gradient_output(name).
  std::function<std::unique_ptr<Graph>()> step;
  /// A batch with all else that a step is fed but for the factor.
  std::function<Feeds(const Feeds& batch)> feeds;
  uint64_t seed = 0;
  Executor* executor = nullptr;
  /// Ends what is tried once it is true; nullptr: nothing does.
  const std::atomic<bool>* stop = nullptr;
  /// Parameters whose zeros stay zero whatever their gradient: of these it puts out ‖∇f‖∞ of all other
  /// elements too, as live_output(name).
  std::vector<std::string> frozen = {};

  static constexpr const char* factor = "rehearsal/factor";
  static std::string gradient_output(const std::string& parameter) { return "rehearsal/" + parameter; }
  static std::string live_output(const std::string& parameter) { return "rehearsal-live/" + parameter; }
};

/// L201: says where penalties leave nothing of a parameter, and with which coefficients they would. Nothing
/// that it does changes a bit of the training.
class CollapseWatch {
 public:
  CollapseWatch(std::vector<PenalisedParameter> parameters, Rehearsal rehearsal,
                std::function<void(const std::string&)> warn);
  ~CollapseWatch();

  /// To be called after each step, with what it was fed, whether it could move the weights (its learning rate
  /// was not 0), and whether zeros have settled. A parameter that has been all zero for some steps, and that
  /// the gradient does not move from there, is warned of once, together with all that are zero by then.
  void step_done(const Feeds& batch, const Store& store, bool moves, bool settled);
  /// Warns of what is zero by now, at the end of a training.
  void look(const Store& store);
  /// A line for each parameter of which all zeros are stationary on this batch, the others being as they are,
  /// or those already named being zero too.
  std::vector<std::string> stationary_at_zero(const Feeds& batch, const Store& store);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> self_;
};

}  // namespace lariat
