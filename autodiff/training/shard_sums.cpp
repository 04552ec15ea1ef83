#include "autodiff/training/shard_sums.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// A bucket is full with so many bytes: sending takes longer then than starting to send.
constexpr int64_t bucket_bytes = int64_t{1} << 18;

std::string gradient_name(const std::string& parameter) {
  return fmt::format("the gradient of '{}'", parameter);
}
std::string state_name(const std::string& state) { return fmt::format("the state '{}'", state); }

std::vector<SumBucket> buckets_of(const std::vector<ShardValue>& values) {
  std::vector<SumBucket> buckets;
  int64_t bytes = 0;
  bool leaves_out = false;
  for (const ShardValue& value : values) {
    const DType dtype = value.value.dtype();
    const Extents extents = evaluate(value.value.shape(), {});
    int64_t count = 1;
    for (const int64_t extent : extents) count *= extent;
    if (buckets.empty() || buckets.back().dtype != dtype || leaves_out != bool(value.left_out) ||
        bytes >= bucket_bytes) {
      buckets.push_back({dtype, {}, {}});
      bytes = 0;
      leaves_out = bool(value.left_out);
    }
    buckets.back().names.push_back(value.name);
    buckets.back().counts.push_back(count);
    bytes += count * static_cast<int64_t>(size_of(dtype));
  }
  return buckets;
}

Attributes attributes_of(const TreeSum& sum, size_t bucket) {
  return {{"sum", sum.id()}, {"bucket", static_cast<int64_t>(bucket)}};
}

}  // namespace

std::vector<ShardValue> shard_values(const std::vector<Value>& parameters,
                                     const std::vector<Value>& gradients,
                                     const std::map<std::string, Value>& left_out,
                                     const std::map<std::string, Value>& states) {
  std::vector<ShardValue> values;
  for (size_t i = parameters.size(); i-- > 0;) {
    const auto found = left_out.find(parameters[i].name());
    values.push_back({gradient_name(parameters[i].name()), gradients[i],
                      found == left_out.end() ? Value() : found->second});
  }
  for (const auto& [name, next] : states) values.push_back({state_name(name), next});
  return values;
}

std::map<std::string, Value> next_states(const Graph& written, const GraphCopy& copy, Value share) {
  std::vector<int32_t> inputs;
  for (int32_t id = 0; id < written.size(); ++id)
    if (written.node(id).op->traits.source == SourceKind::input) inputs.push_back(id);
  const std::vector<bool> of_data = dependents(written, inputs);
  std::map<std::string, Value> states;
  for (const Output& output : written.outputs()) {
    if (!output.is_update) continue;
    const Value next = copy(output.value);
    if (next.dtype() != i32) {
      states[output.name] = next * cast(share, next.dtype());
    } else if (of_data[static_cast<size_t>(output.value.node)]) {
      throw UserError(fmt::format(
          "the state '{}' is of integers and depends on data, of which micro-shards have different ones; "
          "train without micro_shards",
          output.name));
    }
  }
  return states;
}

std::vector<Value> give_shard(const TreeSum& sum, Value share, const std::vector<ShardValue>& values) {
  std::map<std::string, const ShardValue*> by_name;
  for (const ShardValue& value : values) by_name[value.name] = &value;
  std::vector<Value> given;
  for (size_t bucket = 0; bucket < sum.buckets(); ++bucket) {
    std::vector<Operand> gradients, left_out;
    for (const std::string& name : sum.bucket(bucket).names) {
      const ShardValue& value = *by_name.at(name);
      gradients.push_back(value.value);
      if (value.left_out) left_out.push_back(broadcast_to(value.left_out, value.value.shape()));
    }
    Attributes attributes = attributes_of(sum, bucket);
    attributes.set("count", static_cast<int64_t>(gradients.size()));
    std::vector<Operand> inputs{share};
    inputs.insert(inputs.end(), gradients.begin(), gradients.end());
    inputs.insert(inputs.end(), left_out.begin(), left_out.end());
    given.push_back(build("give_gradients", inputs, attributes));
  }
  return given;
}

void sum_over_shards(TreeSum& sum, Value share, const std::vector<Value>& parameters,
                     const std::map<std::string, Value>& left_out, std::vector<Value>& gradients,
                     std::map<std::string, Value>& states) {
  const std::vector<ShardValue> values = shard_values(parameters, gradients, left_out, states);
  sum.set_buckets(buckets_of(values));
  const std::vector<Value> given = give_shard(sum, share, values);
  std::map<std::string, Value> value_of, sum_of;
  for (const ShardValue& value : values) value_of[value.name] = value.value;
  for (size_t bucket = 0; bucket < sum.buckets(); ++bucket) {
    const std::vector<std::string>& names = sum.bucket(bucket).names;
    for (size_t i = 0; i < names.size(); ++i) {
      std::vector<Operand> inputs{value_of.at(names[i])};
      inputs.insert(inputs.end(), given.begin(), given.end());
      Attributes attributes = attributes_of(sum, bucket);
      attributes.set("index", static_cast<int64_t>(i));
      sum_of[names[i]] = build("all_reduce", inputs, attributes);
    }
  }
  for (size_t i = 0; i < parameters.size(); ++i)
    gradients[i] = sum_of.at(gradient_name(parameters[i].name()));
  for (auto& [name, next] : states) next = sum_of.at(state_name(name));
}

std::unique_ptr<Graph> given_early(const Graph& step, StepParts& parts) {
  const auto gives = [&](int32_t id) { return step.node(id).op->name == "give_gradients"; };
  // Behind which node each comes: the last gradient that it takes, or what lies before that of the rest.
  std::vector<std::vector<int32_t>> behind(static_cast<size_t>(step.size()));
  for (int32_t id = 0; id < step.size(); ++id) {
    if (!gives(id)) continue;
    const Node& node = step.node(id);
    int32_t last = 0;
    for (int64_t i = 1; i <= node.attributes.get<int64_t>("count"); ++i)
      last = std::max(last, node.inputs[static_cast<size_t>(i)].node);
    behind[static_cast<size_t>(last)].push_back(id);
  }
  std::vector<int32_t> order;
  std::vector<bool> placed(static_cast<size_t>(step.size()));
  const auto place = [&](int32_t wanted) {
    std::vector<int32_t> open{wanted};
    while (!open.empty()) {
      const int32_t id = open.back();
      const size_t before = open.size();
      if (!placed[static_cast<size_t>(id)])
        for (const Edge& edge : step.node(id).inputs)
          if (!placed[static_cast<size_t>(edge.node)]) open.push_back(edge.node);
      if (open.size() != before) continue;
      open.pop_back();
      if (placed[static_cast<size_t>(id)]) continue;
      placed[static_cast<size_t>(id)] = true;
      order.push_back(id);
    }
  };
  for (int32_t id = 0; id < step.size(); ++id) {
    if (!gives(id)) place(id);
    for (const int32_t next : behind[static_cast<size_t>(id)]) place(next);
  }
  auto result = std::make_unique<Graph>();
  GraphCopy copy(step, *result);
  std::vector<int32_t> gradient_of;
  int32_t end = 0;
  for (const int32_t id : order) {
    copy.copy(id);
    if (id < parts.backward_end) end = std::max(end, result->size());
    gradient_of.resize(static_cast<size_t>(result->size()), -1);
    if (static_cast<size_t>(id) < parts.gradient_of.size())
      gradient_of.back() = parts.gradient_of[static_cast<size_t>(id)];
  }
  copy.copy_outputs();
  parts.backward_end = end;
  parts.gradient_of = std::move(gradient_of);
  return result;
}

}  // namespace lariat
