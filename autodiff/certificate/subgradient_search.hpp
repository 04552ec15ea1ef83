#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "graph/exec/executor.hpp"
#include "graph/program/program.hpp"

namespace lariat {

/// The largest magnitude in tensors of f64; 0 where there is none.
double largest(const std::vector<Tensor>& tensors);
/// f32 where one of these parameters is, else f64.
DType coarsest_type(const Graph& graph, const std::vector<std::string>& parameters);

/// Finds how far −∇f is from ∂h for a loss f + h, in double, without the prox of anything: from above by the
/// subdifferential of each term (see stationarity.hpp), from below by values of h along lines. Sums of terms
/// are judged whether or not their prox is known.
class SubgradientSearch {
 public:
  /// Of the output "loss" of `written`, which is not needed afterwards.
  SubgradientSearch(Graph& written, std::vector<std::string> parameters);

  /// Whether some terms have a subdifferential, but no prox together with the others.
  bool has_more_terms() const { return has_more_terms_; }
  /// How many non-smooth terms have no known subdifferential.
  int other_kinks() const { return other_kinks_; }
  /// How many of those leap, with a gradient of zero.
  int leaps() const { return leaps_; }
  /// Whether f has ops with kinks that depend on the parameters.
  bool has_model_kinks() const { return has_model_kinks_; }

  struct Result {
    /// By parameter; those with a term whose record has no subdifferential are left out.
    std::map<std::string, double> distances;
    double at_least = 0;
  };
  /// At the weights in `store`, given ∇f for each parameter in double; f is the loss without all known terms.
  /// With `zeros_kept`, zeros of parameters whose penalties were rewritten count for nothing.
  Result least(const std::vector<Tensor>& gradients, const Feeds& feeds, const Store& store,
               Executor& executor, bool zeros_kept);

 private:
  using Directions = std::vector<Tensor>;
  double steepest_fall(const std::vector<Directions>& lines, const std::vector<Tensor>& gradients,
                       const Feeds& feeds, Store& wide, Executor& executor);

  std::vector<std::string> names_;
  std::set<std::string> unknown_;
  // The inputs for the subgradients of the blocks, and for the arguments of the structured ones.
  struct Input {
    std::string name;
    Shape shape;
  };
  std::vector<Input> subgradients_;
  std::vector<std::string> arguments_;
  double tolerance_ = 0;
  std::unique_ptr<Graph> graph_ = std::make_unique<Graph>();
  Value written_penalty_;
  std::unique_ptr<Program> sweep_, as_computed_, penalty_;
  std::unique_ptr<Program> magnitude_;  // made when it is asked for
  bool has_more_terms_ = false, has_model_kinks_ = false, convex_ = true;
  int other_kinks_ = 0, leaps_ = 0;
};

}  // namespace lariat
