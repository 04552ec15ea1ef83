#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "autodiff/convex/row_parts.hpp"
#include "autodiff/convex/solution.hpp"
#include "autodiff/penalty/rewrite_report.hpp"
#include "graph/base/owned.hpp"
#include "graph/io/store.hpp"
#include "graph/ir/value.hpp"

namespace lariat {

struct SolveOptions {
  SolveMethod method = SolveMethod::automatic;
  /// The relative duality gap to reach; where no gap can be had, the distance of each −∂f/∂w_j to ∂h_j,
  /// relative to the largest |∂f/∂w_j| that was seen; with penalties that are not of single weights the
  /// distance of −∇f to ∂h, relative to the norm of these.
  double tolerance = 1e-8;
  /// 0: 1000 Newton steps, 100000 gradient steps.
  int64_t most_iterations = 0;
  /// 0: what the machine allows. Results are the same for every number.
  int threads = 0;
  uint64_t seed = 0;
  /// The whole data, for inputs of the loss.
  Feeds feeds = {};
  /// The parameters to solve for; empty: all that the loss depends on.
  std::vector<Value> parameters = {};
  /// Where ranks share the rows: the loss is then that of this rank's rows (and the whole penalties), and the
  /// losses of all add up, to the same bits for any number of ranks.
  RowParts row_parts = {};
  /// Where gradient methods start, and the values of parameters not solved for; otherwise as initialised.
  Store start = {};
  std::function<void(const convex::Progress&)> progress = {};
};

/// Minimises a loss over its parameters to high accuracy on the whole data, in double. The loss is written as
/// for the Trainer: a smooth part, plus convex penalties, which are found by split_penalties(). Where the
/// smooth part is a sum over rows of functions of X·w (+ b), found by looking at the graph, and the penalties
/// are of single weights, the method is proximal Newton and the result carries a duality gap. That supposes
/// that the loss is convex, which is checked at predictions of many sizes and at the points that are visited.
/// Columns of X may differ by many orders of magnitude, and have means far from 0 beside a bias, or a column
/// like one that is not penalised: methods compute in coordinates where they do not.
class Solver {
 public:
  /// Throws UserError where the tolerance is below 0 or not finite, the loss is no scalar, keeps a term with
  /// a kink that has no prox here, or has one in a row's loss, or `method` is newton and the loss is no
  /// linear model.
  explicit Solver(Value loss, SolveOptions options = {});
  Solver(Solver&&) noexcept;
  ~Solver();

  /// With all penalties multiplied by `factor`; goes on from the latest solution. Throws UserError (L104)
  /// where it is below 0, or not finite.
  Solution solve(double factor = 1);
  /// The smallest factor with which every weight that can be zero is zero; NaN where none can be.
  double largest_factor();
  /// What was found in the loss.
  const RewriteReport& report() const;

 private:
  struct Implementation;
  Owned<Implementation, "solver"> self_;
};

Solution solve(Value loss, const SolveOptions& options = {});

}  // namespace lariat
