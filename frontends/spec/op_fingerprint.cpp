#include "frontends/spec/op_fingerprint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "frontends/data/source.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/exec/constants.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/sample.hpp"
#include "graph/program/program.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat {

namespace {

constexpr size_t most_uses = 3;
constexpr int64_t largest_input = 64;
// Of the largest element: floats on any processor are nearer, and another op is farther off.
constexpr double rounding = 1e-4;

struct FingerprintUse {
  std::vector<Tensor> inputs;
  Attributes attributes;
};

std::vector<double> numbers_of(const Tensor& tensor) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < tensor.count(); ++i) numbers.push_back(tensor.at(i));
  return numbers;
}

// In f64, or in f32 where the op takes no other. Throws UserError where it takes neither.
std::vector<double> result_of(const OpDef& op, const FingerprintUse& use) {
  const auto in = [&](DType dtype) {
    Graph graph;
    std::vector<Value> inputs;
    for (const Tensor& input : use.inputs)
      inputs.push_back(graph.constant(is_float(input.dtype()) ? input.cast(dtype) : input));
    graph.output("result", graph.add(op, inputs, use.attributes));
    return numbers_of(evaluate_constant(graph)[0]);
  };
  if (op.kernel.float64) try {
      return in(f64);
    } catch (const UserError&) {
    }
  return in(f32);
}

Json to_json(const Attribute& value) {
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean;
  if (const auto* integer = std::get_if<int64_t>(&value)) return *integer;
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* string = std::get_if<std::string>(&value)) return *string;
  return std::get<std::vector<int64_t>>(value);
}

Attribute from_json(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_float()) return value.get<double>();
  if (value.is_number()) return value.get<int64_t>();
  if (value.is_string()) return value.get<std::string>();
  return value.get<std::vector<int64_t>>();
}

Json inputs_json(const std::vector<Tensor>& inputs) {
  Json result = Json::array();
  for (const Tensor& input : inputs)
    result.push_back(
        {{"integer", input.dtype() == i32}, {"shape", input.extents()}, {"values", numbers_of(input)}});
  return result;
}

FingerprintUse use_from_json(const Json& json) {
  FingerprintUse use;
  for (const Json& input : json.at("inputs")) {
    const auto values = input.at("values").get<std::vector<double>>();
    const auto shape = input.at("shape").get<Extents>();
    int64_t count = 1;
    for (const int64_t extent : shape) {
      if (extent < 0 || extent > largest_input) throw UserError("has a sample of another size than any");
      count *= std::max<int64_t>(extent, 1);
    }
    if (count > largest_input || Tensor(f64, shape).count() != static_cast<int64_t>(values.size()))
      throw UserError("has a sample of another size than any");
    const Tensor numbers = Tensor::of<double>(shape, std::span<const double>(values));
    use.inputs.push_back(input.at("integer").get<bool>() ? numbers.cast(i32) : numbers);
  }
  for (const auto& [name, value] : json.at("attributes").items()) use.attributes.set(name, from_json(value));
  return use;
}

bool all_finite(const std::vector<double>& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](double v) { return std::isfinite(v); });
}

}  // namespace

Json fingerprint_of(const OpDef& op) {
  Json result = Json::array();
  for (const Sample& sample : op.samples) {
    if (result.size() == most_uses) break;
    FingerprintUse use{{}, sample.attributes};
    int64_t elements = 0;
    for (size_t i = 0; i < sample.inputs.size(); ++i) {
      use.inputs.push_back(sample_tensor(sample.inputs[i], f64, 0, i));
      elements += use.inputs.back().count();
    }
    if (elements > largest_input) continue;
    const std::vector<double> values = result_of(op, use);
    if (static_cast<int64_t>(values.size()) > largest_input || !all_finite(values)) continue;
    Json attributes = Json::object();
    for (const auto& [name, value] : sample.attributes) attributes[name] = to_json(value);
    result.push_back({{"attributes", attributes}, {"inputs", inputs_json(use.inputs)}, {"result", values}});
  }
  return result;
}

std::string plugins_among(const std::vector<const OpDef*>& ops) {
  std::set<std::string> lines;
  for (const OpDef* op : ops) {
    if (!op->plugin) continue;
    const PluginOrigin origin = plugin_origin(*op);
    lines.insert(fmt::format("'{}' of the plugin '{}' {}, a file with hash {:016x}\n", op->name,
                             origin.plugin, origin.version, data::hash_of_file(origin.file)));
  }
  return fmt::format("{}", fmt::join(lines, ""));
}

std::string difference_from(const OpDef& op, const Json& fingerprint) {
  for (const Json& sample : fingerprint) {
    const auto expected = sample.at("result").get<std::vector<double>>();
    std::vector<double> result;
    try {
      result = result_of(op, use_from_json(sample));
    } catch (const UserError& error) {
      return fmt::format("refuses what that one takes ({})", error.what());
    }
    if (result.size() != expected.size())
      return fmt::format("gives {} numbers where that one gives {}", result.size(), expected.size());
    double largest = 0;
    for (const double v : expected) largest = std::max(largest, std::abs(v));
    for (size_t i = 0; i < result.size(); ++i)
      if (!(std::abs(result[i] - expected[i]) <= rounding * largest))
        return fmt::format("gives {:.6g} where that one gives {:.6g}", result[i], expected[i]);
  }
  return {};
}

}  // namespace lariat
