#include "graph/program/program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <mutex>

#include "graph/base/error.hpp"
#include "graph/exec/constants.hpp"
#include "graph/exec/plan.hpp"
#include "graph/passes/freeze.hpp"
#include "graph/passes/to_inference.hpp"

namespace lariat {

namespace {

constexpr size_t kept_plans = 64;

// Matches the declared shape of an input with what was fed, and gives its symbols their sizes.
void bind_feed(const Node& input, const Tensor& fed, Bindings& bindings) {
  const TensorType& type = input.outputs[0];
  const auto refuse = [&](const std::string& why) {
    throw UserError(fmt::format("the input '{}' is {}, but {}{} was fed; {}", input.name, text(type),
                                name_of(fed.dtype()), text(fed.extents()), why));
  };
  if (fed.dtype() != type.dtype) refuse(fmt::format("convert it to {}", name_of(type.dtype)));
  if (fed.extents().size() != type.shape.size()) refuse("the numbers of dimensions differ");
  for (size_t i = 0; i < type.shape.size(); ++i) {
    const std::string symbol = type.shape[i].symbol_name();
    const int64_t extent = fed.extents()[i];
    if (symbol.empty()) continue;
    const auto [bound, fresh] = bindings.emplace(symbol, extent);
    if (!fresh && bound->second != extent)
      refuse(fmt::format("'{}' is {} in another input", symbol, bound->second));
  }
}

void check_feed(const Node& input, const Tensor& fed, const Bindings& bindings) {
  const Extents expected = evaluate(input.outputs[0].shape, bindings);
  if (expected != fed.extents())
    throw UserError(fmt::format("the input '{}' is {}, but {}{} was fed; it must be {}", input.name,
                                text(input.outputs[0]), name_of(fed.dtype()), text(fed.extents()),
                                text(expected)));
}

}  // namespace

struct Program::Implementation {
  /// Of the part of `graph` that is run: the inputs are those of all of it.
  Implementation(const Graph& part, const Graph& graph, const PassOptions& passes);

  std::vector<Tensor> run(const Feeds& feeds, Store& store, Executor& executor);
  std::unique_ptr<BoundProgram> bind(const Feeds& feeds, const Store& store, Executor& executor);
  const Plan& plan(const Feeds& feeds);

  struct Cached {
    std::vector<Extents> extents;
    std::unique_ptr<Plan> plan;
  };
  struct StoreSource {
    int32_t id;
    Extents extents;
    bool updated;
  };
  void look_up(const Feeds& feeds);
  std::unique_ptr<Plan> make_plan();
  Plan& find_plan(const Feeds& feeds);
  std::shared_ptr<const void> pack_constants(const Node& node, const Step& step);
  const Tensor& stored(const StoreSource& source, const Store& store) const;
  void locate_sources(Store& store, Feeds& copies);
  void separate(Store& store);

  std::mutex mutex_;
  std::unique_ptr<Graph> graph_;
  std::vector<std::string> input_names_;              // of the graph as it was given
  std::vector<int32_t> inputs_;                       // live input nodes
  std::map<std::string, Shape, std::less<>> unread_;  // the other inputs, which may size symbols all the same
  std::unique_ptr<ExecutionOrder> order_;
  std::vector<int32_t> constants_;
  std::vector<StoreSource> sources_;  // parameters and states
  bool updates_ = false;
  // Of the run at hand: the tensors fed to inputs_ and then to unread_, nullptr for none, and the memory of
  // every source by node.
  std::vector<const Tensor*> fed_;
  std::vector<void*> source_data_;
  std::vector<void*> separate_data_;                       // memory that is known to be separate
  std::map<int32_t, Tensor> own_constants_;                // copies of those that the store shared
  std::list<Cached> plans_;                                // latest first
  std::map<int32_t, std::shared_ptr<const void>> packed_;  // by node
  std::shared_ptr<std::byte> arena_;
  size_t arena_bytes_ = 0;
};

Program::Implementation::Implementation(const Graph& part, const Graph& graph, const PassOptions& passes)
    : graph_(optimize(part, passes)) {
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::input) input_names_.push_back(graph.node(id).name);
  std::vector<bool> updated(graph_->size());
  for (const Output& output : graph_->outputs())
    if (output.is_update) updated[graph_->source_id(output.name)] = updates_ = true;
  for (int32_t id = 0; id < graph_->size(); ++id) {
    const Node& node = graph_->node(id);
    switch (node.op->traits.source) {
      case SourceKind::none:
        break;
      case SourceKind::input:
        inputs_.push_back(id);
        break;
      case SourceKind::constant:
        constants_.push_back(id);
        break;
      default:
        sources_.push_back({id, evaluate(node.outputs[0].shape, {}), updated[id]});
    }
  }
  for (const std::string& name : input_names_)
    if (graph_->source_id(name) < 0) unread_[name] = graph.node(graph.source_id(name)).outputs[0].shape;
  source_data_.resize(graph_->size());
  for (int32_t id : constants_) source_data_[id] = constant_data(*graph_, id);
}

void Program::Implementation::look_up(const Feeds& feeds) {
  size_t known = 0;
  fed_.clear();
  const auto add = [&](const std::string& name) {
    const auto fed = feeds.find(name);
    fed_.push_back(fed == feeds.end() ? nullptr : &fed->second);
    known += fed_.back() != nullptr;
  };
  for (int32_t id : inputs_) add(graph_->node(id).name);
  for (const auto& [name, shape] : unread_) add(name);
  if (known < feeds.size())
    for (const auto& [name, tensor] : feeds)
      if (std::find(input_names_.begin(), input_names_.end(), name) == input_names_.end())
        throw UserError(fmt::format("there is no input '{}'.{}", name, did_you_mean(name, input_names_)));
  for (size_t i = 0; i < inputs_.size(); ++i)
    if (const Node& node = graph_->node(inputs_[i]); !fed_[i])
      throw UserError(fmt::format("the input '{}' {} was not fed", node.name, text(node.outputs[0])));
}

// For what was looked up.
std::unique_ptr<Plan> Program::Implementation::make_plan() {
  Bindings bindings;
  for (size_t i = 0; i < inputs_.size(); ++i) bind_feed(graph_->node(inputs_[i]), *fed_[i], bindings);
  for (size_t i = 0; i < inputs_.size(); ++i) check_feed(graph_->node(inputs_[i]), *fed_[i], bindings);
  // A value may be sized by data whose elements it does not read.
  size_t next = inputs_.size();
  for (const auto& [name, shape] : unread_)
    if (const Tensor* fed = fed_[next++]; fed && fed->extents().size() == shape.size())
      for (size_t i = 0; i < shape.size(); ++i)
        if (const std::string symbol = shape[i].symbol_name(); !symbol.empty())
          bindings.emplace(symbol, fed->extents()[i]);
  if (!order_) order_ = std::make_unique<ExecutionOrder>(*graph_);
  const auto pack = [this](const Node& node, const Step& step) { return pack_constants(node, step); };
  return std::make_unique<Plan>(*order_, bindings, pack);
}

Plan& Program::Implementation::find_plan(const Feeds& feeds) {
  look_up(feeds);
  static const Extents none;
  const auto known = std::find_if(plans_.begin(), plans_.end(), [&](const Cached& cached) {
    return std::equal(
        fed_.begin(), fed_.end(), cached.extents.begin(),
        [&](const Tensor* fed, const Extents& of) { return (fed ? fed->extents() : none) == of; });
  });
  if (known != plans_.end()) {
    plans_.splice(plans_.begin(), plans_, known);
    return *plans_.front().plan;
  }
  std::vector<Extents> extents;
  for (const Tensor* fed : fed_) extents.push_back(fed ? fed->extents() : none);
  plans_.push_front({std::move(extents), make_plan()});
  if (plans_.size() > kept_plans) plans_.pop_back();
  return *plans_.front().plan;
}

std::shared_ptr<const void> Program::Implementation::pack_constants(const Node& node, const Step& step) {
  std::shared_ptr<const void>& packed = packed_[step.node];
  if (packed) return packed;
  const std::unique_ptr<Executor> serial = make_serial_executor();
  std::vector<TensorView> inputs = step.inputs;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (const auto [kind, id] = step.input_locations[i]; kind == Location::Kind::constant)
      inputs[i].data = constant_data(*graph_, static_cast<int32_t>(id));
  packed = node.op->pack({*node.op, inputs, step.outputs, node.attributes, *serial});
  return packed;
}

const Plan& Program::Implementation::plan(const Feeds& feeds) {
  const std::lock_guard lock(mutex_);
  return find_plan(feeds);
}

namespace {

struct Memory {
  const std::byte* begin;
  const std::byte* end;
  int32_t id;
};

Memory memory_of(const TensorView& view, int32_t id) {
  const auto* begin = static_cast<const std::byte*>(view.data);
  return {begin, begin + view.bytes(), id};
}

bool overlap(const Memory& a, const Memory& b) { return a.begin < b.end && b.begin < a.end; }

}  // namespace

// Updates may be written over the old values while other nodes still read what shares their memory.
void Program::Implementation::separate(Store& store) {
  std::vector<bool> in_store(graph_->size()), updated(graph_->size());
  for (const StoreSource& source : sources_) {
    in_store[source.id] = true;
    updated[source.id] = source.updated;
  }
  const auto view_of = [&](int32_t id) -> const TensorView& {
    const Node& node = graph_->node(id);
    return in_store[id] ? store.find(node.name)->view() : node.attributes.get<Tensor>("value").view();
  };
  for (bool again = true; again;) {
    again = false;
    std::vector<Memory> all;
    for (const StoreSource& source : sources_) all.push_back(memory_of(view_of(source.id), source.id));
    for (int32_t id : constants_)
      if (!own_constants_.contains(id)) all.push_back(memory_of(view_of(id), id));
    std::erase_if(all, [](const Memory& memory) { return memory.begin == memory.end; });
    std::sort(all.begin(), all.end(), [](const Memory& a, const Memory& b) { return a.begin < b.begin; });
    Memory last{nullptr, nullptr, -1};  // the one that reaches farthest
    for (const Memory& memory : all) {
      if (last.id >= 0 && overlap(last, memory) && (updated[last.id] || updated[memory.id])) {
        const int32_t id = in_store[last.id] ? memory.id : last.id;
        if (in_store[id]) {
          store.set(graph_->node(id).name, store.find(graph_->node(id).name)->clone());
        } else {
          own_constants_.emplace(id, graph_->node(id).attributes.get<Tensor>("value").clone());
        }
        source_data_[id] = in_store[id] ? view_of(id).data : own_constants_.at(id).view().data;
        again = true;
        break;
      }
      if (memory.end > last.end) last = memory;
    }
  }
}

const Tensor& Program::Implementation::stored(const StoreSource& source, const Store& store) const {
  const Node& node = graph_->node(source.id);
  const Tensor* tensor = store.find(node.name);
  if (!tensor) store.get(node.name);  // throws, with the nearest name
  if (tensor->dtype() != node.outputs[0].dtype || tensor->extents() != source.extents)
    throw UserError(
        fmt::format("'{}' is {} in the model but {} in the store; the two belong to different models",
                    node.name, text(node.outputs[0]), text(tensor->type())));
  return *tensor;
}

// `copies` keeps what is not read where it was fed.
void Program::Implementation::locate_sources(Store& store, Feeds& copies) {
  for (int32_t id : inputs_) source_data_[id] = nullptr;
  for (const StoreSource& source : sources_) source_data_[source.id] = stored(source, store).view().data;
  // Tensors that stay keep their memory, so that this is done once.
  if (updates_ && source_data_ != separate_data_) {
    separate(store);
    separate_data_ = source_data_;
  }
  std::vector<Memory> updated;  // none overlaps another one
  for (const StoreSource& source : sources_)
    if (source.updated && !inputs_.empty())
      updated.push_back(memory_of(store.find(graph_->node(source.id).name)->view(), source.id));
  std::erase_if(updated, [](const Memory& memory) { return memory.begin == memory.end; });
  std::sort(updated.begin(), updated.end(),
            [](const Memory& a, const Memory& b) { return a.begin < b.begin; });
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Node& node = graph_->node(inputs_[i]);
    const Tensor& fed = *fed_[i];
    if (fed.dtype() != node.outputs[0].dtype) {
      Bindings bindings;
      bind_feed(node, fed, bindings);
    }
    const Memory memory = memory_of(fed.view(), inputs_[i]);
    const auto next = std::partition_point(updated.begin(), updated.end(),
                                           [&](const Memory& other) { return other.end <= memory.begin; });
    const bool shared = next != updated.end() && overlap(memory, *next);
    source_data_[inputs_[i]] =
        shared ? copies.emplace(node.name, fed.clone()).first->second.view().data : fed.view().data;
  }
}

std::vector<Tensor> Program::Implementation::run(const Feeds& feeds, Store& store, Executor& executor) {
  const std::lock_guard lock(mutex_);
  Plan& plan = find_plan(feeds);
  Feeds copies;
  locate_sources(store, copies);
  const size_t bytes = plan.arena_bytes(executor.threads());
  if (bytes > arena_bytes_) {
    arena_.reset();
    arena_bytes_ = 0;
    arena_ = allocate_bytes(bytes);
    arena_bytes_ = bytes;
  }
  plan.bind(arena_.get(), source_data_);
  executor.run_plan(plan);

  // All old values are taken before the first update replaces one of them.
  std::vector<Tensor> results, old_values;
  std::vector<std::pair<void*, TensorView>> moves;
  const auto& outputs = graph_->outputs();
  results.reserve(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    TensorView view = plan.result(i);
    if (!outputs[i].is_update) {
      results.push_back(copy_of(view));
      continue;
    }
    void* target = source_data_[graph_->source_id(outputs[i].name)];
    if (target == view.data) continue;
    if (plan.result_location(i).kind == Location::Kind::store) {
      old_values.push_back(copy_of(view));
      view = old_values.back().view();
    }
    moves.emplace_back(target, std::move(view));
  }
  for (const auto& [target, view] : moves) std::memcpy(target, view.data, view.bytes());
  return results;
}

std::unique_ptr<BoundProgram> Program::Implementation::bind(const Feeds& feeds, const Store& store,
                                                            Executor& executor) {
  const std::lock_guard lock(mutex_);
  for (const Output& output : graph_->outputs())
    if (output.is_update)
      throw UserError(fmt::format(
          "a program that updates '{}' is not bound to its memory; call run(), which does the updates",
          output.name));
  look_up(feeds);
  std::unique_ptr<Plan> plan = make_plan();
  std::vector<void*> data = source_data_;
  std::vector<Tensor> sources;
  const auto take = [&](int32_t id, const Tensor& tensor) {
    data[id] = tensor.view().data;
    sources.push_back(tensor);
  };
  for (size_t i = 0; i < inputs_.size(); ++i) take(inputs_[i], *fed_[i]);
  for (const StoreSource& source : sources_) take(source.id, stored(source, store));
  return std::unique_ptr<BoundProgram>(new BoundProgram(std::move(plan), executor, data, std::move(sources)));
}

Program::Program(const Graph& graph, const PassOptions& passes) : Program(graph, graph, passes) {}

Program::Program(const Graph& part, const Graph& graph, const PassOptions& passes)
    : self_(std::make_unique<Implementation>(part, graph, passes)) {}
Program::~Program() = default;

std::vector<Tensor> Program::run(const Feeds& feeds, Store& store, Executor& executor) {
  return self_->run(feeds, store, executor);
}
std::unique_ptr<BoundProgram> Program::bind(const Feeds& feeds, const Store& store, Executor& executor) {
  return self_->bind(feeds, store, executor);
}
const Plan& Program::plan(const Feeds& feeds) { return self_->plan(feeds); }
const Graph& Program::graph() const { return *self_->graph_; }

std::unique_ptr<Program> program_of(const Graph& graph,
                                    std::span<const std::pair<std::string, Value>> outputs) {
  std::vector<Edge> roots;
  for (const auto& [name, value] : outputs) roots.push_back({value.node(), value.output()});
  const std::vector<bool> live = ancestors(graph, roots);
  Graph part;
  GraphCopy copy(graph, part);
  for (int32_t id = 0; id < graph.size(); ++id)
    if (live[id]) copy.copy(id);
  for (const auto& [name, value] : outputs) part.output(name, copy(value));
  return std::unique_ptr<Program>(new Program(part, graph, {}));
}

std::unique_ptr<Program> inference_program(const Graph& graph, std::span<const Value> values,
                                           const Store* frozen, bool with_updates) {
  Graph copied, inference, constant;
  GraphCopy copy(graph, copied);
  for (int32_t id = 0; id < graph.size(); ++id) copy.copy(id);
  for (size_t i = 0; i < values.size(); ++i) copied.output(fmt::format("{}", i), copy(values[i]));
  for (const Output& output : graph.outputs())
    if (output.is_update && with_updates) copied.update(output.name, copy(output.value));
  to_inference(copied, inference);
  if (!frozen) return std::make_unique<Program>(inference);
  freeze(inference, *frozen, constant);
  return std::make_unique<Program>(constant);
}

void initialize_store(const Graph& graph, Store& store, uint64_t seed) {
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const SourceKind kind = node.op->traits.source;
    if (kind != SourceKind::parameter && kind != SourceKind::state) continue;
    const Extents extents = evaluate(node.outputs[0].shape, {});
    if (const Tensor* known = store.find(node.name)) {
      if (known->dtype() != node.outputs[0].dtype || known->extents() != extents)
        throw UserError(
            fmt::format("'{}' is {} in the model but {} was loaded; the two belong to different models",
                        node.name, text(node.outputs[0]), text(known->type())));
      continue;
    }
    const Initializer initializer{node.attributes.get<std::string>("initializer"),
                                  node.attributes.get<double>("scale")};
    Tensor value = initialize(initializer, node.name, extents, node.outputs[0].dtype, seed);
    if (node.name == random_state_name) {
      value.data<int32_t>()[0] = static_cast<int32_t>(seed);
      value.data<int32_t>()[1] = static_cast<int32_t>(seed >> 32);
    }
    store.set(node.name, std::move(value));
  }
}

}  // namespace lariat
