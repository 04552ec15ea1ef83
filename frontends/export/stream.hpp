#pragma once

#include <memory>

#include "graph/ir/graph.hpp"
#include "ops/kernels/window.hpp"

namespace lariat::to_c {

/// What a stream keeps from one frame to the next.
struct Kept {
  enum Kind {
    state,    ///< what a recurrence hands on
    sum,      ///< over all frames
    largest,  ///< of all frames
    last,     ///< frame
    window    ///< the last frames, the one that has come among them
  } kind = state;
  /// Its name as an input: of its own clock's graph for a state and, less the frame that goes, for a window;
  /// of the graph at the end for all others.
  std::string name;
  /// The output of the clock's graph that it is made of.
  size_t output = 0;
  int64_t count = 0;
  /// What a state begins with.
  std::vector<float> start = {};
  /// Of a window: the numbers of one of its frames.
  int64_t frame = 0;
};

/// What is computed at each beat of one clock: for every frame, or every window of frames of the clock
/// before.
struct Clock {
  int before = -1;
  /// The node of the model whose window it is.
  int32_t made_by = -1;
  /// Over the frames of the clock before: that many are seen, `stride` apart, with so many zeros at both
  /// ends.
  Window window;
  /// The values of the clock before that windows are kept of: the output of its graph, the numbers of a
  /// frame, and the name as an input of this graph.
  struct Seen {
    std::string name;
    size_t output = 0;
    int64_t width = 0;
  };
  std::vector<Seen> seen;
  std::vector<Kept> kept;
  std::shared_ptr<Graph> graph;
};

/// A model of sequences as what is done for each frame as it comes.
struct StreamedModel {
  /// Each behind the one it waits for; the first is that of the frames, whose input is "features".
  std::vector<Clock> clocks;
  /// What is computed when all frames have come, of what was kept and of their number, the input "lengths";
  /// nullptr where every frame has its own result, output 0 of the first clock.
  std::shared_ptr<Graph> end;
};

/// Splits `graph`, whose inputs are "features" [batch, time, channels] and "lengths" [batch], at its frames.
/// `fewest` is the number of frames that the model needs at least. Throws UserError naming the op that needs
/// more of a sequence than what came before.
StreamedModel streamed(const Graph& graph, int64_t fewest);

}  // namespace lariat::to_c
