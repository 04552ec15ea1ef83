#include "frontends/export/stream_lengths.hpp"

#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/program/program.hpp"

namespace lariat::to_c {

void refuse_stream(const Node& node, const std::string& why) {
  throw UserError(fmt::format(
      "{}{}, so the model cannot run frame by frame; export it with --frames N instead of --streaming",
      place_of(node), why));
}

// What the value of `edge`, which follows from the lengths alone, is for one sequence of `frames`.
Tensor StreamLengths::of_lengths(const Node& node, Edge edge, int64_t frames) const {
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
    refuse_stream(node, "needs the number of the sequence's frames");
  }
}

void StreamLengths::check(const Node& node, Edge edge, Edge sequence, const std::string& why,
                          const std::function<bool(int64_t, int64_t)>& right) const {
  for (const int64_t more : {0, 1, 2, 3, 7, 50}) {
    const int64_t frames = fewest_ + more;
    const Tensor found = of_lengths(node, edge, frames);
    const int64_t there = graph_.type(sequence).shape[1].evaluate({{"batch", 1}, {"time", frames}});
    for (int64_t i = 0; i < found.count(); ++i)
      if (!right(static_cast<int64_t>(found.at(i)), there)) refuse_stream(node, why);
  }
}

// A mask of other frames than those that have come would need to know how many will.
void StreamLengths::check_mask(const Node& mask) const {
  check(mask, mask.inputs[0], mask.inputs[1], "leaves out frames by their place from the end",
        [](int64_t length, int64_t frames) { return length == frames; });
}

void StreamLengths::check_last(const Node& gather) const {
  check(gather, gather.inputs[1], gather.inputs[0], "takes another frame than the last",
        [](int64_t step, int64_t frames) { return step == frames - 1; });
}

void StreamLengths::check_all(const Node& node, Edge lengths, Edge sequence) const {
  check(node, lengths, sequence, "has other lengths than the frames that have come",
        [](int64_t length, int64_t frames) { return length == frames; });
}

}  // namespace lariat::to_c
