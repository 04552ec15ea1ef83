#include "frontends/export/c_model.hpp"

#include <fmt/format.h>

#include "frontends/export/concrete.hpp"
#include "frontends/export/stream.hpp"
#include "graph/base/error.hpp"

namespace lariat::to_c {

namespace {

constexpr const char* kept_memory = "memory->kept";

// Writes the functions of a stream: for each clock one that keeps a frame, one that waits for the window, and
// one that computes what its beat makes.
class StreamWriter {
 public:
  StreamWriter(CUnit& unit, const Quantisation& quantisation, const StreamedModel& model,
               const CSetting& setting, CMemory& memory)
      : unit_(unit), quantisation_(quantisation), model_(model), setting_(setting), memory_(memory) {
    for (const Clock& clock : model.clocks) {
      auto& windows = windows_.emplace_back();
      for (const Clock::Seen& seen : clock.seen)
        windows.push_back(memory.keep(clock.window.reach() * seen.width));
      auto& kept = kept_.emplace_back();
      for (const Kept& what : clock.kept) kept.push_back(memory.keep(what.count));
    }
    memory.waits = static_cast<int64_t>(model.clocks.size()) - 1;
    memory.counters.emplace_back("frames", "frames that have come");
    // The last clock first: each calls those that wait for it.
    for (size_t i = model.clocks.size(); i-- > 0;) write_clock(i);
  }

  std::string functions() && { return std::move(functions_); }

  std::string start() {
    std::string text;
    if (memory_.kept > 0)
      text = fmt::format("  {}({}, {});\n", unit_.helper("clear"), kept_memory, memory_.kept);
    for (size_t c = 0; c < model_.clocks.size(); ++c) {
      const Clock& clock = model_.clocks[c];
      for (size_t k = 0; k < clock.kept.size(); ++k) {
        const Kept& kept = clock.kept[k];
        CBlock block(unit_, quantisation_);
        if (kept.kind == Kept::largest) {
          const std::string i = block.loop(kept.count);
          block.line(fmt::format("({})[{}] = -INFINITY;", kept_[c][k], i));
          block.end();
        } else if (std::any_of(kept.start.begin(), kept.start.end(), [](float x) { return x != 0; })) {
          block.line(fmt::format("{}({}, {}, {});", unit_.helper("copy"), kept_[c][k],
                                 unit_.constant(std::span<const float>(kept.start)), kept.count));
        }
        text += block.text();
      }
      if (c > 0) text += fmt::format("  memory->waits[{}] = {};\n", c - 1, clock.window.reach());
    }
    text += "  memory->frames = 0;\n";
    for (size_t c = 1; c < model_.clocks.size(); ++c) text += zeros(c, model_.clocks[c].window.before, false);
    return text;
  }

  // The zeros behind the last frame, clock by clock.
  std::string flush() {
    std::string text;
    for (size_t c = 1; c < model_.clocks.size(); ++c) text += zeros(c, model_.clocks[c].window.after, true);
    return text;
  }

  std::string end() {
    std::map<std::string, std::string> inputs{{"lengths", "&memory->frames"}};
    for (size_t c = 0; c < model_.clocks.size(); ++c)
      for (size_t k = 0; k < kept_[c].size(); ++k)
        if (const auto kind = model_.clocks[c].kept[k].kind; kind != Kept::state && kind != Kept::window)
          inputs.emplace(model_.clocks[c].kept[k].name, kept_[c][k]);
    CBlock block(unit_, quantisation_);
    const std::unique_ptr<Graph> graph = shortened(*model_.end);
    memory_.workspace.cover(emit_graph(block, *graph, inputs, {"result"}).workspace);
    return block.text();
  }

 private:
  std::string zeros(size_t c, int64_t count, bool may_fail) {
    if (count == 0) return "";
    CBlock block(unit_, quantisation_);
    block.loop(count);
    std::string none;
    for (size_t i = 0; i < model_.clocks[c].seen.size(); ++i) none += ", NULL";
    block.line(fmt::format("keep_{}(memory{});", c, none));
    block.line(may_fail ? fmt::format("if (wait_{}(memory) < 0) return -1;", c)
                        : fmt::format("(void)wait_{}(memory);", c));
    block.end();
    return block.text();
  }

  void write_clock(size_t c) {
    const Clock& clock = model_.clocks[c];
    std::map<std::string, std::string> inputs{{"features", "frame"}};
    for (size_t i = 0; i < clock.seen.size(); ++i) inputs.emplace(clock.seen[i].name, windows_[c][i]);
    std::vector<std::string> results(clock.graph->outputs().size());
    for (size_t k = 0; k < clock.kept.size(); ++k) {
      const Kept& kept = clock.kept[k];
      if (kept.kind == Kept::state) inputs.emplace(kept.name, kept_[c][k]);
      if (kept.kind != Kept::window) continue;
      // Frames move on by one as they are copied to where the window begins.
      inputs.emplace(kept.name, fmt::format("{} + {}", kept_[c][k], kept.frame));
      results[kept.output] = kept_[c][k];
    }
    CBlock block(unit_, quantisation_);
    const bool by_frame = !model_.end && c == 0;
    if (by_frame) results[0] = "result";
    const std::unique_ptr<Graph> graph = shortened(*clock.graph);
    const CResult made = emit_graph(block, *graph, inputs, results);
    memory_.workspace.cover(made.workspace);
    for (size_t k = 0; k < clock.kept.size(); ++k)
      keep(block, clock.kept[k], kept_[c][k], made.outputs[clock.kept[k].output]);
    std::string waits;
    for (size_t n = c + 1; n < model_.clocks.size(); ++n) {
      const Clock& next = model_.clocks[n];
      if (next.before != static_cast<int>(c)) continue;
      std::string frames;
      for (const Clock::Seen& seen : next.seen) frames += ", " + block.pointer(made.outputs[seen.output]);
      block.line(fmt::format("keep_{}(memory{});", n, frames));
      waits += fmt::format("  if (wait_{}(memory) < 0) return -1;\n", n);
    }
    const std::string arguments = c > 0      ? ""
                                  : by_frame ? ", const float *frame, float *result"
                                             : ", const float *frame";
    std::string text =
        fmt::format("static int32_t beat_{}({}_memory *memory{}) {{\n", c, setting_.name, arguments);
    const std::string body = block.text() + waits;
    std::vector<std::string_view> parameters{"memory"};
    if (c == 0) parameters.push_back("frame");
    text += unread_parameters(body, parameters) + body + "  return 0;\n}\n\n";
    if (c > 0) text += window_functions(c);
    functions_ += text;
  }

  std::string window_functions(size_t c) {
    const Clock& clock = model_.clocks[c];
    std::string parameters, pushes;
    for (size_t i = 0; i < clock.seen.size(); ++i) {
      parameters += fmt::format(", const float *frame_{}", i);
      pushes += fmt::format("  {}({}, {}, {}, frame_{});\n", unit_.helper("push_frame"), windows_[c][i],
                            clock.window.reach(), clock.seen[i].width, i);
    }
    return fmt::format(
        "static void keep_{0}({1}_memory *memory{2}) {{\n{3}}}\n\n"
        "static int32_t wait_{0}({1}_memory *memory) {{\n  if (--memory->waits[{4}] > 0) return 0;\n"
        "  memory->waits[{4}] = {5};\n  return beat_{0}(memory);\n}}\n\n",
        c, setting_.name, parameters, pushes, c - 1, clock.window.stride);
  }

  void keep(CBlock& block, const Kept& kept, const std::string& to, const CValue& value) {
    if (kept.kind == Kept::window) return;  // it is there
    if (kept.kind == Kept::state || kept.kind == Kept::last) return block.copy(to, value, "", kept.count);
    const std::string i = block.loop(kept.count);
    const std::string from = block.element(value, i);
    block.line(kept.kind == Kept::sum
                   ? fmt::format("({})[{}] += {};", to, i, from)
                   : fmt::format("if ({0} > ({1})[{2}] || {0} != {0}) ({1})[{2}] = {0};", from, to, i));
    block.end();
  }

  CUnit& unit_;
  const Quantisation& quantisation_;
  const StreamedModel& model_;
  const CSetting& setting_;
  CMemory& memory_;
  std::vector<std::vector<std::string>> windows_, kept_;  // by clock
  std::string functions_;
};

}  // namespace

std::string CMemory::keep(int64_t count) {
  const std::string pointer = kept == 0 ? kept_memory : fmt::format("{} + {}", kept_memory, kept);
  kept += count;
  return pointer;
}

int64_t CMemory::bytes() const {
  const int64_t numbers =
      workspace.floats + workspace.integers + kept + waits + static_cast<int64_t>(counters.size());
  return 4 * std::max<int64_t>(1, numbers);
}

CModel write_whole(CUnit& unit, const Quantisation& quantisation, const Graph& graph, const CSetting& setting,
                   CMemory& memory) {
  Graph concrete;
  concrete_graph(graph, {{"batch", 1}, {"time", setting.frames}}, concrete);
  const std::unique_ptr<Graph> shorter = shortened(concrete);
  CBlock block(unit, quantisation);
  const bool hears = setting.front_end != nullptr;
  if (setting.sequence && !hears)
    block.refuse_if(fmt::format("frames < {} || frames > {}", setting.fewest, setting.frames));
  if (hears) block.refuse_if(fmt::format("memory->frames < {}", setting.fewest));
  const std::map<std::string, std::string> inputs{
      {"features", hears ? memory.keep(setting.frames * setting.width) : "features"},
      {"lengths", hears ? "&memory->frames" : "&frames"}};
  memory.workspace.cover(emit_graph(block, *shorter, inputs, {"result"}).workspace);
  CModel model;
  const std::string head =
      hears ? fmt::format("static int32_t answer({}_memory *memory, float *result)", setting.name)
            : fmt::format("int32_t {0}_run({0}_memory *memory, const float *features, {1}float *result)",
                          setting.name, setting.sequence ? "int32_t frames, " : "");
  std::vector<std::string_view> parameters{"memory"};
  if (!hears) parameters.push_back("features");
  const std::string unused = unread_parameters(block.text(), parameters);
  model.functions = head + " {\n" + unused + block.text() + "  return 0;\n}\n";
  if (!hears) model.declarations = head + ";\n";
  return model;
}

CModel write_streaming(CUnit& unit, const Quantisation& quantisation, const Graph& graph,
                       const CSetting& setting, CMemory& memory) {
  const StreamedModel streamed_model = streamed(graph, setting.fewest);
  StreamWriter writer(unit, quantisation, streamed_model, setting, memory);
  const bool hears = setting.front_end != nullptr;
  const std::string& name = setting.name;
  CModel model;
  const std::string start = writer.start();
  const std::string flush = writer.flush();
  const std::string end = streamed_model.end ? writer.end() : "";
  model.functions = std::move(writer).functions();
  const auto function = [&](const std::string& type, const std::string& what, const std::string& parameters,
                            const std::string& body) {
    const std::string head =
        hears ? fmt::format("static {} {}_frames({}_memory *memory{})", type, what, name, parameters)
              : fmt::format("{} {}_{}({}_memory *memory{})", type, name, what, name, parameters);
    model.functions += head + " {\n" + body + "}\n\n";
    if (!hears) model.declarations += head + ";\n";
  };
  function("void", "start", "", start);
  if (setting.by_frame) {
    function("int32_t", "step", ", const float *frame, float *result",
             "  ++memory->frames;\n  return beat_0(memory, frame, result);\n");
    return model;
  }
  function("int32_t", "step", ", const float *frame",
           "  ++memory->frames;\n  return beat_0(memory, frame);\n");
  function(
      "int32_t", "finish", ", float *result",
      fmt::format("  if (memory->frames < {}) return -1;\n", setting.fewest) + flush + end + "  return 0;\n");
  return model;
}

}  // namespace lariat::to_c
