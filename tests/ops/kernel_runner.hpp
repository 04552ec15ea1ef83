#pragma once

#include <cstring>
#include <random>

#include "graph/base/error.hpp"
#include "graph/ir/registry.hpp"
#include "tests/support/testing.hpp"

namespace lariat::testing {

struct InOrder final : ParallelFor {
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    for (int64_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count));
  }
};

// Chunks from the last to the first: a kernel that depends on their order gives other bits.
struct Reversed final : ParallelFor {
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    for (int64_t chunk = (count + grain - 1) / grain; chunk-- > 0;)
      body(chunk * grain, std::min((chunk + 1) * grain, count));
  }
};

inline Attributes completed(const OpDef& op, Attributes attributes) {
  for (const AttributeSpec& spec : op.attributes)
    if (!attributes.find(spec.name)) attributes.set(spec.name, *spec.otherwise);
  return attributes;
}

// Runs a record's kernel into memory full of garbage.
inline std::vector<Tensor> run_views(const std::string& name, const std::vector<TensorView>& inputs,
                                     Attributes given = {}, const ParallelFor& parallel = InOrder()) {
  const OpDef& op = registry().get(name);
  const Attributes attributes = completed(op, std::move(given));
  std::vector<TensorType> types;
  for (const TensorView& view : inputs) types.push_back({view.dtype, to_shape(view.extents)});
  std::vector<Tensor> outputs;
  std::vector<TensorView> views;
  for (const TensorType& type : op.infer(InferContext(types, attributes))) {
    outputs.emplace_back(type.dtype, evaluate(type.shape, {}));
    views.push_back(outputs.back().view());
    std::memset(views.back().data, 0x7b, views.back().bytes());
  }
  if (op.traits.alias) {
    std::memcpy(views[0].data, inputs[0].data, views[0].bytes());
    return outputs;
  }
  KernelContext context{op, inputs, views, attributes, parallel};
  std::shared_ptr<const void> prepared;
  if (op.prepare) prepared = op.prepare(context);
  context.prepared = prepared.get();
  const Workspace workspace = op.workspace ? op.workspace(context) : Workspace{};
  const size_t stride = (workspace.per_thread + 63) / 64 * 64;
  std::vector<double> shared(workspace.shared / sizeof(double) + 1, 1e300),
      own(stride * static_cast<size_t>(parallel.threads()) / sizeof(double) + 1, 1e300);
  context.scratch = {reinterpret_cast<std::byte*>(shared.data()), reinterpret_cast<std::byte*>(own.data()),
                     stride};
  op.kernel.get(views[0].dtype)(context);
  return outputs;
}

inline std::vector<Tensor> run_op(const std::string& name, const std::vector<Tensor>& inputs,
                                  Attributes attributes = {}, const ParallelFor& parallel = InOrder()) {
  std::vector<TensorView> views;
  for (const Tensor& tensor : inputs) views.push_back(tensor.view());
  return run_views(name, views, std::move(attributes), parallel);
}

template <class T>
Tensor random_tensor(Extents extents, uint64_t seed, double low = -1, double high = 1) {
  Tensor result(dtype_of<T>, std::move(extents));
  std::mt19937_64 engine(seed);
  for (T& value : result.values<T>())
    value = static_cast<T>(low + (high - low) * static_cast<double>(engine() >> 11) * 0x1p-53);
  return result;
}

// Calls body(index) for every index of `extents` in row-major order.
template <class Body>
void for_each_index(const Extents& extents, const Body& body) {
  const int64_t count = element_count(extents);
  Extents index(extents.size());
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    for (size_t d = extents.size(); d-- > 0; rest /= extents[d]) index[d] = rest % extents[d];
    body(index);
  }
}

inline int64_t offset_of(const Extents& index, const Extents& extents) {
  int64_t offset = 0;
  for (size_t d = 0; d < extents.size(); ++d) offset = offset * extents[d] + index[d];
  return offset;
}

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  int64_t operator()(int64_t below) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(below)); }
  Extents extents(int64_t rank) {
    Extents result;
    // Now and then an axis is empty, of size 1 or longer than a vector.
    for (int64_t i = 0; i < rank; ++i)
      result.push_back((*this)(12) == 0 ? 0 : (*this)(6) == 0 ? 17 + (*this)(20) : 1 + (*this)(5));
    return result;
  }

 private:
  std::mt19937_64 engine_;
};

inline Tensor integers(std::vector<int32_t> values) {
  return Tensor::of<int32_t>({static_cast<int64_t>(values.size())}, std::span<const int32_t>(values));
}

}  // namespace lariat::testing
