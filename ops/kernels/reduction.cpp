#include "ops/kernels/reduction.hpp"

namespace lariat {

namespace {

// Enough pieces for any number of cores, few enough to be combined quickly.
constexpr int64_t most_chunks = 64;

}  // namespace

ReductionPlan::ReductionPlan(const Extents& extents, const std::vector<bool>& reduced) {
  struct Run {
    bool reduced;
    int64_t extent;
  };
  std::vector<Run> runs;
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] == 1) continue;
    if (!runs.empty() && runs.back().reduced == reduced[i]) {
      runs.back().extent *= extents[i];
    } else {
      runs.push_back({reduced[i], extents[i]});
    }
  }
  int64_t inner = 1;
  const auto add = [&](int64_t outer, int64_t extent) {
    using namespace reduction_detail;
    Pass p{outer, extent, inner, extent, 1, std::min(std::max<int64_t>(inner, 1), widest_tile), 1};
    p.tiles = (inner + p.columns - 1) / p.columns;
    const int64_t tasks = std::max<int64_t>(1, outer * p.tiles);
    const int64_t wanted = std::min(most_chunks / tasks, extent * p.columns / elements_per_task);
    if (wanted > 1) {
      p.rows = (extent + wanted - 1) / wanted;
      p.chunks = (extent + p.rows - 1) / p.rows;
    }
    passes_.push_back(p);
  };
  for (size_t i = runs.size(); i-- > 0;) {
    if (!runs[i].reduced) {
      inner *= runs[i].extent;
      continue;
    }
    int64_t outer = 1;
    for (size_t j = 0; j < i; ++j) outer *= runs[j].extent;
    add(outer, runs[i].extent);
  }
  if (passes_.empty()) add(1, 1);
}

size_t ReductionPlan::workspace_bytes() const {
  int64_t count = 0;
  for (size_t i = 0; i < passes_.size(); ++i) {
    const Pass& p = passes_[i];
    if (p.chunks > 1) count += p.outer * p.chunks * p.inner;
    if (i + 1 < passes_.size()) count += p.outer * p.inner;
  }
  return static_cast<size_t>(count) * sizeof(double);
}

Workspace reduction_workspace(const KernelContext& shapes_only) {
  return {static_cast<const ReductionPlan*>(shapes_only.prepared)->workspace_bytes(), 0};
}

std::vector<bool> all_axes(const TensorView& x, const TensorView&, const Attributes&) {
  return std::vector<bool>(x.extents.size(), true);
}

std::vector<TensorType> infer_to_scalar(const InferContext& c) {
  check_float(c, 0, "x");
  return {{c.in(0).dtype, {}}};
}

std::vector<bool> axes_attribute(const TensorView& x, const TensorView&, const Attributes& attributes) {
  return marked_axes(attributes.get<std::vector<int64_t>>("axes"), x.extents.size());
}

std::vector<AttributeSpec> reduction_attributes() {
  return {
      {"axes", AttributeKind::integers, "the axes to reduce, negative ones counted from the last; none: all",
       Attribute(std::vector<int64_t>{})},
      {"keep_dims", AttributeKind::boolean, "whether reduced axes stay with size 1", Attribute(false)}};
}

std::vector<TensorType> infer_reduction(const InferContext& c) {
  const std::vector<bool> reduced = checked_axes(c.attribute<std::vector<int64_t>>("axes"), c.shape(0));
  return {{c.in(0).dtype, reduced_shape(c.shape(0), reduced, c.attribute<bool>("keep_dims"))}};
}

Shape kept_shape(const GradContext& g) {
  const Shape& shape = g.in(0).shape();
  return reduced_shape(shape, checked_axes(g.attributes().get<std::vector<int64_t>>("axes"), shape), true);
}

}  // namespace lariat
