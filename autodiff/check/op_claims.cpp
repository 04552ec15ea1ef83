#include "autodiff/check/op_claims.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autodiff/check/penalty_check.hpp"
#include "autodiff/check/trait_check.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/ir/registry.hpp"
#include "ops/kernels/gemm.hpp"

namespace lariat {

namespace {

constexpr uint64_t seed = 4711;

// Whether a and b are the same but for rounding; `size` is that of what they were computed from.
bool is_close(double a, double b, double size, double precision) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  return std::abs(a - b) <= precision * std::max({std::abs(a), std::abs(b), size});
}

double largest(const Tensor& tensor) {
  double result = 0;
  for (int64_t i = 0; i < tensor.count(); ++i) result = std::max(result, std::abs(tensor.at(i)));
  return result;
}

// The first element that differs, or "".
std::string difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b, double precision) {
  for (size_t o = 0; o < a.size(); ++o) {
    if (a[o].type() != b[o].type())
      return fmt::format("output {} is {} and {}", o, text(a[o].type()), text(b[o].type()));
    const double size = std::max(largest(a[o]), largest(b[o]));
    for (int64_t i = 0; i < a[o].count(); ++i)
      if (!is_close(a[o].at(i), b[o].at(i), size, precision))
        return fmt::format("element {} of output {} is {:.10g} and {:.10g}", i, o, a[o].at(i), b[o].at(i));
  }
  return {};
}

// Σ factor·tensor of f64.
Tensor combined(const std::vector<std::pair<double, Tensor>>& terms) {
  Tensor result(f64, terms[0].second.extents());
  for (const auto& [factor, tensor] : terms)
    for (int64_t i = 0; i < result.count(); ++i) result.data<double>()[i] += factor * tensor.at(i);
  return result;
}

std::vector<Tensor> with(std::vector<Tensor> inputs, size_t index, Tensor tensor) {
  inputs[index] = std::move(tensor);
  return inputs;
}

std::vector<Tensor> run(const OpCase& c, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> outputs = run_op_kernel(*c.node->op, c.node->attributes, inputs);
  outputs.resize(std::min(outputs.size(), c.node->op->traits.saved_outputs));
  return outputs;
}

bool is_double(const OpCase& c, size_t input) {
  return c.inputs.size() > input && c.inputs[input].dtype() == f64 && c.node->outputs[0].dtype == f64;
}

// Other numbers of the same sign, where they have one: some ops take no other.
Tensor others(const Tensor& like, uint64_t stream) {
  double least = 0, size = largest(like);
  for (int64_t i = 0; i < like.count(); ++i) least = std::min(least, like.at(i));
  if (size == 0) size = 1;
  Tensor result(f64, like.extents());
  for (int64_t i = 0; i < like.count(); ++i) {
    const double drawn = uniform_number(seed, stream, static_cast<uint64_t>(i));
    result.data<double>()[i] = size * (least < 0 ? 2 * drawn - 1 : drawn);
  }
  return result;
}

// Of a built-in op up to a shift, as its record has it. A plugin says that it is linear.
std::string check_linear(const OpCase& c, size_t input) {
  const bool may_shift = !c.node->op->plugin;
  const Tensor u = c.inputs[input], v = others(u, input);
  for (const double scale : {1.0, 1e-3, 1e3, -1.0}) {
    // Some built-in ones take no other sign.
    if (may_shift && scale < 0) continue;
    const Tensor su = combined({{scale, u}}), sv = combined({{scale, v}});
    const auto f = [&](const Tensor& x) { return run(c, with(c.inputs, input, x)); };
    const std::vector<Tensor> fu = f(su), fv = f(sv), mixed = f(combined({{0.375, su}, {0.625, sv}}));
    const std::vector<Tensor> one = f(u);
    for (size_t o = 0; o < fu.size(); ++o) {
      if (fu[o].dtype() != f64) continue;
      const double size = std::max({largest(fu[o]), largest(fv[o]), largest(one[o])});
      for (int64_t i = 0; i < fu[o].count(); ++i) {
        const double expected = 0.375 * fu[o].at(i) + 0.625 * fv[o].at(i);
        if (!is_close(mixed[o].at(i), expected, size, 1e-9))
          return fmt::format(
              "it is not linear in '{}': between two inputs element {} of output {} is {:.10g}, and {:.10g} "
              "between their results",
              c.node->op->inputs[std::min(input, c.node->op->inputs.size() - 1)].name, i, o, mixed[o].at(i),
              expected);
        if (!may_shift && !is_close(fu[o].at(i), scale * one[o].at(i), size, 1e-9))
          return fmt::format(
              "it is not linear in '{}': of {:g} times the input element {} of output {} is {:.10g}, not "
              "{:.10g}",
              c.node->op->inputs[input].name, scale, i, o, fu[o].at(i), scale * one[o].at(i));
      }
    }
  }
  return {};
}

void linear(const OpDef& op, const OpCases& cases, OpFinding& finding) {
  std::vector<size_t> shown;
  finding.fault = first_fault(cases.of_op(), [&](const OpCase& c) -> std::string {
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      if (!op.traits.is_linear(i) || !is_double(c, i) || c.inputs[i].count() == 0) continue;
      shown.push_back(i);
      if (const std::string fault = check_linear(c, i); !fault.empty()) return fault;
    }
    return {};
  });
  for (size_t i = 0; i < op.inputs.size(); ++i)
    if (op.traits.is_linear(i) && std::find(shown.begin(), shown.end(), i) == shown.end())
      finding.not_run = fmt::format("add a sample in which '{}' is a float", op.inputs[i].name);
}

std::string check_commutative(const OpCase& c) {
  if (c.inputs.size() != 2) return "it has not two inputs, which could change places";
  const double precision = c.node->outputs[0].dtype == f32 ? 1e-6 : 1e-13;
  // Other signs and sizes too: an op that takes none of these gives what is no number both ways.
  for (const double scale : {1.0, -1.7, 30.0})
    for (const double other : {1.0, -0.6}) {
      const bool is_sample = scale == 1 && other == 1;
      if (!is_sample && !(is_double(c, 0) && is_double(c, 1))) continue;
      const Tensor a = is_sample ? c.inputs[0] : combined({{scale, c.inputs[0]}}),
                   b = is_sample ? c.inputs[1] : combined({{other, c.inputs[1]}});
      if (const std::string where = difference(run(c, {a, b}), run(c, {b, a}), precision); !where.empty())
        return where + " where the inputs change places";
    }
  return {};
}

// Each input at every element of the result.
std::vector<Tensor> broadcast_inputs(const OpCase& c) {
  const Extents space = evaluate(c.node->outputs[0].shape, {});
  std::vector<Tensor> result;
  for (const Tensor& input : c.inputs) {
    Tensor full(input.dtype(), space);
    const size_t size = size_of(input.dtype());
    for (int64_t i = 0; i < full.count(); ++i) {
      int64_t rest = i, from = 0, stride = 1;
      for (size_t d = 0; d < input.extents().size(); ++d) {
        const int64_t own = input.extents()[input.extents().size() - 1 - d],
                      extent = space[space.size() - 1 - d];
        if (own > 1) from += rest % extent * stride;
        rest /= extent;
        stride *= own;
      }
      std::memcpy(static_cast<std::byte*>(full.view().data) + i * static_cast<int64_t>(size),
                  static_cast<const std::byte*>(input.view().data) + from * static_cast<int64_t>(size), size);
    }
    result.push_back(std::move(full));
  }
  return result;
}

// The block function itself, which fusion calls: on `places` of the inputs, those in `single` with one
// element for all.
Tensor run_block(const OpCase& c, const std::vector<Tensor>& inputs, const std::vector<int64_t>& places,
                 const std::vector<bool>& single) {
  const DType dtype = c.node->outputs[0].dtype;
  Tensor out(dtype, {static_cast<int64_t>(places.size())});
  std::vector<Tensor> data;
  std::vector<const void*> pointers;
  std::vector<int64_t> strides;
  for (size_t k = 0; k < inputs.size(); ++k) {
    Tensor picked(dtype, {single[k] ? 1 : out.count()});
    with_type(dtype, [&](auto zero) {
      using T = decltype(zero);
      for (int64_t i = 0; i < picked.count(); ++i)
        picked.data<T>()[i] = inputs[k].data<T>()[places[static_cast<size_t>(i)]];
    });
    data.push_back(picked);
    pointers.push_back(data.back().view().data);
    strides.push_back(single[k] ? 0 : 1);
  }
  c.node->op->block.get(dtype)(pointers.data(), strides.data(), out.view().data, out.count(),
                               c.node->attributes);
  return out;
}

std::string check_elementwise(const OpCase& c) {
  const std::vector<Tensor> inputs = broadcast_inputs(c);
  const int64_t count = inputs[0].count();
  if (count == 0) return {};
  const double precision = c.node->outputs[0].dtype == f32 ? 1e-6 : 1e-14;
  const std::vector<bool> none(inputs.size(), false);
  const auto same = [&](double a, double b) { return is_close(a, b, 0, precision); };
  std::vector<int64_t> order(static_cast<size_t>(count));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  const Tensor all = run_block(c, inputs, order, none);
  std::reverse(order.begin(), order.end());
  const Tensor reversed = run_block(c, inputs, order, none);
  for (int64_t i = 0; i < count; ++i) {
    const auto fault = [&](double other, const char* how) {
      return fmt::format("element {} is {:.10g}, and {:.10g} {}", i, all.at(i), other, how);
    };
    if (!same(all.at(i), reversed.at(count - 1 - i)))
      return fault(reversed.at(count - 1 - i), "in another order");
    const double alone = run_block(c, inputs, {i}, none).at(0);
    if (!same(all.at(i), alone)) return fault(alone, "alone");
    // Every choice of inputs that are one element for all.
    for (size_t choice = 1; choice < size_t{1} << std::min<size_t>(inputs.size(), 5); ++choice) {
      std::vector<bool> single = none;
      for (size_t k = 0; k < single.size(); ++k) single[k] = choice >> k & 1;
      const std::vector<int64_t> repeated(static_cast<size_t>(std::min<int64_t>(count, 40)), i);
      const Tensor result = run_block(c, inputs, repeated, single);
      for (int64_t j = 0; j < result.count(); ++j)
        if (!same(all.at(i), result.at(j))) return fault(result.at(j), "where an input has a stride of 0");
    }
  }
  return {};
}

// Numbers that are all different and not 0.
std::vector<Tensor> distinct(const std::vector<Tensor>& like, double first) {
  std::vector<Tensor> result;
  double next = first;
  for (const Tensor& tensor : like) {
    if (!is_float(tensor.dtype())) {
      result.push_back(tensor);
      continue;
    }
    Tensor filled(tensor.dtype(), tensor.extents());
    with_type(tensor.dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (int64_t i = 0; i < filled.count(); ++i) filled.data<T>()[i] = static_cast<T>(next++);
    });
    result.push_back(filled);
  }
  return result;
}

std::string check_selection(const OpCase& c) {
  const auto is_of_floats = [](const Tensor& tensor) { return is_float(tensor.dtype()); };
  if (!is_float(c.node->outputs[0].dtype) || std::none_of(c.inputs.begin(), c.inputs.end(), is_of_floats))
    return {};
  const std::vector<Tensor> a = distinct(c.inputs, 1), b = distinct(c.inputs, 500001);
  const Tensor from_a = run(c, a)[0], from_b = run(c, b)[0];
  double count = 0;
  for (const Tensor& tensor : a) count += is_float(tensor.dtype()) ? static_cast<double>(tensor.count()) : 0;
  for (int64_t i = 0; i < from_a.count(); ++i) {
    const double value = from_a.at(i);
    if (value == 0 && from_b.at(i) == 0) continue;
    if (value != std::floor(value) || value < 1 || value > count || from_b.at(i) != value + 500000)
      return fmt::format("element {} is not always the same one of its inputs' elements, nor always 0", i);
  }
  return {};
}

std::string check_alias(const OpCase& c) {
  const TensorType in = c.inputs[0].type(), &out = c.node->outputs[0];
  if (in.dtype != out.dtype || element_count(in.shape) != element_count(out.shape))
    return fmt::format("output 0 is {} over input 0, which is {}", text(out), text(in));
  return {};
}

std::string check_shape_only(const OpCase& c) {
  const std::string where = difference(run(c, distinct(c.inputs, 1)), run(c, distinct(c.inputs, 100)), 0);
  return where.empty() ? where : where + " for other elements of the same shape";
}

std::string check_additive(const OpCase& c) {
  const Tensor before = run(c, c.inputs)[0];
  for (size_t k = 0; k < c.inputs.size(); ++k) {
    if (!is_double(c, k)) continue;
    Tensor more = c.inputs[k].clone();
    for (int64_t i = 0; i < more.count(); ++i) more.data<double>()[i] += 2;
    const Tensor after = run(c, with(c.inputs, k, more))[0];
    for (int64_t i = 0; i < before.count(); ++i)
      if (!is_close(std::abs(after.at(i) - before.at(i)), 2, 0, 1e-9))
        return fmt::format("2 more in input {} is {:.10g} more in element {}", k, after.at(i) - before.at(i),
                           i);
  }
  return {};
}

std::string check_summation(const OpCase& c) {
  const OpDef& op = *c.node->op;
  const TensorType& type = c.node->outputs[0];
  if (element_count(type.shape) != Dim(1) || !op.summation->block.get(type.dtype)) return {};
  const Tensor& x = c.inputs[0];
  const double total = x.count() == 0 ? 0 : op.summation->block.get(type.dtype)(x.view().data, x.count());
  const double result = op.summation->finish(total, static_cast<double>(x.count())),
               expected = run(c, c.inputs)[0].at(0);
  if (is_close(result, expected, 0, type.dtype == f32 ? 1e-6 : 1e-12)) return {};
  return fmt::format("it gives {:.10g}, the kernel {:.10g}", result, expected);
}

std::string check_addend(const OpCase& c) {
  const OpDef& op = registry().get(c.node->op->with_addend);
  const Tensor plain = run(c, c.inputs)[0];
  Attributes attributes;
  attributes.set_op(op);
  for (const AttributeSpec& spec : op.attributes) {
    const Attribute* own = c.node->attributes.find(spec.name);
    attributes.set(spec.name, own ? *own : spec.otherwise.value());
  }
  Tensor addend(plain.dtype(), plain.extents());
  with_type(plain.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < addend.count(); ++i)
      addend.data<T>()[i] = static_cast<T>(uniform_number(seed, 1, static_cast<uint64_t>(i)));
  });
  std::vector<Tensor> inputs = c.inputs;
  inputs.push_back(addend);
  const Tensor sum = run_op_kernel(op, attributes, inputs)[0];
  const double size = std::max(largest(plain), 1.0);
  for (int64_t i = 0; i < sum.count(); ++i)
    if (!is_close(sum.at(i), plain.at(i) + addend.at(i), size, plain.dtype() == f32 ? 1e-5 : 1e-12))
      return fmt::format("element {} is {:.10g} with {:.10g} added to {:.10g}", i, sum.at(i), addend.at(i),
                         plain.at(i));
  return {};
}

// The first outputs, as many as have memory, of the kernel with packed constants or as they are.
std::vector<Tensor> kernel_outputs(const OpCase& c, bool packs, size_t with_memory) {
  const OpDef& op = *c.node->op;
  const auto serial = make_serial_executor();
  std::vector<Tensor> outputs;
  std::vector<TensorView> in, out;
  for (const Tensor& input : c.inputs) in.push_back(input.view());
  for (const TensorType& type : c.node->outputs) {
    outputs.emplace_back(type.dtype, evaluate(type.shape, {}));
    out.push_back(outputs.back().view());
    if (outputs.size() > with_memory) out.back().data = nullptr;
  }
  outputs.resize(std::min(outputs.size(), with_memory));
  const Attributes& attributes = c.node->attributes;
  KernelContext context{op, in, out, attributes, *serial};
  const std::shared_ptr<const void> prepared = op.prepare ? op.prepare(context) : nullptr,
                                    packed = packs ? op.pack(context) : nullptr;
  context.prepared = prepared.get();
  context.packed = packed.get();
  const OwnScratch scratch(op.workspace ? op.workspace(context) : Workspace{}, 1);
  context.scratch = scratch;
  op.kernel.get(out[0].dtype)(context);
  return outputs;
}

std::string check_packed(const OpCase& c) {
  const std::string where =
      difference(kernel_outputs(c, false, SIZE_MAX), kernel_outputs(c, true, SIZE_MAX), 0);
  return where.empty() ? where : where + " from packed constants";
}

std::string check_optional(const OpCase& c) {
  const size_t kept = c.node->op->traits.optional_outputs;
  const std::string where = difference(kernel_outputs(c, false, kept), kernel_outputs(c, false, SIZE_MAX), 0);
  return where.empty() ? where : where + " where nobody reads the others";
}

// φ of the record, which is 0 at 0 or at its kinks, on single elements; a sum of it has one result.
std::string check_scalar_penalty(const OpCase& c) {
  if (c.node->outputs[0].dtype != f64) return {};
  const ScalarPenalty phi = c.node->op->penalty->scalar(c.node->attributes);
  const auto value = [&](double x) {
    if (x < phi.low || x > phi.high) return std::numeric_limits<double>::infinity();
    double result = phi.quadratic * x * x;
    for (const ScalarPenalty::Kink& kink : phi.kinks)
      if (x != kink.at) result += (x < kink.at ? kink.slope_below : kink.slope_above) * (x - kink.at);
    return result;
  };
  const Tensor &x = c.inputs[0], result = run(c, c.inputs)[0];
  const bool is_sum = result.count() != x.count();
  double total = 0;
  for (int64_t i = 0; i < x.count(); ++i) {
    total += value(x.at(i));
    if (!is_sum && !is_close(result.at(i), value(x.at(i)), 1, 1e-12))
      return fmt::format("of {:.10g} it is {:.10g}, and by its record {:.10g}", x.at(i), result.at(i),
                         value(x.at(i)));
  }
  if (is_sum && !is_close(result.at(0), total, 1, 1e-12))
    return fmt::format("it is {:.10g}, and by its record {:.10g}", result.at(0), total);
  return {};
}

}  // namespace

std::vector<OpClaim> claims_of(const OpDef& op, const OpCases& cases) {
  std::vector<OpClaim> claims;
  const auto claim = [&](bool is_made, const char* name, std::string (*check)(const OpCase&)) {
    if (!is_made) return;
    claims.push_back({name, [&cases, check](OpFinding& finding) {
                        finding.fault = first_fault(cases.of_op(), check);
                        if (cases.of_op().empty()) finding.not_run = "nothing was run; add a sample";
                      }});
  };
  const Traits& traits = op.traits;
  if (std::find(traits.linear.begin(), traits.linear.end(), true) != traits.linear.end())
    claims.push_back({"linear", [&](OpFinding& finding) { linear(op, cases, finding); }});
  claim(traits.commutative, "commutative", check_commutative);
  claim(traits.elementwise && op.block, "element-wise", check_elementwise);
  claim(traits.elementwise && op.block && traits.of_finite != Traits::OfFinite::or_nan, "finite",
        check_finite);
  claim(op.bend && traits.elementwise, "bend", check_bend);
  claim(traits.selection, "selection", check_selection);
  claim(traits.alias, "alias", check_alias);
  claim(traits.shape_only, "shape only", check_shape_only);
  claim(traits.additive, "additive", check_additive);
  claim(traits.product, "product", check_product);
  claim(traits.stops_gradient, "stops gradient", check_stopped);
  claim(traits.inference_input >= 0, "inference", check_inference);
  claim(op.cost != nullptr, "cost", check_cost);
  claim(op.recurrence.has_value(), "recurrence", check_recurrence);
  claim(op.summation.has_value(), "summation", check_summation);
  claim(!op.with_addend.empty(), "addend", check_addend);
  claim(op.pack != nullptr, "packed", check_packed);
  claim(traits.optional_outputs != SIZE_MAX, "optional outputs", check_optional);
  if (op.penalty && op.penalty->scalar) claim(true, "scalar penalty", check_scalar_penalty);
  if (op.penalty && op.penalty->prox)
    for (OpClaim& part : penalty_claims(op, cases)) claims.push_back(std::move(part));
  return claims;
}

}  // namespace lariat
