#include "graph/passes/to_inference.hpp"

#include "graph/ir/op_def.hpp"

namespace lariat {

void to_inference(const Graph& from, Graph& to) {
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id) {
    const int input = from.node(id).op->traits.inference_input;
    copy.copy(id);
    if (input < 0) continue;
    std::vector<Value> values = copy.values(id);
    values[0] = copy.inputs(id)[input];
    copy.replace(id, std::move(values));
  }
  for (const Output& output : from.outputs()) {
    const Value value = copy(output.value);
    if (!output.is_update) {
      to.output(output.name, value);
    } else if (!is_same(value, to.find_source(output.name))) {
      to.update(output.name, value);
    }
  }
}

}  // namespace lariat
