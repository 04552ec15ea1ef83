#pragma once

#include "graph/ir/graph.hpp"
#include "ops/kernels/axes.hpp"

namespace lariat {

// What the proximal operators of groups share: rows, columns, blocks, or lines along one axis.

/// The elements of a row-major tensor in groups: those of one group differ in the marked axes only.
class GroupedElements {
 public:
  GroupedElements(const Extents& extents, const std::vector<bool>& within);
  int64_t count() const { return count_; }
  /// How many elements one group has.
  int64_t size() const { return size_; }

  /// Calls visit(place in the group, place in the tensor) for the places [begin, end) of a group.
  template <class Visit>
  void visit(int64_t group, int64_t begin, int64_t end, const Visit& visit) const {
    const Axis run = within_.empty() ? Axis{1, 0} : within_.back();
    const int64_t base = place(across_, across_.size(), group);
    for (int64_t i = begin; i < end;) {
      const int64_t start = base + place(within_, within_.empty() ? 0 : within_.size() - 1, i / run.extent);
      for (int64_t j = i % run.extent; j < run.extent && i < end; ++i, ++j) visit(i, start + j * run.stride);
    }
  }

  /// Copies a group to `to`, or all copies of the one element where `is_one` is set.
  template <class From, class To>
  void gather(int64_t group, const From* from, bool is_one, To* to) const {
    if (is_one) {
      std::fill_n(to, size_, static_cast<To>(*from));
    } else {
      visit(group, 0, size_, [&](int64_t i, int64_t at) { to[i] = static_cast<To>(from[at]); });
    }
  }
  /// Writes function(place in the group) to a group; what rounds to 0 is +0.
  template <class To, class Function>
  void scatter(int64_t group, To* to, const Function& function) const {
    visit(group, 0, size_, [&](int64_t i, int64_t at) { to[at] = static_cast<To>(function(i)) + To(0); });
  }

 private:
  struct Axis {
    int64_t extent, stride;
  };
  static int64_t place(const std::vector<Axis>& axes, size_t count, int64_t index) {
    int64_t result = 0;
    for (size_t i = count; i-- > 0; index /= axes[i].extent)
      result += index % axes[i].extent * axes[i].stride;
    return result;
  }

  std::vector<Axis> across_, within_;
  int64_t count_ = 1, size_ = 1;
};

/// The type of v, for inputs v, step (a scalar or of v's shape) and weight (a scalar or of the shape
/// `weights`).
std::vector<TensorType> infer_group_prox(const InferContext& c, const Shape& weights);
/// The same for groups along the attribute `axes`: one weight for each.
std::vector<TensorType> infer_prox_along_axes(const InferContext& c);
/// The attribute `axes` of such an op.
AttributeSpec group_axes_attribute();

/// A node of the prox op `op` for a penalty that reduces along its attribute `axes`: a weight that broadcasts
/// to the penalty's result becomes one number for each group. `more` are further inputs.
Value prox_along_axes(std::string_view op, ProxPoint at, Value weight, const Attributes& penalty,
                      const std::vector<Value>& more = {});
/// A weight that broadcasts to such a penalty's result, so shaped that it broadcasts to x.
Value weight_along_axes(Value x, Value weight, const Attributes& penalty);
/// The point and a step of 1.
ProxPoint at_unit_step(Value point);

}  // namespace lariat
