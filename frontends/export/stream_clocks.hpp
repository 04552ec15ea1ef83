#pragma once

#include "frontends/export/stream.hpp"

namespace lariat::to_c {

/// The clock of windows like this one over the frames of clock `before`; -1: there is none.
int clock_of_window(const StreamedModel& model, int before, const Window& window);
/// Whether clock `late` has a beat for each of clock `root`, from which it comes.
bool has_same_beats(const StreamedModel& model, int late, int root);
/// Throws UserError naming the window for which clock `late` does not beat with `root`, from which it comes.
[[noreturn]] void refuse_late(const Graph& graph, const StreamedModel& model, int late, int root,
                              const std::string& but);
/// Throws UserError: `node` reads frames of both clocks.
[[noreturn]] void refuse_join(const Graph& graph, const StreamedModel& model, const Node& node, int one,
                              int other);
/// Makes an output of the first clock its first.
void put_output_first(StreamedModel& model, size_t output);

}  // namespace lariat::to_c
