#include "autodiff/check/trait_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/exec/constants.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/graph.hpp"

namespace lariat {

namespace {

// Numbers between -1 and 1, or 0 and 1 where `like` has none below 0: of its shape, other ones for each draw.
Tensor drawn_like(const Tensor& like, uint64_t draw) {
  bool signs = false;
  for (int64_t i = 0; i < like.count(); ++i) signs |= like.at(i) < 0;
  Tensor result(f64, like.extents());
  for (int64_t i = 0; i < like.count(); ++i) {
    const double drawn = uniform_number(815, draw, static_cast<uint64_t>(i));
    result.data<double>()[i] = signs ? 2 * drawn - 1 : drawn;
  }
  return result;
}

Tensor scaled(const Tensor& tensor, double factor) {
  Tensor result = tensor.clone();
  for (int64_t i = 0; i < result.count(); ++i) result.data<double>()[i] *= factor;
  return result;
}

Tensor first_output(const OpCase& c, const std::vector<Tensor>& inputs) {
  return run_op_kernel(*c.node->op, c.node->attributes, inputs)[0];
}

bool is_near(double a, double b, double size) {
  return a == b || std::abs(a - b) <= 1e-9 * std::max({size, std::abs(a), std::abs(b)});
}

double total_bytes(const std::vector<TensorView>& views) {
  double total = 0;
  for (const TensorView& view : views) total += static_cast<double>(view.bytes());
  return total;
}

// One input of a case moves, and the others are what they are.
class OneMoves : public BendContext {
 public:
  OneMoves(const OpCase& c, size_t which) : BendContext(c.node->attributes), case_(c), which_(which) {}
  bool moves(size_t input) const override { return input == which_; }
  bool is_positive(size_t input) const override {
    const Tensor& x = case_.inputs[input];
    for (int64_t i = 0; i < x.count(); ++i)
      if (!(x.at(i) > 0)) return false;
    return true;
  }
  std::optional<double> number(size_t input) const override {
    const Tensor& x = case_.inputs[input];
    if (input == which_ || x.count() == 0) return std::nullopt;
    for (int64_t i = 1; i < x.count(); ++i)
      if (x.at(i) != x.at(0)) return std::nullopt;
    return x.at(0);
  }

 private:
  const OpCase& case_;
  const size_t which_;
};

}  // namespace

std::string check_bend(const OpCase& c) {
  if (c.node->outputs[0].dtype != f64) return {};
  constexpr double width = 1e-4;
  for (size_t which = 0; which < c.inputs.size(); ++which) {
    const Tensor& x = c.inputs[which];
    const OneMoves context(c, which);
    if (x.dtype() != f64 || c.node->op->bend(context) != Bend::none) continue;
    std::vector<double> places =
        which < c.sample->inputs.size() ? c.sample->inputs[which].kinks : std::vector<double>();
    for (int64_t i = 0; i < std::min<int64_t>(x.count(), 4); ++i) places.push_back(x.at(i));
    for (const double place : places) {
      if (context.is_positive(which) && place <= 3 * width) continue;
      const auto at = [&](double steps) {
        std::vector<Tensor> inputs = c.inputs;
        inputs[which] = Tensor::filled(f64, x.extents(), place + steps * width);
        return first_output(c, inputs);
      };
      const Tensor here = at(0), below = at(-1), far_below = at(-2), above = at(1), far_above = at(2);
      for (int64_t i = 0; i < here.count(); ++i) {
        // One-sided differences of second order.
        const double left = (3 * here.at(i) - 4 * below.at(i) + far_below.at(i)) / (2 * width),
                     right = (-3 * here.at(i) + 4 * above.at(i) - far_above.at(i)) / (2 * width);
        if (!(std::abs(left - right) <= 1e-3 * (1 + std::abs(left) + std::abs(right))))
          return fmt::format("in input {} element {} has the slopes {:.6g} and {:.6g} beside {:.6g}", which,
                             i, left, right, place);
      }
    }
  }
  return {};
}

std::string check_finite(const OpCase& c) {
  const auto is_of_doubles = [](const Tensor& tensor) { return tensor.dtype() == f64; };
  if (c.node->outputs[0].dtype != f64 || !std::all_of(c.inputs.begin(), c.inputs.end(), is_of_doubles))
    return {};
  // Every choice of these for up to three inputs, and as many by chance for more.
  constexpr double numbers[] = {0, 1, -1, 0.5, -0.5, 2, -2, 1e-9, -1e-9, 3.7, -3.7, 20, -20};
  constexpr int64_t each = std::size(numbers), count = each * each * each;
  std::vector<Tensor> inputs;
  int64_t stride = 1;
  for (size_t k = 0; k < c.inputs.size(); ++k) {
    inputs.emplace_back(f64, Extents{count});
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place =
          k < 3 ? i / stride % each
                : static_cast<int64_t>(each * uniform_number(815, k, static_cast<uint64_t>(i)));
      inputs.back().data<double>()[i] = numbers[place];
    }
    stride *= each;
  }
  const Tensor result = first_output(c, inputs);
  const bool may_be_infinite = c.node->op->traits.of_finite == Traits::OfFinite::or_infinite;
  for (int64_t i = 0; i < result.count(); ++i)
    if (may_be_infinite ? std::isnan(result.at(i)) : !std::isfinite(result.at(i))) {
      std::string of;
      for (const Tensor& input : inputs) of += fmt::format("{}{:.10g}", of.empty() ? "" : ", ", input.at(i));
      return fmt::format("of {} it is {}", of, std::isnan(result.at(i)) ? "NaN" : "infinite");
    }
  return {};
}

std::string check_product(const OpCase& c) {
  if (c.node->outputs[0].dtype != f64) return {};
  std::vector<size_t> factors;
  for (size_t i = 0; i < c.inputs.size(); ++i)
    if (c.node->op->traits.is_linear(i) && c.inputs[i].dtype() == f64) factors.push_back(i);
  if (factors.size() < 2) return "it is linear in less than two inputs";
  const Tensor plain = first_output(c, c.inputs);
  std::vector<Tensor> inputs = c.inputs;
  inputs[factors.front()] = scaled(inputs[factors.front()], 2);
  inputs[factors.back()] = scaled(inputs[factors.back()], 0.5);
  const Tensor same = first_output(c, inputs);
  inputs[factors.front()] = scaled(inputs[factors.front()], 0);
  const Tensor none = first_output(c, inputs);
  for (int64_t i = 0; i < plain.count(); ++i) {
    if (!is_near(same.at(i), plain.at(i), 1e-3))
      return fmt::format("element {} is {:.10g}, and {:.10g} of twice the one and half the other", i,
                         plain.at(i), same.at(i));
    if (none.at(i) != 0) return fmt::format("element {} of no product is {:.10g}", i, none.at(i));
  }
  return {};
}

std::string check_stopped(const OpCase& c) {
  std::vector<Tensor> at = c.inputs, beside;
  for (size_t i = 0; i < at.size(); ++i) {
    if (at[i].dtype() == f64) at[i] = drawn_like(at[i], i);
    beside.push_back(at[i].dtype() == f64 ? scaled(at[i], 1 + 1e-9) : at[i]);
  }
  const Tensor here = first_output(c, at), there = first_output(c, beside);
  for (int64_t i = 0; i < here.count(); ++i) {
    const bool is_copy = here.count() == at[0].count() && here.at(i) == at[0].at(i);
    if (here.at(i) != there.at(i) && !is_copy)
      return fmt::format("element {} is {:.17g} and, beside it, {:.17g}: it has a gradient", i, here.at(i),
                         there.at(i));
  }
  return {};
}

std::string check_inference(const OpCase& c) {
  const auto chosen = static_cast<size_t>(c.node->op->traits.inference_input);
  if (chosen >= c.inputs.size()) return fmt::format("it has no input {}", chosen);
  if (c.inputs[chosen].type() != c.node->outputs[0])
    return fmt::format("output 0 is {}, and input {} is {}", text(c.node->outputs[0]), chosen,
                       text(c.inputs[chosen].type()));
  if (c.node->op->traits.alias) return {};
  constexpr int draws = 2000;
  std::vector<Tensor> inputs = c.inputs;
  std::vector<double> mean(static_cast<size_t>(c.inputs[chosen].count()));
  for (uint64_t draw = 0; draw < draws; ++draw) {
    for (Tensor& input : inputs) {
      if (input.dtype() != i32) continue;
      input = Tensor(i32, input.extents());
      for (int64_t i = 0; i < input.count(); ++i)
        input.data<int32_t>()[i] =
            static_cast<int32_t>(1e9 * uniform_number(4, draw, static_cast<uint64_t>(i)));
    }
    const Tensor result = first_output(c, inputs);
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += result.at(static_cast<int64_t>(i)) / draws;
  }
  for (size_t i = 0; i < mean.size(); ++i) {
    const double expected = c.inputs[chosen].at(static_cast<int64_t>(i));
    if (!(std::abs(mean[i] - expected) <= 0.15 * std::abs(expected)))
      return fmt::format("element {} of input {} is {:.6g}, and {:.6g} in the mean over random states", i,
                         chosen, expected, mean[i]);
  }
  return {};
}

std::string check_cost(const OpCase& c) {
  std::vector<TensorView> inputs, outputs;
  for (const Tensor& input : c.inputs) inputs.push_back({nullptr, input.dtype(), input.extents()});
  for (const TensorType& type : c.node->outputs)
    outputs.push_back({nullptr, type.dtype, evaluate(type.shape, {})});
  const Cost cost = c.node->op->cost(inputs, outputs, c.node->attributes);
  for (const double number : {cost.flops, cost.bytes})
    if (!(number >= 0 && std::isfinite(number)))
      return fmt::format("{} operations and {} bytes are no numbers from 0", cost.flops, cost.bytes);
  const double bytes = total_bytes(inputs) + total_bytes(outputs);
  if (cost.bytes > 64 * bytes + 4096)
    return fmt::format("{} bytes are read and written, by its record; the tensors have {}", cost.bytes,
                       bytes);
  return {};
}

std::string check_recurrence(const OpCase& c) {
  const OpDef& op = *c.node->op;
  const Recurrence& recurrence = *op.recurrence;
  if (c.node->outputs[0].dtype != f64) return {};
  constexpr int64_t count = 3;
  Graph graph;
  RecurrentChain chain{.steps = {},
                       .initial = {},
                       .shared = {},
                       .attributes = c.node->attributes,
                       .name = "sequence",
                       .where = std::source_location::current()};
  std::vector<Value> inputs;
  for (const Tensor& input : c.inputs) inputs.push_back(graph.constant(input));
  for (int64_t t = 0; t < count; ++t)
    chain.steps.push_back(
        graph.constant(drawn_like(c.inputs[recurrence.step_input], static_cast<uint64_t>(t))));
  for (const size_t input : recurrence.state_inputs) chain.initial.push_back(inputs[input]);
  for (size_t i = 0; i < inputs.size(); ++i)
    if (i != recurrence.step_input &&
        std::find(recurrence.state_inputs.begin(), recurrence.state_inputs.end(), i) ==
            recurrence.state_inputs.end())
      chain.shared.push_back(inputs[i]);
  Attributes own;
  for (const auto& [name, value] : c.node->attributes) own.set(name, value);
  for (int64_t t = 0; t < count; ++t) {
    inputs[recurrence.step_input] = chain.steps[static_cast<size_t>(t)];
    const Value step = graph.add(op, inputs, own);
    for (size_t s = 0; s < recurrence.state_inputs.size(); ++s) {
      inputs[recurrence.state_inputs[s]] = output_of(step, static_cast<int32_t>(s));
      graph.output(fmt::format("step{}_{}", s, t), inputs[recurrence.state_inputs[s]]);
    }
  }
  const std::vector<Value> sequences = recurrence.sequence(chain);
  std::vector<int64_t> all;
  for (int64_t t = 0; t < count; ++t) all.push_back(t);
  for (size_t s = 0; s < sequences.size(); ++s) {
    const std::vector<Value> steps = recurrence.steps_of(sequences[s], all);
    for (int64_t t = 0; t < count; ++t)
      graph.output(fmt::format("of_sequence{}_{}", s, t), steps[static_cast<size_t>(t)]);
  }
  const std::vector<Tensor> values = evaluate_constant(graph);
  const size_t states = recurrence.state_inputs.size();
  if (sequences.size() != states) return fmt::format("{} sequences of {} states", sequences.size(), states);
  for (size_t s = 0; s < states; ++s)
    for (size_t t = 0; t < static_cast<size_t>(count); ++t) {
      const Tensor &step = values[t * states + s], &part = values[count * states + s * count + t];
      if (step.type() != part.type())
        return fmt::format("state {} is {}, and {} in the sequence", s, text(step.type()), text(part.type()));
      for (int64_t i = 0; i < step.count(); ++i)
        if (!is_near(step.at(i), part.at(i), 1e-3))
          return fmt::format("element {} of state {} behind step {} is {:.10g}, and {:.10g} in the sequence",
                             i, s, t, step.at(i), part.at(i));
    }
  return {};
}

}  // namespace lariat
