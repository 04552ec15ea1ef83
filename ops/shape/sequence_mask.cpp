#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace sequence_mask_detail {

std::vector<TensorType> infer(const InferContext& c) {
  if (c.shape(1).size() < 2) c.fail(fmt::format("takes like [batch, time, ...]; got {}", text(c.shape(1))));
  check_integers(c, 0, "lengths", {c.shape(1)[0]});
  return {{c.in(1).dtype, {c.shape(1)[0], c.shape(1)[1]}}};
}

template <class T>
void forward(const KernelContext& k) {
  const int64_t batch = k.outputs[0].extents[0], time = k.outputs[0].extents[1];
  check_lengths(k.inputs[0], time);
  const int32_t* lengths = k.in<int32_t>(0);
  T* out = k.out<T>(0);
  k.parallel.run(batch, rows_per_task(time), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      std::fill_n(out + row * time, lengths[row], T(1));
      std::fill_n(out + row * time + lengths[row], time - lengths[row], T(0));
    }
  });
}

}  // namespace sequence_mask_detail

OpDef records::sequence_mask() {
  using namespace sequence_mask_detail;
  OpDef def{.name = "sequence_mask",
            .doc = "1 for the steps within each row's length, 0 for the padding behind.",
            .inputs = {{"lengths", "i32 [batch], each in [0, time]"},
                       {"like", "[batch, time, ...]: only its shape and dtype are read"}},
            .outputs = {{"mask", "[batch, time] of like's dtype"}}};
  def.traits.stops_gradient = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.cost = [](std::span<const TensorView>, std::span<const TensorView> outputs, const Attributes&) {
    return Cost{.bytes = static_cast<double>(outputs[0].bytes())};
  };
  const auto lengths = [](std::vector<double> values) {
    const auto count = static_cast<int64_t>(values.size());
    return SampleInput{.extents = {count}, .values = std::move(values), .dtype = i32};
  };
  def.samples = {{"two rows", {lengths({1, 3}), {{2, 3, 4}}}, {}, {1, 0, 0, 1, 1, 1}},
                 {"empty row", {lengths({0}), {{1, 2}}}, {}, {0, 0}},
                 {"no steps", {lengths({0, 0}), {{2, 0}}}}};
  def.rejects = {{{{i32, {2}}, {f32, {2}}}, {}, "takes like [batch, time, ...]; got [2]"},
                 {{{i32, {3}}, {f32, {2, 5}}}, {}, "lengths is i32[3]; it must be i32[2]"}};
  return def;
}

Value sequence_mask(Operand lengths, Operand like) { return build("sequence_mask", {lengths, like}); }

}  // namespace lariat
