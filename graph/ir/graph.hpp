#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <source_location>
#include <span>

#include "graph/ir/attributes.hpp"
#include "graph/ir/initializer.hpp"
#include "graph/ir/value.hpp"

namespace lariat {

struct OpDef;

/// The state that random ops draw from; no other source may have the name.
inline constexpr std::string_view random_state_name = "random";

/// One output of a node within its graph.
struct Edge {
  int32_t node = -1;
  int32_t output = 0;
  friend bool operator==(const Edge&, const Edge&) = default;
};

/// The types of a node's outputs. Copies share them.
class TensorTypes {
 public:
  TensorTypes() = default;
  TensorTypes(std::vector<TensorType> types)
      : types_(std::make_shared<const std::vector<TensorType>>(std::move(types))) {}
  operator const std::vector<TensorType>&() const { return all(); }

  size_t size() const { return all().size(); }
  bool empty() const { return all().empty(); }
  const TensorType& operator[](size_t index) const { return all()[index]; }
  const TensorType* data() const { return all().data(); }
  auto begin() const { return all().begin(); }
  auto end() const { return all().end(); }
  friend bool operator==(const TensorTypes& a, const TensorTypes& b) {
    return a.types_ == b.types_ || a.all() == b.all();
  }

 private:
  const std::vector<TensorType>& all() const { return types_ ? *types_ : none; }

  static const std::vector<TensorType> none;
  std::shared_ptr<const std::vector<TensorType>> types_;
};

struct Node {
  const OpDef* op = nullptr;
  std::vector<Edge> inputs;
  Attributes attributes;
  TensorTypes outputs;
  std::string name;
  std::source_location where;
};

/// "[matmul] 'fc1' built at train.cpp:42: ", to begin a message with.
std::string place_of(const Node& node);

/// A named result. An update gives the parameter of that name its next value.
struct Output {
  std::string name;
  Edge value;
  bool is_update = false;
};

/// A compute graph: nodes in one arena, in an order in which every node comes after its inputs. Nodes are
/// only ever added, so a Value stays valid as long as its graph. Any number of threads may read a graph; only
/// one may use it while it is built.
class Graph {
 public:
  Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph();

  /// Data fed at each run. Throws UserError for a name already taken.
  Value input(std::string name, Shape shape, DType dtype = f32,
              std::source_location where = std::source_location::current());
  /// A trained tensor; its data live in a Store under this name.
  Value parameter(std::string name, Extents extents, const Initializer& initializer = init::glorot_uniform(),
                  DType dtype = f32, std::source_location where = std::source_location::current());
  /// A tensor kept in the Store that no optimizer trains: statistics, counters, optimizer slots.
  Value state(std::string name, Extents extents, const Initializer& initializer = init::zeros(),
              DType dtype = f32, std::source_location where = std::source_location::current());
  /// The seed and step counter that random ops draw from: state "random", i32 [seed low, seed high, step].
  Value random_state();
  Value constant(Tensor value, std::source_location where = std::source_location::current());
  Value constant(double value, DType dtype = f32,
                 std::source_location where = std::source_location::current());

  /// Adds a node: checks attributes, infers output types. Throws UserError that names op, node and source
  /// line.
  Value add(const OpDef& op, std::span<const Value> inputs, Attributes attributes = {}, std::string name = {},
            std::source_location where = std::source_location::current());

  /// Adds a node of another graph once more. What was found of it there is not found again where `inputs`
  /// have the types that its inputs have there.
  Value add_again(const Graph& from, int32_t id, std::span<const Value> inputs);
  /// The same for an input, parameter or state. Throws UserError for a name already taken.
  Value add_source_again(const Graph& from, int32_t id);

  void output(std::string name, Value value);
  void update(std::string parameter, Value next);

  int32_t size() const { return static_cast<int32_t>(nodes_.size()); }
  const Node& node(int32_t id) const {
    ++looked_at_;
    return nodes_[id];
  }
  /// How many nodes this thread has looked at: how work grows, without a clock.
  static int64_t nodes_looked_at() { return looked_at_; }
  const std::vector<Output>& outputs() const { return outputs_; }
  /// The value of output `name`. Throws UserError with the nearest known name.
  Value find_output(std::string_view name);
  /// The parameter, state or input node called `name`, or an empty Value.
  Value find_source(std::string_view name);
  /// The id of that node, or -1.
  int32_t source_id(std::string_view name) const;
  /// Whether a node computes from constants alone, of sizes that are known.
  bool is_constant(int32_t id) const { return constant_[id]; }
  Value value(Edge edge) { return {this, edge.node, edge.output}; }
  const TensorType& type(Edge edge) const { return nodes_[edge.node].outputs[edge.output]; }
  void rename(int32_t id, std::string name) { nodes_[id].name = std::move(name); }
  /// Says on which line a node was built, where that is another one than the caller's.
  void set_where(int32_t id, std::source_location where) { nodes_[id].where = where; }
  /// Expires with the graph: tells whether its Values may still be asked.
  std::weak_ptr<const void> lifetime() const { return alive_; }

 private:
  Value added();
  void refuse_taken(std::string_view op, const std::string& name, std::source_location where) const;
  Value source(std::string_view op, std::string name, TensorType type, Attributes attributes,
               std::source_location where);

  [[gnu::tls_model("initial-exec")]] static inline thread_local int64_t looked_at_ = 0;

  std::deque<Node> nodes_;  // they stay where they are when others are added
  std::vector<bool> constant_;
  std::vector<Output> outputs_;
  std::set<std::string, std::less<>> output_names_, updated_;
  std::map<std::string, int32_t, std::less<>> sources_;
  std::shared_ptr<const void> alive_ = std::make_shared<char>();
};

/// The node that a value is an output of.
inline bool is_constant(const Value& value) { return value.graph().is_constant(value.node()); }
inline const Node& node_of(const Value& value) { return value.graph().node(value.node()); }

/// Edges of each node's outputs to their readers: for node n, users[n] lists the ids of nodes that read it,
/// ascending.
std::vector<std::vector<int32_t>> users(const Graph& graph);

/// The nodes that a value depends on, itself included, in the order of the graph; what stands behind a node
/// that stops gradients is left out if asked. Takes time by their number, whatever the size of the graph.
std::vector<int32_t> nodes_behind(const Value& value, bool past_stops = true);

/// Whether each node has a path to one of `roots`, so nodes without are dead for them.
std::vector<bool> ancestors(const Graph& graph, std::span<const Edge> roots);
/// Whether the elements of each node depend on those of one of `sources` (a source depends on itself).
std::vector<bool> dependents(const Graph& graph, std::span<const int32_t> sources);

/// Copies nodes from one graph into another, remembering where each went.
class GraphCopy {
 public:
  GraphCopy(const Graph& from, Graph& to) : from_(from), to_(to), copies_(from.size()) {}
  /// Copies node `id`, whose inputs must have been copied or replaced. An input, parameter or state that the
  /// target has under the same name is taken as it is there.
  void copy(int32_t id);
  /// Lets `value` of the target graph stand for output 0.. of node `id`.
  void replace(int32_t id, std::vector<Value> values);
  void replace(int32_t id, Value value) { copies_[id] = {value, {}}; }
  Value operator()(Edge edge) const {
    const Copied& copied = copies_[edge.node];
    if (edge.output == 0) return copied.first;
    return copied.others.empty() ? Value() : copied.others[edge.output - 1];
  }
  Value operator()(Value value) const { return (*this)(Edge{value.node(), value.output()}); }
  std::vector<Value> inputs(int32_t id) const;
  std::vector<Value> values(int32_t id) const;
  /// Copies the outputs, whose nodes must have been copied.
  void copy_outputs() const;

 private:
  // Of a node's outputs; most have one.
  struct Copied {
    Value first;
    std::vector<Value> others;
  };
  void find_inputs(int32_t id, std::vector<Value>& inputs) const;

  const Graph& from_;
  Graph& to_;
  std::vector<Copied> copies_;
  std::vector<Value> inputs_;  // of the node that is copied
};

/// Copies all nodes and outputs of `from` into the empty `to`; node ids stay the same.
void copy_graph(const Graph& from, Graph& to);

}  // namespace lariat
