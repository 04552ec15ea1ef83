#include "frontends/export/stream_clocks.hpp"

#include <fmt/format.h>

#include <set>

#include "frontends/export/stream_lengths.hpp"

namespace lariat::to_c {

namespace {

const Clock& clock_of(const StreamedModel& model, int index) {
  return model.clocks[static_cast<size_t>(index)];
}

std::string frames_text(int64_t count, const char* which) {
  return fmt::format("{} frame{} {}", count, count == 1 ? "" : "s", which);
}

// What a window does to the frames that come.
std::string done_by(const Window& window) {
  const int64_t missing = window.reach() - 1 - window.before;
  if (window.stride > 1) return fmt::format("makes one frame of {}", window.stride);
  if (window.after > 0) return "sees " + frames_text(window.after, "ahead");
  return missing < 0 ? "puts " + frames_text(-missing, "in front")
                     : "makes " + frames_text(missing, "less than come");
}

}  // namespace

int clock_of_window(const StreamedModel& model, int before, const Window& window) {
  for (int at = 1; at < static_cast<int>(model.clocks.size()); ++at) {
    const Window& seen = clock_of(model, at).window;
    if (clock_of(model, at).before == before && seen.reach() == window.reach() &&
        seen.stride == window.stride && seen.before == window.before && seen.after == window.after)
      return at;
  }
  return -1;
}

bool has_same_beats(const StreamedModel& model, int late, int root) {
  for (int at = late; at != root; at = clock_of(model, at).before) {
    if (at < 0) return false;
    const Window& window = clock_of(model, at).window;
    if (window.stride != 1 || window.before + window.after != window.reach() - 1) return false;
  }
  return true;
}

void refuse_late(const Graph& graph, const StreamedModel& model, int late, int root, const std::string& but) {
  while (clock_of(model, late).before != root) late = clock_of(model, late).before;
  const Clock& clock = clock_of(model, late);
  refuse_stream(graph.node(clock.made_by), done_by(clock.window) + ", but " + but);
}

void refuse_join(const Graph& graph, const StreamedModel& model, const Node& node, int one, int other) {
  std::set<int> behind;
  for (int at = one; at >= 0; at = clock_of(model, at).before) behind.insert(at);
  int root = other;
  while (!behind.contains(root)) root = clock_of(model, root).before;
  const std::string name = place_of(node);
  refuse_late(graph, model, one == root ? other : one, root,
              fmt::format("{} joins them with others", name.substr(0, name.size() - 2)));
}

void put_output_first(StreamedModel& model, size_t output) {
  Clock& first = model.clocks.front();
  auto ordered = std::make_shared<Graph>();
  const Graph& from = *first.graph;
  GraphCopy copy(from, *ordered);
  for (int32_t id = 0; id < from.size(); ++id) copy.copy(id);
  const auto moved = [&](size_t old) { return old == output ? size_t{0} : old < output ? old + 1 : old; };
  std::vector<Edge> outputs(from.outputs().size());
  for (size_t i = 0; i < outputs.size(); ++i) outputs[moved(i)] = from.outputs()[i].value;
  for (size_t i = 0; i < outputs.size(); ++i) ordered->output(fmt::format("y{}", i), copy(outputs[i]));
  first.graph = ordered;
  for (Kept& kept : first.kept) kept.output = moved(kept.output);
  for (Clock& other : model.clocks)
    if (other.before == 0)
      for (Clock::Seen& seen : other.seen) seen.output = moved(seen.output);
}

}  // namespace lariat::to_c
