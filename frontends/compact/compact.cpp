#include "frontends/compact/compact.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"

namespace lariat {

int64_t Stack::width_of(const Wiring& wiring, size_t layer) const {
  if (widths.empty()) return outputs;
  for (size_t i = 0; i < wiring.outputs.size(); ++i)
    if (wiring.outputs[i] == Wiring::Source{static_cast<int64_t>(layer)}) return widths[i];
  return 0;
}

StackGraph graph_of(const Stack& stack) {
  StackGraph result{std::make_unique<Graph>(), {}, {}, {}, {}, {}};
  std::vector<std::string> columns;
  for (const data::Column& column : stack.shape.columns) columns.push_back(column.name);
  result.wiring = wiring_of(stack.layers, stack.output_names, &columns);
  const std::map<std::string, Signal> fed = column_signals(*result.graph, stack.shape);
  Penalties penalties;
  const auto width = [&](size_t layer) { return stack.width_of(result.wiring, layer); };
  // For what they compute alone, without penalties.
  std::vector<LayerSpec> frozen;
  for (const LayerSpec& layer : stack.layers) frozen.push_back(layer.frozen());
  result.signals = build_layers(*result.graph, frozen, result.wiring, fed, width, penalties);
  result.signals.insert(result.signals.begin(), fed.at(all_columns));
  const auto signal_of = [&](const Wiring::Source& source) {
    const auto from = static_cast<size_t>(source.layer);
    return source.layer < 0 ? fed.at(source.column)
                            : taken_of(result.signals[from + 1], source, stack.layers[from]);
  };
  for (size_t i = 0; i < stack.layers.size(); ++i) {
    std::vector<Signal>& inputs = result.inputs.emplace_back();
    for (const Wiring::Source& source : result.wiring.inputs[i]) inputs.push_back(signal_of(source));
    auto& initial = result.initial.emplace_back();
    for (const Wiring::Source& source : result.wiring.initial[i])
      initial.emplace_back(result.wiring.name_of(source), signal_of(source));
  }
  for (const Wiring::Source& output : result.wiring.outputs) result.outputs.push_back(signal_of(output));
  return result;
}

namespace {

// What is known of the channels behind each layer, in front of which the data come first.
class Analysis {
 public:
  explicit Analysis(Stack& stack) : stack_(stack) {
    const StackGraph graph = graph_of(stack);
    wiring_ = graph.wiring;
    for (const Signal& signal : graph.signals) shapes_.push_back(signal.value.shape());
    for (const std::vector<Signal>& inputs : graph.inputs) {
      std::vector<Shape>& shapes = input_shapes_.emplace_back();
      for (const Signal& input : inputs) shapes.push_back(input.value.shape());
    }
    std::vector<size_t> places(layers());
    for (const size_t owner : wiring_.owners) ++places[owner];
    for (const size_t owner : wiring_.owners) is_shared_.push_back(places[owner] > 1);
    gives_states_.resize(layers());
    const auto note = [&](const std::vector<Wiring::Source>& sources) {
      for (const Wiring::Source& source : sources)
        if (!source.state.empty()) gives_states_[static_cast<size_t>(source.layer)] = true;
    };
    note(wiring_.outputs);
    for (size_t i = 0; i < layers(); ++i) {
      note(wiring_.inputs[i]);
      note(wiring_.initial[i]);
    }
    find_constants();
    find_read();
  }

  size_t layers() const { return stack_.layers.size(); }
  // Behind the layer before `at`.
  size_t channels(size_t at) const { return static_cast<size_t>(shapes_[at].back().size()); }

  const ChannelMarks& read_of_data() const { return read_.front(); }
  // Whether each layer takes what the one before it gives.
  bool is_chain() const {
    for (size_t i = 0; i < layers(); ++i) {
      const std::vector<Wiring::Source>& taken = wiring_.inputs[i];
      if (taken.size() != 1 || !taken[0].state.empty() || !wiring_.initial[i].empty() ||
          taken[0].layer != static_cast<int64_t>(i) - 1 || (i == 0 && taken[0].column != all_columns))
        return false;
    }
    return true;
  }

  // Takes useless units out of one layer; false where there is none, and `kept` then has the reasons.
  bool take_out(CompactReport& report, std::map<std::string, int64_t>& kept) {
    for (const size_t i : wiring_.order)
      if (!is_output(i) && sources_of(i).empty() && take_out_of(i, report, kept)) return true;
    return false;
  }

 private:
  // Of a layer that lets channels through: the input and its channel that an outgoing one is made of alone.
  struct Source {
    size_t input;
    int64_t channel;
  };
  // Of the channels somewhere, which unit of a layer each is made of; -1: of no unit of it. Empty where none
  // is.
  using UnitsOf = std::vector<int64_t>;

  LayerInModel layer(size_t i) const {
    const size_t owner = wiring_.owners[i];
    return {stack_.layers[owner], wiring_.names[owner], input_shapes_[i].front(), shapes_[i + 1],
            stack_.weights};
  }
  // Whose weights, used elsewhere as well, stay as they are. Where channels go through them, nothing is known
  // of these: what a layer keeps of each place is not its weights.
  bool is_kept(size_t i) const { return is_shared_[i] && bool(units_of(i).keep_outputs); }
  bool is_kept_between(size_t i) const { return is_kept(i) && bool(units_of(i).sources); }
  const LayerUnits& units_of(size_t i) const { return layer_kind_of(stack_.layers[i]).units; }
  bool is_output(size_t i) const {
    return std::find(wiring_.outputs.begin(), wiring_.outputs.end(),
                     Wiring::Source{static_cast<int64_t>(i)}) != wiring_.outputs.end();
  }
  size_t input_count(size_t i) const { return wiring_.inputs[i].size(); }
  size_t input_channels(size_t i, size_t input) const {
    return static_cast<size_t>(input_shapes_[i][input].back().size());
  }

  std::vector<Source> sources_of(size_t i) const {
    const LayerUnits& units = units_of(i);
    std::vector<Source> sources;
    if (is_kept(i)) return sources;
    if (units.side_by_side) {
      for (size_t input = 0; input < input_count(i); ++input)
        for (size_t channel = 0; channel < input_channels(i, input); ++channel)
          sources.push_back({input, static_cast<int64_t>(channel)});
    } else if (units.sources) {
      for (const int64_t channel : units.sources(layer(i))) sources.push_back({0, channel});
    }
    return sources;
  }

  ChannelConstants input_constants(size_t i, size_t input) const {
    const Wiring::Source& source = wiring_.inputs[i][input];
    return source.layer < 0 || !source.state.empty() ? ChannelConstants(input_channels(i, input))
                                                     : constants_[static_cast<size_t>(source.layer) + 1];
  }

  void find_constants() {
    constants_.resize(layers() + 1);
    constants_.front().resize(channels(0));
    for (const size_t i : wiring_.order) {
      const LayerUnits& units = units_of(i);
      ChannelConstants& constants = constants_[i + 1];
      if (units.side_by_side) {
        for (size_t input = 0; input < input_count(i); ++input) {
          const ChannelConstants of_input = input_constants(i, input);
          constants.insert(constants.end(), of_input.begin(), of_input.end());
        }
      } else if (units.constants && input_count(i) == 1 && !is_kept_between(i) &&
                 wiring_.initial[i].empty()) {
        constants = units.constants(layer(i), input_constants(i, 0));
      } else {
        constants.resize(channels(i + 1));
      }
    }
  }

  // Whether the layer makes one number of a channel that is not one.
  bool makes_constant(size_t i, size_t channel, const Source& source) const {
    return constants_[i + 1][channel] &&
           !input_constants(i, source.input)[static_cast<size_t>(source.channel)];
  }

  // Marks of the channels that a layer takes, where they come from.
  void mark_read(size_t i, size_t input, const ChannelMarks& marks) {
    const Wiring::Source& source = wiring_.inputs[i][input];
    const bool all = source.layer < 0 ? source.column != all_columns : !source.state.empty();
    ChannelMarks& read = read_[static_cast<size_t>(source.layer + 1)];
    for (size_t channel = 0; channel < read.size(); ++channel)
      read[channel] = read[channel] || all || marks[channel];
  }
  // All that a state begins with, or a state itself is made of.
  void mark_read(const Wiring::Source& source) {
    ChannelMarks& read = read_[static_cast<size_t>(source.layer + 1)];
    read.assign(read.size(), true);
  }

  void find_read() {
    for (size_t at = 0; at <= layers(); ++at) read_.emplace_back(channels(at), false);
    for (const Wiring::Source& output : wiring_.outputs) mark_read(output);
    needed_.resize(layers());
    read_by_.resize(layers());
    for (auto order = wiring_.order.rbegin(); order != wiring_.order.rend(); ++order) {
      const size_t i = *order;
      const LayerUnits& units = units_of(i);
      needed_[i] = units.needs ? units.needs(layer(i), read_[i + 1]) : read_[i + 1];
      const std::vector<Source> sources = sources_of(i);
      std::vector<ChannelMarks> marks;
      for (size_t input = 0; input < input_count(i); ++input)
        marks.emplace_back(input_channels(i, input), sources.empty());
      if (!sources.empty()) {
        for (size_t channel = 0; channel < sources.size(); ++channel)
          if (needed_[i][channel] && !makes_constant(i, channel, sources[channel]))
            marks[sources[channel].input][static_cast<size_t>(sources[channel].channel)] = true;
      } else if (units.reads && marks.size() == 1 && !is_kept_between(i)) {
        marks.front() = units.reads(layer(i), needed_[i]);
      }
      for (size_t input = 0; input < marks.size(); ++input) mark_read(i, input, marks[input]);
      for (const Wiring::Source& source : wiring_.initial[i]) mark_read(source);
      read_by_[i] = std::move(marks.front());
    }
  }

  // Where a layer's units go, behind each layer.
  std::vector<UnitsOf> flow_from(size_t i) const {
    std::vector<UnitsOf> behind(layers() + 1);
    behind[i + 1].resize(channels(i + 1));
    std::iota(behind[i + 1].begin(), behind[i + 1].end(), 0);
    for (const size_t l : wiring_.order) {
      if (l == i) continue;
      UnitsOf units;
      bool any = false;
      for (const Source& source : sources_of(l)) {
        const UnitsOf& taken = taken_by(l, source.input, behind);
        units.push_back(taken.empty() ? -1 : taken[static_cast<size_t>(source.channel)]);
        any = any || units.back() >= 0;
      }
      if (any) behind[l + 1] = std::move(units);
    }
    return behind;
  }
  const UnitsOf& taken_by(size_t i, size_t input, const std::vector<UnitsOf>& behind) const {
    return taken_from(wiring_.inputs[i][input], behind);
  }
  const UnitsOf& taken_from(const Wiring::Source& source, const std::vector<UnitsOf>& behind) const {
    static const UnitsOf none;
    return source.layer < 0 || !source.state.empty() ? none : behind[static_cast<size_t>(source.layer) + 1];
  }
  // Calls body(layer, units of its input) for every layer that takes some in and lets none through.
  template <class Body>
  void for_readers(const std::vector<UnitsOf>& behind, const Body& body) const {
    for (const size_t l : wiring_.order)
      for (size_t input = 0; input < input_count(l); ++input)
        if (const UnitsOf& units = taken_by(l, input, behind); !units.empty() && sources_of(l).empty())
          body(l, units);
  }

  // Why a channel in front of `reader` cannot be left out, or "".
  std::string why_stays(size_t reader, size_t channel) const {
    const LayerUnits& units = units_of(reader);
    const std::string& name = wiring_.names[reader];
    if (!units.keep_inputs) return fmt::format("{} reads them: {}", name, units.reason);
    if (is_kept(reader)) return fmt::format("{} reads them: {}", name, why_kept);
    if (const std::string why = units.why_fixed ? units.why_fixed(layer(reader), false) : ""; !why.empty())
      return fmt::format("{} reads them: {}", name, why);
    if (!read_by_[reader][channel]) return "";
    const std::optional<float> constant = input_constants(reader, 0)[channel];
    if (!constant) return fmt::format("what {} reads of them is not always the same", name);
    const std::string why = units.why_reads ? units.why_reads(layer(reader), *constant) : "";
    return why.empty() ? "" : fmt::format("{} reads them: {}", name, why);
  }

  // Why none of a layer's own units can go, or "".
  std::string why_all_stay(size_t i) const {
    const LayerUnits& units = units_of(i);
    if (!units.keep_outputs) return units.reason;
    if (is_shared_[i]) return why_kept;
    if (!wiring_.initial[i].empty()) return "its states begin with what others give";
    if (gives_states_[i]) return "the states that it ends with are taken";
    return units.why_fixed ? units.why_fixed(layer(i), true) : "";
  }

  bool take_out_of(size_t i, CompactReport& report, std::map<std::string, int64_t>& kept) {
    const LayerUnits& units = units_of(i);
    const ChannelConstants& constants = constants_[i + 1];
    ChannelMarks useless(channels(i + 1), false);
    for (size_t unit = 0; unit < useless.size(); ++unit) useless[unit] = !needed_[i][unit] || constants[unit];
    const auto stays = [&](size_t unit, const std::string& why) {
      if (!useless[unit]) return;
      useless[unit] = false;
      ++kept[fmt::format("of {}: {}", wiring_.names[i], why)];
    };
    const std::string why = why_all_stay(i);
    if (!why.empty()) {
      for (size_t unit = 0; unit < useless.size(); ++unit) stays(unit, why);
      return false;
    }
    const std::vector<UnitsOf> behind = flow_from(i);
    const auto check = [&](const UnitsOf& unit_of, const auto& why_of) {
      for (size_t channel = 0; channel < unit_of.size(); ++channel)
        if (unit_of[channel] >= 0 && useless[static_cast<size_t>(unit_of[channel])])
          if (const std::string why = why_of(channel); !why.empty())
            stays(static_cast<size_t>(unit_of[channel]), why);
    };
    for (const Wiring::Source& output : wiring_.outputs)
      check(taken_from(output, behind),
            [](size_t) { return std::string("the model's outputs are made of them"); });
    for (size_t l = 0; l < layers(); ++l)
      for (const Wiring::Source& source : wiring_.initial[l])
        check(taken_from(source, behind),
              [&](size_t) { return fmt::format("{} begins with them", wiring_.names[l]); });
    for_readers(behind, [&](size_t reader, const UnitsOf& unit_of) {
      check(unit_of, [&](size_t channel) { return why_stays(reader, channel); });
    });
    const bool all = std::all_of(useless.begin(), useless.end(), [](bool mark) { return mark; });
    if (all) stays(0, "a layer has one unit at least");
    if (units.together) {
      const ChannelMarks together = units.together(layer(i), useless);
      for (size_t unit = 0; unit < useless.size(); ++unit)
        if (!together[unit]) stays(unit, "both directions have as many");
    }
    if (std::none_of(useless.begin(), useless.end(), [](bool mark) { return mark; })) return false;
    count(useless, i, behind, report);
    leave_out(i, behind, useless);
    return true;
  }

  void count(const ChannelMarks& gone, size_t i, const std::vector<UnitsOf>& behind,
             CompactReport& report) const {
    // What a reader gets of a unit, be it 0 behind an activation only.
    ChannelMarks moves(gone.size(), false);
    for_readers(behind, [&](size_t reader, const UnitsOf& unit_of) {
      const ChannelConstants constants = input_constants(reader, 0);
      for (size_t channel = 0; channel < unit_of.size(); ++channel)
        if (unit_of[channel] >= 0 && read_by_[reader][channel] && constants[channel] != 0.0f)
          moves[static_cast<size_t>(unit_of[channel])] = true;
    });
    for (size_t unit = 0; unit < gone.size(); ++unit)
      if (gone[unit]) ++(moves[unit] ? report.folded : needed_[i][unit] ? report.zero : report.unread);
  }

  void leave_out(size_t i, const std::vector<UnitsOf>& behind, const ChannelMarks& gone) const {
    const auto kept_of = [&](const UnitsOf& unit_of) {
      std::vector<int64_t> kept;
      for (size_t channel = 0; channel < unit_of.size(); ++channel)
        if (unit_of[channel] < 0 || !gone[static_cast<size_t>(unit_of[channel])])
          kept.push_back(static_cast<int64_t>(channel));
      return kept;
    };
    // The readers first: they still see the shapes of before.
    for_readers(behind, [&](size_t reader, const UnitsOf& unit_of) {
      ChannelConstants constants = input_constants(reader, 0);
      for (size_t channel = 0; channel < constants.size(); ++channel)
        if (!read_by_[reader][channel]) constants[channel] = 0.0f;
      units_of(reader).keep_inputs(layer(reader), kept_of(unit_of), constants);
    });
    for (const size_t l : wiring_.order)
      if (l != i && !behind[l + 1].empty())
        if (const LayerUnits& units = units_of(l); units.keep_outputs)
          units.keep_outputs(layer(l), kept_of(behind[l + 1]));
    units_of(i).keep_outputs(layer(i), kept_of(behind[i + 1]));
  }

  static constexpr const char* why_kept = "its weights are used in several places";

  Stack& stack_;
  Wiring wiring_;
  std::vector<bool> is_shared_, gives_states_;    // of each layer
  std::vector<Shape> shapes_;                     // behind each layer, the data first
  std::vector<std::vector<Shape>> input_shapes_;  // of what each layer takes
  std::vector<ChannelConstants> constants_;       // behind each layer, the data first
  std::vector<ChannelMarks> read_;                // likewise: by any layer
  std::vector<ChannelMarks> read_by_;             // by each layer, of its first input
  std::vector<ChannelMarks> needed_;              // behind each layer: read, or needed by units that are
};

}  // namespace

namespace {

// Fewer than one of so many unread channels of the data are not worth a layer that picks out the others.
constexpr size_t least_unread_of = 8;

void take_all_out(Stack& stack, CompactReport& report, std::map<std::string, int64_t>& kept) {
  do kept.clear();
  while (Analysis(stack).take_out(report, kept));
}

// A layer in front that picks out what is read of the data; false where that is no gain.
bool select_data(Stack& stack, CompactReport& report, std::map<std::string, int64_t>& kept) {
  const Analysis found(stack);
  const ChannelMarks read = found.read_of_data();
  const auto unread = static_cast<size_t>(std::count(read.begin(), read.end(), false));
  // A layer that is there already has let them go.
  if (unread == 0 || !found.is_chain() || stack.layers.front().kind == Select({0}).kind) return false;
  const auto say = [&](const std::string& why) {
    kept["of the data: " + why] += static_cast<int64_t>(unread);
  };
  if (unread * least_unread_of < read.size() || std::ssize(read) > most_channels) {
    say(std::ssize(read) > most_channels ? "a layer selects from a million at most"
                                         : "too few to pick out the others");
    return false;
  }
  Stack with = stack;
  std::vector<int64_t> all(read.size());
  std::iota(all.begin(), all.end(), 0);
  with.layers.insert(with.layers.begin(), Select(all));
  CompactReport more = report;
  std::map<std::string, int64_t> kept_then;
  take_all_out(with, more, kept_then);
  if (Analysis(with).channels(1) == all.size()) {
    for (const auto& [reason, count] : kept_then)
      if (reason.starts_with("of select_")) say(reason.substr(reason.find(':') + 2));
    return false;
  }
  report.unread_data = static_cast<int64_t>(all.size() - Analysis(with).channels(1));
  more.unread -= report.unread_data;
  more.unread_data = report.unread_data;
  stack = std::move(with);
  report = std::move(more);
  kept = std::move(kept_then);
  return true;
}

}  // namespace

CompactReport compact(Stack& stack) {
  CompactReport report;
  const Analysis before(stack);
  const size_t layers = stack.layers.size();
  for (size_t i = 0; i < layers; ++i)
    report.units.emplace_back(static_cast<int64_t>(before.channels(i + 1)), 0);
  std::map<std::string, int64_t> kept;
  take_all_out(stack, report, kept);
  const size_t more = select_data(stack, report, kept) ? 1 : 0;
  const Analysis after(stack);
  for (size_t i = 0; i < layers; ++i)
    report.units[i].second = static_cast<int64_t>(after.channels(i + 1 + more));
  for (const auto& [reason, count] : kept)
    report.kept.push_back(fmt::format("{} useless channel{} {}", count, count == 1 ? "" : "s", reason));
  return report;
}

}  // namespace lariat
