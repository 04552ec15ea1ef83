#include "frontends/compact/compact.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"

namespace lariat {

StackGraph graph_of(const Stack& stack) {
  StackGraph result{std::make_unique<Graph>(), {}};
  Graph& graph = *result.graph;
  Signal signal;
  if (stack.shape.sequences) {
    signal.value = graph.input("features", {dim::batch, dim::time, stack.shape.dimensions});
    signal.lengths = graph.input("lengths", {dim::batch}, i32);
    signal.value = masked(signal);
  } else {
    signal.value = graph.input("features", {dim::batch, stack.shape.dimensions});
  }
  result.signals.push_back(signal);
  const std::vector<std::string> names = names_of(stack.layers);
  Penalties penalties;
  for (size_t i = 0; i < stack.layers.size(); ++i) {
    LayerContext context(graph, names[i], stack.outputs, penalties, untrained());
    signal = layer_kind_of(stack.layers[i]).build(context, signal, stack.layers[i]);
    result.signals.push_back(signal);
  }
  return result;
}

namespace {

// What is known of the channels behind each layer, of which the first is the data.
class Analysis {
 public:
  explicit Analysis(Stack& stack) : stack_(stack), names_(names_of(stack.layers)) {
    const StackGraph graph = graph_of(stack);
    for (const Signal& signal : graph.signals) shapes_.push_back(signal.value.shape());
    constants_.emplace_back(channels(0));
    for (size_t i = 0; i < layers(); ++i) {
      const LayerUnits& units = units_of(i);
      constants_.push_back(units.constants ? units.constants(layer(i), constants_.back())
                                           : ChannelConstants(channels(i + 1)));
    }
    read_.assign(layers() + 1, {});
    needed_.assign(layers(), {});
    read_.back().assign(channels(layers()), true);
    for (size_t i = layers(); i-- > 0;) {
      const LayerUnits& units = units_of(i);
      needed_[i] = units.needs ? units.needs(layer(i), read_[i + 1]) : read_[i + 1];
      const std::vector<int64_t> sources = sources_of(i);
      if (!sources.empty()) {
        read_[i].assign(channels(i), false);
        for (size_t output = 0; output < sources.size(); ++output)
          if (needed_[i][output]) read_[i][static_cast<size_t>(sources[output])] = true;
      } else {
        read_[i] = units.reads ? units.reads(layer(i), needed_[i]) : ChannelMarks(channels(i), true);
      }
    }
  }

  size_t layers() const { return stack_.layers.size(); }
  // Behind the layer before `at`.
  size_t channels(size_t at) const { return static_cast<size_t>(shapes_[at].back().size()); }

  const ChannelMarks& read_of_data() const { return read_.front(); }

  // Takes useless units out of one layer; false where there is none, and `kept` then has the reasons.
  bool take_out(CompactReport& report, std::map<std::string, int64_t>& kept) {
    for (size_t i = 0; i + 1 < layers(); ++i)
      if (sources_of(i).empty() && take_out_of(i, report, kept)) return true;
    return false;
  }

 private:
  LayerInModel layer(size_t i) const {
    return {stack_.layers[i], names_[i], shapes_[i], shapes_[i + 1], stack_.weights};
  }
  const LayerUnits& units_of(size_t i) const { return layer_kind_of(stack_.layers[i]).units; }
  std::vector<int64_t> sources_of(size_t i) const {
    const LayerUnits& units = units_of(i);
    return units.sources ? units.sources(layer(i)) : std::vector<int64_t>();
  }

  // Where the channels behind a layer go: through others to the one that takes them in, or to the end.
  struct Path {
    std::vector<size_t> through;
    size_t reader = 0;
    // The unit that each channel is made of, in front of each of `through` and of the reader.
    std::vector<std::vector<int64_t>> unit_of;
  };

  Path path_from(size_t i) const {
    Path path;
    std::vector<int64_t> unit_of(channels(i + 1));
    std::iota(unit_of.begin(), unit_of.end(), 0);
    path.unit_of.push_back(unit_of);
    for (path.reader = i + 1; path.reader < layers(); ++path.reader) {
      const std::vector<int64_t> sources = sources_of(path.reader);
      if (sources.empty()) break;
      path.through.push_back(path.reader);
      std::vector<int64_t> next;
      for (const int64_t source : sources) next.push_back(unit_of[static_cast<size_t>(source)]);
      unit_of = std::move(next);
      path.unit_of.push_back(unit_of);
    }
    return path;
  }

  // Why a channel in front of `reader` cannot be left out, or "".
  std::string why_stays(size_t reader, size_t channel) const {
    if (reader == layers()) return "the model's outputs are made of them";
    const LayerUnits& units = units_of(reader);
    if (!units.keep_inputs) return fmt::format("{} reads them: {}", names_[reader], units.reason);
    if (!read_[reader][channel]) return "";
    const std::optional<float>& constant = constants_[reader][channel];
    if (!constant) return fmt::format("what {} reads of them is not always the same", names_[reader]);
    const std::string why = units.why_reads ? units.why_reads(layer(reader), *constant) : "";
    return why.empty() ? "" : fmt::format("{} reads them: {}", names_[reader], why);
  }

  bool take_out_of(size_t i, CompactReport& report, std::map<std::string, int64_t>& kept) {
    const LayerUnits& units = units_of(i);
    const ChannelConstants& constants = constants_[i + 1];
    ChannelMarks useless(channels(i + 1), false);
    for (size_t unit = 0; unit < useless.size(); ++unit) useless[unit] = !needed_[i][unit] || constants[unit];
    const auto stays = [&](size_t unit, const std::string& why) {
      if (!useless[unit]) return;
      useless[unit] = false;
      ++kept[fmt::format("of {}: {}", names_[i], why)];
    };
    if (!units.keep_outputs) {
      for (size_t unit = 0; unit < useless.size(); ++unit) stays(unit, units.reason);
      return false;
    }
    const Path path = path_from(i);
    const std::vector<int64_t>& unit_of = path.unit_of.back();
    for (size_t channel = 0; channel < unit_of.size(); ++channel)
      if (const auto unit = static_cast<size_t>(unit_of[channel]); useless[unit])
        if (const std::string why = why_stays(path.reader, channel); !why.empty()) stays(unit, why);
    const bool all = std::all_of(useless.begin(), useless.end(), [](bool mark) { return mark; });
    if (all) stays(0, "a layer has one unit at least");
    if (units.together) {
      const ChannelMarks together = units.together(layer(i), useless);
      for (size_t unit = 0; unit < useless.size(); ++unit)
        if (!together[unit]) stays(unit, "both directions have as many");
    }
    if (std::none_of(useless.begin(), useless.end(), [](bool mark) { return mark; })) return false;
    count(useless, i, path, report);
    leave_out(i, path, useless);
    return true;
  }

  void count(const ChannelMarks& gone, size_t i, const Path& path, CompactReport& report) const {
    // What the reader gets of a unit, be it 0 behind an activation only.
    ChannelMarks moves(gone.size(), false);
    const std::vector<int64_t>& unit_of = path.unit_of.back();
    for (size_t channel = 0; channel < unit_of.size(); ++channel)
      if (read_[path.reader][channel] && constants_[path.reader][channel] != 0.0f)
        moves[static_cast<size_t>(unit_of[channel])] = true;
    for (size_t unit = 0; unit < gone.size(); ++unit)
      if (gone[unit]) ++(!needed_[i][unit] ? report.unread : moves[unit] ? report.folded : report.zero);
  }

  void leave_out(size_t i, const Path& path, const ChannelMarks& gone) const {
    const auto kept_of = [&](const std::vector<int64_t>& unit_of) {
      std::vector<int64_t> kept;
      for (size_t channel = 0; channel < unit_of.size(); ++channel)
        if (!gone[static_cast<size_t>(unit_of[channel])]) kept.push_back(static_cast<int64_t>(channel));
      return kept;
    };
    // The reader first: it still sees the shapes of before.
    ChannelConstants constants = constants_[path.reader];
    for (size_t channel = 0; channel < constants.size(); ++channel)
      if (!read_[path.reader][channel]) constants[channel] = 0.0f;
    units_of(path.reader).keep_inputs(layer(path.reader), kept_of(path.unit_of.back()), constants);
    for (size_t step = 0; step < path.through.size(); ++step)
      if (const LayerUnits& units = units_of(path.through[step]); units.keep_outputs)
        units.keep_outputs(layer(path.through[step]), kept_of(path.unit_of[step + 1]));
    units_of(i).keep_outputs(layer(i), kept_of(path.unit_of.front()));
  }

  Stack& stack_;
  std::vector<std::string> names_;
  std::vector<Shape> shapes_;                // behind each layer, the data first
  std::vector<ChannelConstants> constants_;  // likewise
  std::vector<ChannelMarks> read_;           // likewise: by the next layer
  std::vector<ChannelMarks> needed_;         // behind each layer: read, or needed by units that are
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
  if (unread == 0 || stack.layers.front().kind == Select({0}).kind) return false;
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
