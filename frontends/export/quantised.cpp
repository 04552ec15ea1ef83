#include "frontends/export/quantised.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "frontends/export/c_op.hpp"
#include "graph/base/error.hpp"
#include "ops/kernels/axes.hpp"

namespace lariat::to_c {

namespace {

constexpr int kept_bits = 20;  // of a float's bits, those that a scale has as zeros

int32_t code_at_least(float scale) {
  const auto bits = std::bit_cast<uint32_t>(scale);
  return static_cast<int32_t>((bits + (1U << kept_bits) - 1) >> kept_bits);
}

float scale_of(int32_t code) { return std::bit_cast<float>(static_cast<uint32_t>(code) << kept_bits); }

}  // namespace

float QuantisedMatrix::scale(int64_t channel) const {
  return scale_of(base + codes[static_cast<size_t>(channel)]);
}

const QuantisedMatrix* Quantisation::matrix(const Tensor& tensor) const {
  const auto found = matrices.find(tensor.view().data);
  return found == matrices.end() ? nullptr : &found->second;
}

const QuantisedVector* Quantisation::vector(const Tensor& tensor) const {
  const auto found = vectors.find(tensor.view().data);
  return found == vectors.end() ? nullptr : &found->second;
}

QuantisedMatrix quantised_matrix(const Tensor& tensor, int64_t axis) {
  const auto [outer, channels, inner] = blocks_around(tensor.extents(), axis);
  const float* values = tensor.data<float>();
  const auto channel_of = [&, channels = channels, inner = inner](int64_t i) { return i / inner % channels; };
  std::vector<float> largest(static_cast<size_t>(channels));
  for (int64_t i = 0; i < tensor.count(); ++i) {
    float& most = largest[static_cast<size_t>(channel_of(i))];
    most = std::max(most, std::abs(values[i]));
  }
  std::vector<int32_t> codes;
  for (const float most : largest)
    codes.push_back(most > 0 ? code_at_least(std::max(most / 127, 1.17549435e-38F)) : 0);
  QuantisedMatrix result;
  result.axis = axis;
  result.base = std::max(0, *std::max_element(codes.begin(), codes.end()) - 255);
  for (const int32_t code : codes)
    result.codes.push_back(static_cast<uint8_t>(std::max(0, code - result.base)));
  for (int64_t i = 0; i < tensor.count(); ++i) {
    // The scale of a channel of zeros may be 0.
    const float level = values[i] == 0 ? 0 : std::nearbyint(values[i] / result.scale(channel_of(i)));
    result.levels.push_back(static_cast<int8_t>(std::clamp(level, -127.0F, 127.0F)));
  }
  return result;
}

QuantisedVector quantised_vector(const Tensor& tensor) {
  float largest = 0;
  for (const float value : tensor.values<float>()) largest = std::max(largest, std::abs(value));
  QuantisedVector result;
  result.step = largest > 0 ? std::max(largest / 32767, 1.17549435e-38F) : 1;
  for (const float value : tensor.values<float>())
    result.levels.push_back(
        static_cast<int16_t>(std::clamp(std::nearbyint(value / result.step), -32767.0F, 32767.0F)));
  return result;
}

Tensor numbers_of(const QuantisedMatrix& matrix, const Extents& extents) {
  Tensor result(f32, extents);
  const auto [outer, channels, inner] = blocks_around(extents, matrix.axis);
  for (int64_t i = 0; i < result.count(); ++i)
    result.data<float>()[i] =
        static_cast<float>(matrix.levels[static_cast<size_t>(i)]) * matrix.scale(i / inner % channels);
  return result;
}

Tensor numbers_of(const QuantisedVector& vector, const Extents& extents) {
  Tensor result(f32, extents);
  for (int64_t i = 0; i < result.count(); ++i)
    result.data<float>()[i] = static_cast<float>(vector.levels[static_cast<size_t>(i)]) * vector.step;
  return result;
}

namespace {

bool is_constant(const Node& node) { return node.op->traits.source == SourceKind::constant; }

// Throws where it is not finite.
void check_weight(const Node& user, const Tensor& tensor) {
  for (int64_t i = 0; i < tensor.count(); ++i)
    if (!std::isfinite(tensor.data<float>()[i]))
      throw UserError(
          fmt::format("{}element {} of its weights {} is {}, which 8 bits do not hold; train the model "
                      "again, or export it "
                      "with --weights f32",
                      place_of(user), i, text(tensor.type()), tensor.data<float>()[i]));
}

constexpr int64_t shortest_vector = 8;

}  // namespace

Quantisation quantise(const Graph& from, Graph& to) {
  Quantisation result;
  GraphCopy copy(from, to);
  std::map<int32_t, int64_t> matrices;  // by constant: the axis of its channels
  std::map<int32_t, int32_t> vectors;   // by constant: the node that adds it
  for (int32_t id = 0; id < from.size(); ++id) {
    const Node& node = from.node(id);
    const COp* op = find_c_op(node.op->name);
    if (op && op->weights)
      for (const COp::Weights& weights : op->weights(node)) {
        const Edge edge = node.inputs[weights.input];
        const Node& constant = from.node(edge.node);
        if (!is_constant(constant) || constant.outputs[0].dtype != f32) continue;
        check_weight(node, constant.attributes.get<Tensor>("value"));
        matrices[edge.node] = weights.axis;
      }
    if (node.op->name != "add") continue;
    for (const Edge& edge : node.inputs) {
      const Node& constant = from.node(edge.node);
      if (!is_constant(constant) || constant.outputs[0].dtype != f32) continue;
      const Tensor& tensor = constant.attributes.get<Tensor>("value");
      if (tensor.extents().size() == 1 && tensor.count() >= shortest_vector) {
        check_weight(node, tensor);
        vectors[edge.node] = id;
      }
    }
  }
  for (int32_t id = 0; id < from.size(); ++id) {
    const Node& node = from.node(id);
    const auto matrix = matrices.find(id);
    const bool is_vector = matrix == matrices.end() && vectors.contains(id);
    if (matrix == matrices.end() && !is_vector) {
      copy.copy(id);
      continue;
    }
    const Tensor& tensor = node.attributes.get<Tensor>("value");
    if (tensor.count() == 0) {
      copy.copy(id);
      continue;
    }
    Tensor numbers;
    if (is_vector) {
      QuantisedVector vector = quantised_vector(tensor);
      numbers = numbers_of(vector, tensor.extents());
      result.vectors.emplace(numbers.view().data, std::move(vector));
    } else {
      QuantisedMatrix levels = quantised_matrix(tensor, matrix->second);
      numbers = numbers_of(levels, tensor.extents());
      result.matrices.emplace(numbers.view().data, std::move(levels));
    }
    copy.replace(id, {to.constant(std::move(numbers), node.where)});
  }
  copy.copy_outputs();
  return result;
}

}  // namespace lariat::to_c
