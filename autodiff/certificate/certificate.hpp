#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/base/error.hpp"
#include "graph/io/store.hpp"
#include "graph/ir/value.hpp"

namespace lariat {

class Executor;

/// How close weights are to a stationary point of the loss as written, 0 ∈ ∇f(w) + ∂h(w), on the data that
/// were given, without dropout.
struct Certificate {
  struct Entry {
    std::string parameter;
    /// ‖w − prox_h(w − ∇f)‖∞ with steps of 1.
    double prox_residual = 0;
    /// ‖r‖₂ of this parameter for the r of least norm in ∇f + ∂h, found from the subdifferentials of all
    /// terms whether or not they have a prox together (see SubgradientSearch); nothing where a term's is not
    /// known.
    std::optional<double> distance;
    /// ‖∇f‖∞, to compare with.
    double gradient = 0;
  };
  std::vector<Entry> entries;
  /// The loss as written, and what is left of it without the rewritten penalties.
  double loss = 0, smooth = 0;
  /// Whether the exact zeros of penalised parameters are taken as given, as a training takes them whose
  /// zeros have settled (see kept_zeros()): those elements count for nothing then. Of terms that tie elements
  /// together beyond groups (L∞, total variation, nuclear norm) the distance is an upper bound then.
  bool zeros_kept = false;

  /// A bound from below on the distance, from values of the penalties alone: how fast the loss falls along
  /// some lines, per unit. 0 where it falls along none of them, or a penalty is not convex.
  double at_least = 0;
  /// Non-smooth terms without a known subdifferential, of which one subgradient was taken: the distance is a
  /// bound from above then.
  int other_kinks = 0;
  /// Where there are none of those: weights that lie at a kink of the model itself, as those into a unit of
  /// relu that gets 0 from every example. The worse of the slopes on both sides counts where it bends down,
  /// and one subgradient where it bends up.
  int64_t model_kinks = 0;
  /// How many of the other non-smooth terms leap, such as those of weights cut to whole numbers: their
  /// gradients are zero, and the certificate is that of the loss without them.
  int leaps = 0;

  /// Whether the loss falls faster than the distance allows, so that a penalty's record is wrong.
  bool is_contradicted() const;
  /// The largest, and the norm over all parameters.
  double prox_residual() const;
  std::optional<double> distance() const;
  /// "stationary to 1.2e-06 …".
  std::string text() const;
  std::string json() const;
};
std::ostream& operator<<(std::ostream& out, const Certificate& certificate);

/// Feeds of several batches, each made when it is asked for.
class FeedsList {
 public:
  FeedsList(size_t count, std::function<Feeds(size_t)> at) : count_(count), at_(std::move(at)) {
    require_function(at_, "what gives the feeds of each batch");
  }
  /// The batches must outlive the list.
  FeedsList(std::span<const Feeds> batches)
      : count_(batches.size()), at_([batches](size_t index) { return batches[index]; }) {}
  FeedsList(const std::vector<Feeds>& batches) : FeedsList(std::span(batches)) {}

  size_t size() const { return count_; }
  Feeds operator[](size_t index) const { return at_(index); }

 private:
  size_t count_;
  std::function<Feeds(size_t)> at_;
};

/// Computes certificates of one loss.
class Certifier {
 public:
  /// For the parameters that are trained. The graph of the loss is not needed afterwards.
  Certifier(Value loss, const std::vector<Value>& parameters);
  ~Certifier();

  /// On all data, given as batches: their losses and gradients are added up in double, each times its weight.
  /// Where the model itself has kinks, how slopes jump there is looked at on the first eight batches.
  /// Without weights, in proportion to their examples: right for a loss that is a mean over examples.
  Certificate certify(const FeedsList& batches, Store& store, Executor& executor,
                      std::span<const double> weights = {}, bool zeros_kept = false);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> self_;
};

}  // namespace lariat
