#include "frontends/export/stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "frontends/export/c_op.hpp"
#include "frontends/export/concrete.hpp"
#include "frontends/export/stream_clocks.hpp"
#include "frontends/export/stream_lengths.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/constants.hpp"
#include "ops/ops.hpp"

namespace lariat::to_c {

namespace {

// Where a value of the model is computed.
struct Place {
  enum Kind { constant, at_end, stream } kind = constant;
  int clock = -1;    // of a stream
  int64_t axis = 1;  // along which its frames lie
  bool cut = false;  // its last frames may be missing
};

constexpr const char* needs_all = "needs all frames of the sequence at once";

using Key = std::pair<int32_t, int32_t>;
Key key(Edge edge) { return {edge.node, edge.output}; }

class Splitter {
 public:
  Splitter(const Graph& graph, int64_t fewest) : graph_(graph), lengths_(graph, fewest) {
    end_ = std::make_shared<Graph>();
    add_clock(-1, {}, -1);
    for (int32_t id = 0; id < graph.size(); ++id) add(id);
    finish();
  }

  StreamedModel result() && { return std::move(model_); }

 private:
  Clock& clock(int index) { return model_.clocks[static_cast<size_t>(index)]; }
  Place& place(Edge edge) { return places_[key(edge)]; }

  int add_clock(int before, const Window& window, int32_t id) {
    Clock made;
    made.before = before;
    made.made_by = id;
    made.window = window;
    made.graph = std::make_shared<Graph>();
    model_.clocks.push_back(std::move(made));
    inside_.emplace_back();
    return static_cast<int>(model_.clocks.size()) - 1;
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
      refuse_stream(node, "makes as many frames as the sequence has");
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
    const auto axis = static_cast<size_t>(where.axis);
    for (const auto& [name, value] : node.attributes) {
      const auto* shape = std::get_if<Shape>(&value);
      if (!shape || is_known(*shape)) continue;
      Shape sizes;
      for (const Dim size : *shape) {
        const bool is_time =
            where.kind == Place::stream && made.size() > axis && !size.known() && size == made[axis];
        try {
          sizes.push_back(is_time ? Dim(1) : Dim(size.evaluate(symbols)));
        } catch (const UserError&) {
          refuse_stream(node, fmt::format("needs the number {} of the sequence's frames", size.text()));
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

  // The clock on which a node's frames meet, and the axis along which all lie.
  Place common_place(const Node& node) {
    std::optional<Place> common;
    for (const Edge& edge : node.inputs) {
      const Place& from = place(edge);
      if (from.kind != Place::stream) continue;
      if (!common) common = from;
      if (has_same_beats(model_, from.clock, common->clock)) {
        common->clock = from.clock;
      } else if (!has_same_beats(model_, common->clock, from.clock)) {
        refuse_join(graph_, model_, node, common->clock, from.clock);
      }
      if (from.axis != common->axis) refuse_stream(node, "joins frames that lie along different axes");
      common->cut |= from.cut;
    }
    return *common;
  }

  // Along which axis of what a node makes frames lie that lie along `axis` of what it reads, each of which it
  // takes by itself; -1: it may need several at once.
  int64_t axis_behind(const Node& node, const std::vector<bool>& streams, int64_t axis) const {
    const COp& op = *find_c_op(node.op->name);
    if (op.axis_behind) return op.axis_behind(node, graph_, streams, axis);
    if (!node.op->traits.elementwise && node.op->name != "cast") return -1;
    // Operands meet by their places from the last axis.
    for (size_t i = 0; i < streams.size(); ++i)
      if (streams[i] && graph_.type(node.inputs[i]).shape.size() != node.outputs[0].shape.size()) return -1;
    return axis;
  }

  void add_to_stream(int32_t id, const std::vector<bool>& streams, bool any_end) {
    const Node& node = graph_.node(id);
    const Place from = common_place(node);
    const int at = from.clock;
    for (size_t i = 0; i < streams.size(); ++i)
      if (streams[i]) bring(node, node.inputs[i], at);
    const COp& op = *find_c_op(node.op->name);
    const int64_t axis = axis_behind(node, streams, from.axis);
    const bool by_element = node.op->traits.elementwise || node.op->name == "cast";
    const TimeUse use = by_element ? TimeUse{TimeUse::frame}
                        : op.time  ? op.time(node, graph_, streams)
                                   : TimeUse{};
    if (from.axis != 1 || axis > 1 || axis == 0 || (axis == 1 && use.kind == TimeUse::whole)) {
      if (axis < 0) refuse_stream(node, needs_all);
      if (any_end || from.cut)
        refuse_stream(node, "lays frames along another axis that may not be the sequence's");
      return put(*clock(at).graph, inside_[static_cast<size_t>(at)], id, {Place::stream, at, axis},
                 {{"batch", 1}});
    }
    const bool reads_lengths =
        use.kind == TimeUse::mask || use.kind == TimeUse::last || use.kind == TimeUse::recurrence;
    if (use.kind == TimeUse::whole) refuse_stream(node, needs_all);
    if (any_end && !reads_lengths) refuse_stream(node, "needs the sequence's length before its end");
    if (from.cut && !(node.op->name == "reshape" && use.kind == TimeUse::window))
      refuse_stream(node, "leaves out frames that may be the last ones");
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
        place({id, 0}) = {Place::stream, at, 1, true};
        return;
      case TimeUse::mask:
        lengths_.check_mask(node);
        ones_.insert({id, 0});
        inside_[static_cast<size_t>(at)][{id, 0}] =
            graph.constant(Tensor::filled(node.outputs[0].dtype, {1, 1}, 1), node.where);
        place({id, 0}) = here;
        return;
      case TimeUse::window:
        return use.over.stride == 1 && use.over.after == 0 && use.over.before == use.over.reach() - 1
                   ? add_ending_window(id, at, use.over.reach())
                   : add_window(id, at, use.over);
      case TimeUse::recurrence:
        return add_recurrence(id, at);
      case TimeUse::sum:
        return keep(id, at, Kept::sum);
      case TimeUse::largest:
        return keep(id, at, Kept::largest);
      case TimeUse::last:
        lengths_.check_last(node);
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
    int next = clock_of_window(model_, at, window);
    if (next < 0) next = add_clock(at, window, id);
    const Edge source = node.inputs[0];
    const Value input = seen_by(next, source, node);
    if (node.op->name == "pad") {
      inside_[static_cast<size_t>(next)][{id, 0}] = input;
      place({id, 0}) = {Place::stream, next};
      return;
    }
    put_on_window(id, next, input);
  }

  // The window of clock `at` over what `source` is on the clock before.
  Value seen_by(int at, Edge source, const Node& node) {
    Value& input = windows_[{at, key(source)}];
    if (input) return input;
    const int before = clock(at).before;
    const Value value = in(*clock(before).graph, inside_[static_cast<size_t>(before)], source);
    if (value.dtype() != f32) refuse_stream(node, "keeps windows of integers");
    Shape shape = value.shape();
    const std::string name = fmt::format("w{}", clock(at).seen.size());
    clock(at).seen.push_back({name, output_of(before, value), element_count(shape).size()});
    shape[1] = clock(at).window.reach();
    return input = clock(at).graph->input(name, shape, f32, node.where);
  }

  // Makes frames of a clock known on another that beats later: each lies in the window that is seen when it
  // is that one's turn.
  void bring(const Node& node, Edge edge, int to) {
    std::vector<int> late;
    for (int at = to; at != place(edge).clock; at = clock(at).before) late.push_back(at);
    for (; !late.empty(); late.pop_back()) {
      std::map<Key, Value>& known = inside_[static_cast<size_t>(late.back())];
      if (known.contains(key(edge))) continue;
      if (ones_.contains(key(edge))) {
        const TensorType type = inside_[static_cast<size_t>(place(edge).clock)].at(key(edge)).type();
        known[key(edge)] =
            clock(late.back()).graph->constant(Tensor::filled(type.dtype, evaluate(type.shape, {}), 1));
        continue;
      }
      const int64_t turn = clock(late.back()).window.before;
      known[key(edge)] = slice(seen_by(late.back(), edge, node), 1, turn, turn + 1);
    }
  }

  // A window that ends at the frame that has come beats with it: the frames before are kept.
  void add_ending_window(int32_t id, int at, int64_t reach) {
    const Node& node = graph_.node(id);
    Graph& graph = *clock(at).graph;
    std::map<Key, Value>& known = inside_[static_cast<size_t>(at)];
    const Edge source = node.inputs[0];
    const Value frame = in(graph, known, source);
    if (reach == 1) return put_on_window(id, at, frame);
    if (frame.dtype() != f32) refuse_stream(node, "keeps windows of integers");
    Value& window = past_ends_[{{at, key(source)}, reach}];
    if (!window) {
      Shape past = frame.shape();
      const int64_t width = element_count(past).size();
      past[1] = reach - 1;
      Kept made{Kept::window, fmt::format("past{}", pasts_++), 0, reach * width, {}, width};
      window = concat({graph.input(made.name, past, f32, node.where), frame}, 1, node.where);
      made.output = output_of(at, window);
      clock(at).kept.push_back(std::move(made));
    }
    put_on_window(id, at, window);
  }

  // Adds node `id` on clock `at`, where its first input is a window.
  void put_on_window(int32_t id, int at, const Value& window) {
    const Node& node = graph_.node(id);
    std::map<Key, Value>& known = inside_[static_cast<size_t>(at)];
    const Key source = key(node.inputs[0]);
    const auto shown = known.find(source);
    const std::optional<Value> frame = shown == known.end() ? std::nullopt : std::optional(shown->second);
    known[source] = window;
    put(*clock(at).graph, known, id, {Place::stream, at}, {{"batch", 1}}, [](Attributes& attributes) {
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
    if (frame) {
      known[source] = *frame;
    } else {
      known.erase(source);
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
      if (place(edge).kind != Place::constant) refuse_stream(node, "begins with a state that is computed");
      Graph alone;
      std::map<Key, Value> copies;
      alone.output("start", in(alone, copies, edge));
      const Tensor start = evaluate_constant(alone)[0];
      if (start.count() != 1 && start.count() != units)
        refuse_stream(node, "begins with another state for each example");
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
      if (i > first_other) refuse_stream(node, "has a mask that is computed");
      lengths_.check_all(node, node.inputs[i], node.inputs[0]);
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
    if (value.dtype() != f32) refuse_stream(node, "keeps integers");
    Shape shape = node.outputs[0].shape;
    shape[0] = 1;
    for (Dim& size : shape)
      if (!size.known()) refuse_stream(node, "keeps more than one frame");
    Kept made{
        kind, fmt::format("kept{}", kept_++), output_of(at, value), element_count(value.shape()).size(), {}};
    if (element_count(shape).size() != made.count) refuse_stream(node, "keeps more than one frame");
    at_end_[{id, 0}] = end_->input(made.name, shape, f32, node.where);
    place({id, 0}) = {.kind = Place::at_end};
    clock(at).kept.push_back(std::move(made));
  }

  void finish() {
    const Edge result = graph_.outputs()[0].value;
    const Node& node = graph_.node(result.node);
    const Place& where = place(result);
    if (where.kind == Place::constant) refuse_stream(node, "is the same for every sequence");
    if (where.kind == Place::at_end) {
      end_->output("result", at_end_.at(key(result)));
      model_.end = end_;
      return;
    }
    if (where.clock != 0)
      refuse_late(graph_, model_, where.clock, 0, "a result is given for each frame as it comes");
    if (where.axis != 1) refuse_stream(node, "lays frames along another axis");
    const size_t output = output_of(0, inside_[0].at(key(result)));
    if (output != 0) put_output_first(model_, output);
  }

  const Graph& graph_;
  const StreamLengths lengths_;
  StreamedModel model_;
  std::shared_ptr<Graph> end_;
  std::map<Key, Place> places_;
  std::set<Key> ones_;                        // masks of frames, which are 1 for all that come
  std::vector<std::map<Key, Value>> inside_;  // by clock
  std::map<Key, Value> at_end_;
  std::map<std::pair<int, Key>, Value> windows_;                        // by clock that sees them
  std::map<std::pair<std::pair<int, Key>, int64_t>, Value> past_ends_;  // by clock, source and reach
  int states_ = 0, kept_ = 0, pasts_ = 0;
};

}  // namespace

StreamedModel streamed(const Graph& graph, int64_t fewest) { return Splitter(graph, fewest).result(); }

}  // namespace lariat::to_c
