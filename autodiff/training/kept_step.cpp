#include "autodiff/training/kept_step.hpp"

#include <algorithm>
#include <cmath>

#include "graph/base/error.hpp"
#include "graph/exec/constants.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

std::string slots_of(const std::string& parameter) { return "optimizer/" + parameter + "/"; }

// What a constant's elements all are.
std::optional<double> uniform_constant(const Tensor& tensor) {
  std::optional<double> result;
  with_type(tensor.dtype(), [&](auto zero) {
    const auto values = tensor.values<decltype(zero)>();
    if (!values.empty() && std::all_of(values.begin(), values.end(), [&](auto v) { return v == values[0]; }))
      result = static_cast<double>(values[0]);
  });
  return result;
}

// What values are at an element that is zero of a parameter, where that is known whatever all else is.
class ValuesAtZero {
 public:
  // States in `zero_slots` are taken to be zero there.
  ValuesAtZero(const Graph& graph, int32_t parameter, const std::set<std::string>& zero_slots)
      : graph_(graph), shape_(graph.node(parameter).outputs[0].shape), known_(graph.size()) {
    for (int32_t id = 0; id < graph.size(); ++id) {
      const Node& node = graph.node(id);
      if (id == parameter || (node.op->traits.source == SourceKind::state && zero_slots.contains(node.name)))
        known_[id] = 0;
      else
        known_[id] = of(node);
    }
  }

  std::optional<double> operator()(Edge edge) const {
    return edge.output == 0 ? known_[edge.node] : std::nullopt;
  }

 private:
  std::optional<double> of(const Node& node) const {
    if (node.op->traits.source == SourceKind::constant)
      return uniform_constant(node.attributes.get<Tensor>("value"));
    const auto in = [&](size_t i) { return (*this)(node.inputs[i]); };
    if (node.op->name == "broadcast_to") return in(0);
    if (!node.op->traits.elementwise || node.outputs.size() != 1 || node.outputs[0].shape != shape_)
      return {};
    // Of finite values.
    if (node.op->name == "multiply" && (in(0) == 0.0 || in(1) == 0.0)) return 0;
    if (node.op->name == "multiply_add" && (in(0) == 0.0 || in(1) == 0.0)) return in(2);
    if (node.op->name == "select" && in(0)) return *in(0) != 0 ? in(1) : in(2);
    if (node.op->name == "select" && in(1) && in(1) == in(2)) return in(1);
    Graph single;
    std::vector<Value> inputs;
    for (const Edge& edge : node.inputs) {
      const auto value = (*this)(edge);
      if (!value) return {};
      inputs.push_back(single.constant(*value, graph_.type(edge).dtype));
    }
    single.output("result", single.add(*node.op, inputs, node.attributes));
    return evaluate_constant(single)[0].item();
  }

  const Graph& graph_;
  const Shape shape_;
  std::vector<std::optional<double>> known_;
};

const Output* named_update(const Graph& graph, const std::string& name) {
  for (const Output& output : graph.outputs())
    if (output.is_update && output.name == name) return &output;
  return nullptr;
}

bool is_float_matrix(const TensorType& type) {
  return type.dtype == f32 && type.shape.size() == 2 && is_known(type.shape);
}

bool is_plain_product(const Node& node) { return node.op->name == "matmul"; }
bool boolean_of(const Node& node, const char* name) { return node.attributes.get<bool>(name); }

// A sum of functions of its elements to which a given value adds nothing, however many there are of it.
bool adds_nothing(const Node& node, double value) {
  if (!node.op->summation || !node.outputs[0].shape.empty() || node.outputs[0].dtype == i32) return false;
  const Summation& sum = *node.op->summation;
  const auto block = sum.block.get(node.outputs[0].dtype);
  const auto single = static_cast<float>(value);
  const void* at = node.outputs[0].dtype == f32 ? static_cast<const void*>(&single) : &value;
  return block && block(at, 1) == 0 && sum.finish(1.0, 1) == sum.finish(1.0, 2);
}

class KeptStepRewriting {
 public:
  KeptStepRewriting(const Graph& from, const std::map<std::string, KeptPlaces>& kept,
                    const std::set<std::string>& zero_slots)
      : from_(from), to_(std::make_unique<Graph>()), copy_(from, *to_) {
    for (const auto& [name, places] : kept) {
      const int32_t id = from.source_id(name);
      std::set<std::string> slots;
      for (const std::string& slot : zero_slots)
        if (slot.starts_with(slots_of(name))) slots.insert(slot);
      drop_slots_that_leave_zero(id, slots);
      parameters_.push_back({id, from.type({id, 0}), &places, ValuesAtZero(from, id, slots), {}, {}, {}});
      if (parameters_.back().at_zero(named_update(from, name)->value) != 0.0)
        throw InternalError("internal fault: zeros of '" + name + "' do not stay zero");
    }
    find_slots();
    while (!demand()) {
    }
  }

  KeptStep result() && {
    for (Parameter& p : parameters_) {
      p.columns = to_->constant(p.places->columns);
      p.starts = to_->constant(p.places->row_starts);
    }
    for (int32_t id = 0; id < from_.size(); ++id) build_node(id);
    KeptStep result;
    for (const Output& output : from_.outputs()) put_out(output);
    for (const Parameter& p : parameters_)
      result.slots[from_.node(p.id).name] = {p.slots.begin(), p.slots.end()};
    result.graph = std::move(to_);
    return result;
  }

 private:
  struct Parameter {
    int32_t id;
    TensorType type;
    const KeptPlaces* places;
    ValuesAtZero at_zero;
    std::set<std::string> slots;  // states that are compact
    Value columns = {}, starts = {};
    std::map<std::pair<int32_t, int32_t>, Value> compact = {};

    Value at_places(Edge edge) const { return compact.at({edge.node, edge.output}); }
  };
  // An output of a node, at the places of a parameter.
  struct Wanted {
    size_t parameter;
    int32_t output;
    auto operator<=>(const Wanted&) const = default;
  };

  // A state stays zero at an element where its next value is zero as it is.
  void drop_slots_that_leave_zero(int32_t parameter, std::set<std::string>& slots) const {
    for (bool again = true; again;) {
      const ValuesAtZero at_zero(from_, parameter, slots);
      again = std::erase_if(slots, [&](const std::string& slot) {
                const Output* next = named_update(from_, slot);
                return next == nullptr || at_zero(next->value) != 0.0;
              }) > 0;
    }
  }

  void find_slots() {
    for (Parameter& p : parameters_)
      for (const Output& output : from_.outputs())
        if (output.is_update && output.name.starts_with(slots_of(from_.node(p.id).name)) &&
            from_.type({from_.source_id(output.name), 0}) == p.type)
          p.slots.insert(output.name);
  }

  bool has_shape(Edge edge, const Parameter& p) const { return from_.type(edge).shape == p.type.shape; }

  // The parameter that a product reads as a sparse matrix.
  Parameter* factor_of(const Node& node) {
    if (!is_plain_product(node) || boolean_of(node, "transpose_a")) return nullptr;
    for (Parameter& p : parameters_)
      if (node.inputs[1] == Edge{p.id, 0} && node.inputs[0].node != p.id) return &p;
    return nullptr;
  }
  bool is_sampled(const Node& node) const {
    return is_plain_product(node) && from_.type(node.inputs[0]).shape.size() == 2 &&
           from_.type(node.inputs[1]).shape.size() == 2;
  }
  // Whether input i of a node that is no element-wise one is read at the kept places only.
  bool reads_kept(const Node& node, size_t i, const Parameter& p) const {
    const Edge edge = node.inputs[i];
    if (!has_shape(edge, p)) return false;
    const auto value = p.at_zero(edge);
    if (!value) return false;
    return node.op->traits.guard ? i > 0 && std::isfinite(*value) : adds_nothing(node, *value);
  }
  Parameter* reader_of_kept(const Node& node, size_t i) {
    for (Parameter& p : parameters_)
      if (reads_kept(node, i, p)) return &p;
    return nullptr;
  }

  // Which values are needed whole, and which at the kept places of which parameters; false where a state was
  // taken for compact that is needed whole.
  bool demand() {
    whole_.assign(static_cast<size_t>(from_.size()), false);
    at_places_.assign(static_cast<size_t>(from_.size()), {});
    const auto need_whole = [&](Edge edge) { whole_[static_cast<size_t>(edge.node)] = true; };
    const auto need_at = [&](Edge edge, Parameter& p) {
      at_places_[static_cast<size_t>(edge.node)].insert(
          {static_cast<size_t>(&p - parameters_.data()), edge.output});
    };
    for (const Output& output : from_.outputs()) {
      Parameter* p = output.is_update ? owner_of(output.name) : nullptr;
      if (p) {
        need_at(output.value, *p);
      } else {
        need_whole(output.value);
      }
    }
    for (int32_t id = from_.size(); id-- > 0;) {
      const Node& node = from_.node(id);
      const auto at = static_cast<size_t>(id);
      for (const Wanted& wanted : at_places_[at]) {
        if (whole_[at] || node.op->traits.source != SourceKind::none) continue;
        Parameter& p = parameters_[wanted.parameter];
        if (node.op->traits.elementwise && node.outputs.size() == 1) {
          for (const Edge& edge : node.inputs)
            if (has_shape(edge, p)) {
              need_at(edge, p);
            } else {
              need_whole(edge);
            }
        } else if (!is_sampled(node)) {
          whole_[at] = true;
        } else {
          for (const Edge& edge : node.inputs) need_whole(edge);
        }
      }
      if (!whole_[at]) continue;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        Parameter* p = i == 1 ? factor_of(node) : nullptr;
        if (!p) p = reader_of_kept(node, i);
        if (p) {
          need_at(node.inputs[i], *p);
        } else {
          need_whole(node.inputs[i]);
        }
      }
    }
    bool done = true;
    for (Parameter& p : parameters_)
      done = std::erase_if(p.slots,
                           [&](const std::string& slot) {
                             return whole_[static_cast<size_t>(from_.source_id(slot))] ||
                                    has_other_readers(slot, p);
                           }) == 0 &&
             done;
    return done;
  }

  // The parameter that an update is of, of its own value or of a compact state.
  Parameter* owner_of(const std::string& name) {
    for (Parameter& p : parameters_)
      if (from_.node(p.id).name == name || p.slots.contains(name)) return &p;
    return nullptr;
  }

  bool has_other_readers(const std::string& slot, const Parameter& p) const {
    const auto& readers = at_places_[static_cast<size_t>(from_.source_id(slot))];
    return std::any_of(readers.begin(), readers.end(),
                       [&](const Wanted& one) { return &parameters_[one.parameter] != &p; });
  }

  void build_node(int32_t id) {
    const Node& node = from_.node(id);
    const auto at = static_cast<size_t>(id);
    const SourceKind source = node.op->traits.source;
    Parameter* const owner = source == SourceKind::state ? owner_of(node.name) : nullptr;
    if (owner) {
      const Initializer initializer{node.attributes.get<std::string>("initializer"),
                                    node.attributes.get<double>("scale")};
      owner->compact[{id, 0}] =
          to_->state(node.name, owner->places->columns.extents(), initializer, owner->type.dtype, node.where);
      return;
    }
    if (source != SourceKind::none) {
      copy_.copy(id);
    } else if (whole_[at]) {
      build_whole(id, node);
    }
    for (const auto [parameter, output] : at_places_[at]) {
      Parameter& p = parameters_[parameter];
      p.compact[{id, output}] = at_places({id, output}, node, p);
    }
  }

  void build_whole(int32_t id, const Node& node) {
    if (const Parameter* p = factor_of(node)) {
      const Value product = matmul_csr(copy_(node.inputs[0]), p->at_places({p->id, 0}), p->columns, p->starts,
                                       p->type.shape[1], boolean_of(node, "transpose_b"));
      to_->rename(product.node(), node.name);
      copy_.replace(id, {product});
      return;
    }
    std::vector<Value> inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Parameter* p = reader_of_kept(node, i);
      inputs.push_back(p ? p->at_places(node.inputs[i]) : copy_(node.inputs[i]));
    }
    const Value made = to_->add(*node.op, inputs, node.attributes, node.name, node.where);
    std::vector<Value> outputs;
    for (size_t o = 0; o < node.outputs.size(); ++o)
      outputs.emplace_back(to_.get(), made.node(), static_cast<int32_t>(o));
    copy_.replace(id, outputs);
  }

  Value at_places(Edge edge, const Node& node, const Parameter& p) {
    if (whole_[static_cast<size_t>(edge.node)] || node.op->traits.source != SourceKind::none)
      return csr_gather(p.columns, p.starts, copy_(edge));
    if (is_sampled(node)) {
      // op(a) [rows, inner] and op(b)ᵀ [columns, inner]
      const Value a = copy_(node.inputs[0]), b = copy_(node.inputs[1]);
      return csr_sampled_matmul(p.columns, p.starts, boolean_of(node, "transpose_a") ? transpose(a) : a,
                                boolean_of(node, "transpose_b") ? b : transpose(b));
    }
    std::vector<Value> inputs;
    for (const Edge& in : node.inputs) {
      if (has_shape(in, p)) {
        inputs.push_back(p.at_places(in));
      } else if (from_.type(in).shape.empty()) {
        inputs.push_back(copy_(in));
      } else {
        inputs.push_back(csr_gather(p.columns, p.starts, broadcast_to(copy_(in), p.type.shape)));
      }
    }
    return to_->add(*node.op, inputs, node.attributes, node.name, node.where);
  }

  void put_out(const Output& output) {
    Parameter* p = output.is_update ? owner_of(output.name) : nullptr;
    if (!p) {
      output.is_update ? to_->update(output.name, copy_(output.value))
                       : to_->output(output.name, copy_(output.value));
      return;
    }
    const Value next = p->at_places(output.value);
    to_->update(output.name, p->slots.contains(output.name)
                                 ? next
                                 : csr_put(next, p->columns, p->starts, copy_(Edge{p->id, 0})));
  }

  const Graph& from_;
  std::unique_ptr<Graph> to_;
  GraphCopy copy_;
  std::vector<Parameter> parameters_;
  std::vector<bool> whole_;
  std::vector<std::set<Wanted>> at_places_;  // by node
};

}  // namespace

KeptPlaces kept_places(const Tensor& places, const Extents& extents) {
  const auto flat = places.values<int32_t>();
  KeptPlaces result{Tensor(i32, {static_cast<int64_t>(flat.size())}), Tensor(i32, {extents[0] + 1})};
  int32_t *columns = result.columns.data<int32_t>(), *starts = result.row_starts.data<int32_t>();
  std::fill_n(starts, extents[0] + 1, 0);
  for (size_t i = 0; i < flat.size(); ++i) {
    columns[i] = static_cast<int32_t>(flat[i] % extents[1]);
    ++starts[flat[i] / extents[1] + 1];
  }
  for (int64_t row = 0; row < extents[0]; ++row) starts[row + 1] += starts[row];
  return result;
}

std::set<std::string> parameters_that_keep_zeros(const Graph& step) {
  std::set<std::string> result;
  for (int32_t id = 0; id < step.size(); ++id) {
    const Node& node = step.node(id);
    if (node.op->traits.source != SourceKind::parameter || !is_float_matrix(node.outputs[0])) continue;
    const Output* next = named_update(step, node.name);
    if (next != nullptr && ValuesAtZero(step, id, {})(next->value) == 0.0) result.insert(node.name);
  }
  return result;
}

KeptStep kept_step(const Graph& step, const std::map<std::string, KeptPlaces>& kept,
                   const std::set<std::string>& zero_slots) {
  return KeptStepRewriting(step, kept, zero_slots).result();
}

}  // namespace lariat
