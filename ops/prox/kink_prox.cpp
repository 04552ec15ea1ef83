#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "graph/base/error.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/ops.hpp"
#include "ops/prox/element_kinks.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace kink_prox_detail {

int64_t kinks_of(const Attributes& attributes) { return attributes.get<int64_t>("kinks"); }

std::vector<TensorType> infer(const InferContext& c) {
  const int64_t kinks = c.attribute<int64_t>("kinks");
  if (static_cast<int64_t>(c.size()) != 2 + 3 * kinks)
    c.fail(fmt::format("takes v, the step, and three inputs for each of {} kinks; got {} inputs", kinks,
                       c.size()));
  return infer_elementwise_float(c);
}

template <class T>
T prox(T v, T step, std::vector<ElementKink<T>>& kinks) {
  std::sort(kinks.begin(), kinks.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  T check = v + step, below = 0;
  for (const ElementKink<T>& kink : kinks) {
    check += kink.at + kink.above;
    below += kink.below;
  }
  // Comparisons hide a NaN; adding 0 makes a zero +0.
  return check != check || below != below
             ? std::numeric_limits<T>::quiet_NaN()
             : minimiser(v, step, kinks.data(), kinks.data() + kinks.size()).at + T(0);
}

template <class T>
void block(const void* const* inputs, const int64_t* strides, void* output, int64_t count,
           const Attributes& attributes) {
  const auto kinks = static_cast<size_t>(kinks_of(attributes));
  thread_local std::vector<ElementKink<T>> list;  // kept, so that a step allocates nothing
  list.resize(kinks);
  for (int64_t i = 0; i < count; ++i) {
    const auto input = [&](size_t k) { return static_cast<const T*>(inputs[k])[i * strides[k]]; };
    for (size_t k = 0; k < kinks; ++k) list[k] = {input(2 + 3 * k), input(3 + 3 * k), input(4 + 3 * k)};
    static_cast<T*>(output)[i] = prox(input(0), input(1), list);
  }
}

}  // namespace kink_prox_detail

OpDef records::kink_prox() {
  using namespace kink_prox_detail;
  OpDef def =
      elementwise_op("kink_prox", "argmin_w (w - v)²/(2 step) + a piecewise linear convex function of w.",
                     {{"v", ""},
                      {"step", "above 0"},
                      {"at", "the place of a kink"},
                      {"below", "the slope below it"},
                      {"above", "the slope above it; then place and slopes of the others"}},
                     {block<float>, block<double>, nullptr});
  def.variadic = true;
  def.attributes = {{"kinks", AttributeKind::integer, "how many kinks", Attribute(int64_t{1}), 1, 1e9}};
  def.infer = infer;
  def.samples = {{"soft threshold",
                  {{{4}, {-2, -0.25, 0.25, 3}}, {{}, {0.5}}, {{}, {0}}, {{}, {-1}}, {{}, {1}}},
                  {{"kinks", int64_t{1}}},
                  {-1.5, 0, 0, 2.5}},
                 {"shifted, one-sided",
                  {{{4}, {0, 1.25, 1.75, 3}}, {{}, {0.5}}, {{}, {1}}, {{}, {0}}, {{}, {1}}},
                  {{"kinks", int64_t{1}}},
                  {0, 1, 1.25, 2.5}},
                 {"two kinks in any order",
                  {{{5}, {-4, -1.25, 0.25, 1.5, 4}},
                   {{}, {1}},
                   {{}, {1}},
                   {{}, {-1}},
                   {{}, {1}},
                   {{}, {-1}},
                   {{}, {-1}},
                   {{}, {1}}},
                  {{"kinks", int64_t{2}}},
                  {-2, -1, 0.25, 1, 2}}};
  def.rejects.push_back({std::vector<TensorType>(5, {f32, {2}}),
                         {{"kinks", int64_t{2}}},
                         "takes v, the step, and three inputs for each of 2 kinks; got 5 inputs"});
  return def;
}

Value kink_prox(const std::vector<Operand>& v_step_kinks) {
  return build("kink_prox", v_step_kinks, {{"kinks", static_cast<int64_t>(v_step_kinks.size() - 2) / 3}});
}

}  // namespace lariat
