#include "frontends/export/stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "frontends/export/c_op.hpp"
#include "frontends/export/concrete.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/constants.hpp"
#include "graph/exec/executor.hpp"
#include "graph/program/program.hpp"

namespace lariat::to_c {

namespace {

// Where a value of the model is computed.
struct Place {
  enum Kind { constant, at_end, stream } kind = constant;
  int clock = -1;    // of a stream
  bool cut = false;  // its last frames may be missing
};

using Key = std::pair<int32_t, int32_t>;
Key key(Edge edge) { return {edge.node, edge.output}; }

class Splitter {
 public:
  Splitter(const Graph& graph, int64_t fewest) : graph_(graph), fewest_(fewest) {
    end_ = std::make_shared<Graph>();
    add_clock(-1, {});
    for (int32_t id = 0; id < graph.size(); ++id) add(id);
    finish();
  }

  StreamedModel result() && { return std::move(model_); }

 private:
  Clock& clock(int index) { return model_.clocks[static_cast<size_t>(index)]; }
  Place& place(Edge edge) { return places_[key(edge)]; }

  int add_clock(int before, const Window& window) {
    Clock made;
    made.before = before;
    made.window = window;
    made.graph = std::make_shared<Graph>();
    model_.clocks.push_back(std::move(made));
    inside_.emplace_back();
    return static_cast<int>(model_.clocks.size()) - 1;
  }

  [[noreturn]] static void refuse(const Node& node, const std::string& why) {
    throw UserError(
        fmt::format("{}{}, so the model cannot run frame by frame; export it with --frames N instead of "
                    "--streaming",
                    place_of(node), why));
  }

  void add(int32_t id) {
    const Node& node = graph_.node(id);
    const SourceKind source = node.op->traits.source;
    if (source == SourceKind::constant) return;
    if (source == SourceKind::input) return add_input(id);
    bool any_stream = false, any_end = false;
    std::vector<bool> streams;
    for (const Edge& edge : node.inputs) {
      const Place& from = place(edge);
      streams.push_back(from.kind == Place::stream);
      any_stream |= from.kind == Place::stream;
      any_end |= from.kind == Place::at_end;
    }
    if (any_stream) return add_to_stream(id, streams, any_end);
    if (!any_end) return;  // constant; copied to where it is read
    put(*end_, at_end_, id, {.kind = Place::at_end}, {{"batch", 1}});
  }

  void add_input(int32_t id) {
    const Node& node = graph_.node(id);
    if (node.name == "features") {
      Shape shape = node.outputs[0].shape;
      shape[0] = shape[1] = 1;
      inside_[0][{id, 0}] = clock(0).graph->input("features", shape, node.outputs[0].dtype, node.where);
      place({id, 0}) = {Place::stream, 0};
      return;
    }
    at_end_[{id, 0}] = end_->input(node.name, {1}, node.outputs[0].dtype, node.where);
    place({id, 0}) = {.kind = Place::at_end};
  }

  // The value of an edge in a graph that holds it, or may hold a copy of a constant.
  Value in(Graph& graph, std::map<Key, Value>& known, Edge edge) {
    if (const auto found = known.find(key(edge)); found != known.end()) return found->second;
    const Node& node = graph_.node(edge.node);
    require(place(edge).kind == Place::constant, "a stream reads only what is there");
    if (node.op->traits.source == SourceKind::constant)
      return known[key(edge)] = graph.constant(node.attributes.get<Tensor>("value"), node.where);
    std::vector<Value> inputs;
    for (const Edge& input : node.inputs) inputs.push_back(in(graph, known, input));
    Attributes attributes;
    try {
      attributes = concrete_attributes(node, {{"batch", 1}});
    } catch (const UserError&) {
      refuse(node, "makes as many frames as the sequence has");
    }
    const Value first = graph.add(*node.op, inputs, attributes, node.name, node.where);
    return known[key(edge)] = {&graph, first.node(), edge.output};
  }

  // Adds node `id` with its inputs as they are in `graph`; `symbols` have sizes.
  void put(Graph& graph, std::map<Key, Value>& known, int32_t id, const Place& where, const Bindings& symbols,
           const std::function<void(Attributes&)>& change = {}) {
    const Node& node = graph_.node(id);
    std::vector<Value> inputs;
    for (const Edge& edge : node.inputs) inputs.push_back(in(graph, known, edge));
    // The result's frames are one; other sizes do not depend on their number.
    Attributes attributes = node.attributes;
    const Shape& made = node.outputs[0].shape;
    for (const auto& [name, value] : node.attributes) {
      const auto* shape = std::get_if<Shape>(&value);
      if (!shape || is_known(*shape)) continue;
      Shape sizes;
      for (const Dim size : *shape) {
        const bool is_time =
            where.kind == Place::stream && made.size() > 1 && !size.known() && size == made[1];
        try {
          sizes.push_back(is_time ? Dim(1) : Dim(size.evaluate(symbols)));
        } catch (const UserError&) {
          refuse(node, fmt::format("needs the number {} of the sequence's frames", size.text()));
        }
      }
      attributes.set(name, sizes);
    }
    if (change) change(attributes);
    const Value first = graph.add(*node.op, inputs, attributes, node.name, node.where);
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const Edge edge{id, static_cast<int32_t>(o)};
      known[key(edge)] = {&graph, first.node(), edge.output};
      place(edge) = where;
    }
  }

  void add_to_stream(int32_t id, const std::vector<bool>& streams, bool any_end) {
    const Node& node = graph_.node(id);
    int at = -1;
    bool cut = false;
    for (const Edge& edge : node.inputs) {
      const Place& from = place(edge);
      if (from.kind != Place::stream) continue;
      if (at >= 0 && from.clock != at) refuse(node, "joins frames of different rates");
      at = from.clock;
      cut |= from.cut;
    }
    const COp& op = *find_c_op(node.op->name);
    const TimeUse use = node.op->traits.elementwise || node.op->name == "cast" ? TimeUse{TimeUse::frame}
                        : op.time ? op.time(node, graph_, streams)
                                  : TimeUse{};
    const bool reads_lengths =
        use.kind == TimeUse::mask || use.kind == TimeUse::last || use.kind == TimeUse::recurrence;
    if (use.kind == TimeUse::whole) refuse(node, "needs all frames of the sequence at once");
    if (any_end && !reads_lengths) refuse(node, "needs the sequence's length before its end");
    if (cut && !(node.op->name == "reshape" && use.kind == TimeUse::window))
      refuse(node, "leaves out frames that may be the last ones");
    Graph& graph = *clock(at).graph;
    const Place here{Place::stream, at};
    switch (use.kind) {
      case TimeUse::whole:
        return;
      case TimeUse::frame:
        // What is chosen where a frame is there is chosen for every frame that has come.
        if (node.op->name == "select" && ones_.contains(key(node.inputs[0])) && streams[1] &&
            graph_.type(node.inputs[1]) == node.outputs[0]) {
          inside_[static_cast<size_t>(at)][{id, 0}] =
              in(graph, inside_[static_cast<size_t>(at)], node.inputs[1]);
          place({id, 0}) = here;
          return;
        }
        if (node.op->name == "reshape" && ones_.contains(key(node.inputs[0]))) ones_.insert({id, 0});
        return put(graph, inside_[static_cast<size_t>(at)], id, here, {{"batch", 1}});
      case TimeUse::cut:
        inside_[static_cast<size_t>(at)][{id, 0}] =
            in(graph, inside_[static_cast<size_t>(at)], node.inputs[0]);
        place({id, 0}) = {Place::stream, at, true};
        return;
      case TimeUse::mask:
        check_mask(node);
        ones_.insert({id, 0});
        inside_[static_cast<size_t>(at)][{id, 0}] =
            graph.constant(Tensor::filled(node.outputs[0].dtype, {1, 1}, 1), node.where);
        place({id, 0}) = here;
        return;
      case TimeUse::window:
        return add_window(id, at, use.over);
      case TimeUse::recurrence:
        return add_recurrence(id, at);
      case TimeUse::sum:
        return keep(id, at, Kept::sum);
      case TimeUse::largest:
        return keep(id, at, Kept::largest);
      case TimeUse::last:
        check_last(node);
        return keep(id, at, Kept::last);
    }
  }

  // The output of a clock's graph that shows `value`.
  size_t output_of(int at, const Value& value) {
    Clock& of = clock(at);
    const auto& outputs = of.graph->outputs();
    for (size_t i = 0; i < outputs.size(); ++i)
      if (outputs[i].value == Edge{value.node(), value.output()}) return i;
    of.graph->output(fmt::format("y{}", outputs.size()), value);
    return outputs.size() - 1;
  }

  // A window that moves on by `stride` frames is a clock of its own; those that beat alike are one.
  void add_window(int32_t id, int at, const Window& window) {
    const Node& node = graph_.node(id);
    int next = -1;
    for (size_t i = 1; i < model_.clocks.size(); ++i) {
      const Clock& other = model_.clocks[i];
      const Window& seen = other.window;
      if (other.before == at && seen.reach() == window.reach() && seen.stride == window.stride &&
          seen.before == window.before && seen.after == window.after)
        next = static_cast<int>(i);
    }
    if (next < 0) next = add_clock(at, window);
    std::map<Key, Value>& known = inside_[static_cast<size_t>(next)];
    Graph& graph = *clock(next).graph;
    const Edge source = node.inputs[0];
    Value& input = windows_[{next, key(source)}];
    if (!input) {
      const Value value = in(*clock(at).graph, inside_[static_cast<size_t>(at)], source);
      if (value.dtype() != f32) refuse(node, "keeps windows of integers");
      Shape shape = value.shape();
      const std::string name = fmt::format("w{}", clock(next).seen.size());
      clock(next).seen.push_back({name, output_of(at, value), element_count(shape).size()});
      shape[1] = window.reach();
      input = graph.input(name, shape, f32, node.where);
    }
    if (node.op->name == "pad") {
      known[{id, 0}] = input;
      place({id, 0}) = {Place::stream, next};
      return;
    }
    // On this clock's graph the source is the window.
    const auto shown = known.find(key(source));
    const std::optional<Value> kept = shown == known.end() ? std::nullopt : std::optional(shown->second);
    known[key(source)] = input;
    put(graph, known, id, {Place::stream, next}, {{"batch", 1}}, [](Attributes& attributes) {
      for (const char* name : {"pad_before", "pad_after"}) {
        const Attribute* pad = attributes.find(name);
        if (!pad) continue;
        if (const auto* both = std::get_if<std::vector<int64_t>>(pad)) {
          std::vector<int64_t> across = *both;
          across[0] = 0;
          attributes.set(name, across);
        } else {
          attributes.set(name, int64_t{0});
        }
      }
    });
    if (kept) {
      known[key(source)] = *kept;
    } else {
      known.erase(key(source));
    }
  }

  // The states that the inputs between kernel and lengths begin with are inputs of each beat, and the first
  // outputs the next ones.
  void add_recurrence(int32_t id, int at) {
    const Node& node = graph_.node(id);
    Graph& graph = *clock(at).graph;
    std::map<Key, Value>& known = inside_[static_cast<size_t>(at)];
    const int64_t units = graph_.type(node.inputs[1]).shape[0].size();
    std::vector<Value> inputs{in(graph, known, node.inputs[0]), in(graph, known, node.inputs[1])};
    std::vector<Kept> states;
    const auto& specs = node.op->inputs;
    const auto lengths = std::find_if(specs.begin(), specs.end(),
                                      [](const InputSpec& input) { return input.name == "lengths"; });
    const auto first_other = static_cast<size_t>(lengths - specs.begin());
    for (size_t i = 2; i < first_other; ++i) {
      const Edge edge = node.inputs[i];
      if (place(edge).kind != Place::constant) refuse(node, "begins with a state that is computed");
      Graph alone;
      std::map<Key, Value> copies;
      alone.output("start", in(alone, copies, edge));
      const Tensor start = evaluate_constant(alone)[0];
      if (start.count() != 1 && start.count() != units)
        refuse(node, "begins with another state for each example");
      Kept state{Kept::state, fmt::format("state{}", states_++), 0, units, {}};
      for (int64_t j = 0; j < units; ++j)
        state.start.push_back(static_cast<float>(start.at(start.count() == 1 ? 0 : j)));
      inputs.push_back(graph.input(state.name, {1, units}, f32, node.where));
      states.push_back(std::move(state));
    }
    for (size_t i = first_other; i < node.inputs.size(); ++i) {
      if (place(node.inputs[i]).kind == Place::constant) {
        inputs.push_back(in(graph, known, node.inputs[i]));
        continue;
      }
      if (i > first_other) refuse(node, "has a mask that is computed");
      check_lengths(node, node.inputs[i], node.inputs[0], "has other lengths than the frames that have come",
                    [](int64_t length, int64_t frames) { return length == frames; });
      inputs.push_back(graph.constant(0, i32, node.where));
    }
    const Value first = graph.add(*node.op, inputs, node.attributes, node.name, node.where);
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const Edge edge{id, static_cast<int32_t>(o)};
      known[key(edge)] = {&graph, first.node(), edge.output};
      place(edge) = {Place::stream, at};
    }
    for (size_t i = 0; i < states.size(); ++i) {
      states[i].output = output_of(at, known.at({id, static_cast<int32_t>(i)}));
      clock(at).kept.push_back(std::move(states[i]));
    }
  }

  void keep(int32_t id, int at, Kept::Kind kind) {
    const Node& node = graph_.node(id);
    const Value value = in(*clock(at).graph, inside_[static_cast<size_t>(at)], node.inputs[0]);
    if (value.dtype() != f32) refuse(node, "keeps integers");
    Shape shape = node.outputs[0].shape;
    shape[0] = 1;
    for (Dim& size : shape)
      if (!size.known()) refuse(node, "keeps more than one frame");
    Kept made{
        kind, fmt::format("kept{}", kept_++), output_of(at, value), element_count(value.shape()).size(), {}};
    if (element_count(shape).size() != made.count) refuse(node, "keeps more than one frame");
    at_end_[{id, 0}] = end_->input(made.name, shape, f32, node.where);
    place({id, 0}) = {.kind = Place::at_end};
    clock(at).kept.push_back(std::move(made));
  }

  // What the value of `edge`, which follows from the lengths alone, is for one sequence of `frames`.
  Tensor of_lengths(const Node& node, Edge edge, int64_t frames) {
    Graph asked;
    GraphCopy copy(graph_, asked);
    for (int32_t id = 0; id <= edge.node; ++id) copy.copy(id);
    asked.output("asked", copy(edge));
    Program program(asked);
    Feeds feeds{{"lengths", Tensor::of<int32_t>({1}, {static_cast<int32_t>(frames)})}};
    if (const int32_t features = asked.source_id("features"); features >= 0)
      feeds.emplace("features", Tensor(f32, evaluate(asked.node(features).outputs[0].shape,
                                                     {{"batch", 1}, {"time", frames}})));
    Store none;
    const std::unique_ptr<Executor> serial = make_serial_executor();
    try {
      return program.run(feeds, none, *serial)[0];
    } catch (const UserError&) {
      refuse(node, "needs the number of the sequence's frames");
    }
  }

  template <class Right>
  void check_lengths(const Node& node, Edge edge, Edge sequence, const std::string& why, const Right& right) {
    for (const int64_t more : {0, 1, 2, 3, 7, 50}) {
      const int64_t frames = fewest_ + more;
      const Tensor found = of_lengths(node, edge, frames);
      const int64_t there = graph_.type(sequence).shape[1].evaluate({{"batch", 1}, {"time", frames}});
      for (int64_t i = 0; i < found.count(); ++i)
        if (!right(static_cast<int64_t>(found.at(i)), there)) refuse(node, why);
    }
  }

  // A mask of other frames than those that have come would need to know how many will.
  void check_mask(const Node& node) {
    check_lengths(node, node.inputs[0], node.inputs[1], "leaves out frames by their place from the end",
                  [](int64_t length, int64_t frames) { return length == frames; });
  }

  void check_last(const Node& node) {
    check_lengths(node, node.inputs[1], node.inputs[0], "takes another frame than the last",
                  [](int64_t step, int64_t frames) { return step == frames - 1; });
  }

  void finish() {
    const Edge result = graph_.outputs()[0].value;
    const Node& node = graph_.node(result.node);
    const Place& where = place(result);
    if (where.kind == Place::constant) refuse(node, "is the same for every sequence");
    if (where.kind == Place::at_end) {
      end_->output("result", at_end_.at(key(result)));
      model_.end = end_;
      return;
    }
    if (where.clock != 0) refuse(node, "gives results for other frames than those that came last");
    const size_t output = output_of(0, inside_[0].at(key(result)));
    if (output != 0) {
      // Results come first.
      auto ordered = std::make_shared<Graph>();
      GraphCopy copy(*clock(0).graph, *ordered);
      const Graph& from = *clock(0).graph;
      for (int32_t id = 0; id < from.size(); ++id) copy.copy(id);
      const auto moved = [&](size_t old) { return old == output ? size_t{0} : old < output ? old + 1 : old; };
      std::vector<Edge> outputs(from.outputs().size());
      for (size_t i = 0; i < outputs.size(); ++i) outputs[moved(i)] = from.outputs()[i].value;
      for (size_t i = 0; i < outputs.size(); ++i) ordered->output(fmt::format("y{}", i), copy(outputs[i]));
      clock(0).graph = ordered;
      for (Kept& kept : clock(0).kept) kept.output = moved(kept.output);
      for (Clock& other : model_.clocks)
        if (other.before == 0)
          for (Clock::Seen& seen : other.seen) seen.output = moved(seen.output);
    }
  }

  const Graph& graph_;
  const int64_t fewest_;
  StreamedModel model_;
  std::shared_ptr<Graph> end_;
  std::map<Key, Place> places_;
  std::set<Key> ones_;                        // masks of frames, which are 1 for all that come
  std::vector<std::map<Key, Value>> inside_;  // by clock
  std::map<Key, Value> at_end_;
  std::map<std::pair<int, Key>, Value> windows_;  // by clock that sees them
  int states_ = 0, kept_ = 0;
};

}  // namespace

StreamedModel streamed(const Graph& graph, int64_t fewest) { return Splitter(graph, fewest).result(); }

}  // namespace lariat::to_c
