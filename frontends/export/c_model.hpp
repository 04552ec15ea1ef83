#pragma once

#include "frontends/export/c_graph.hpp"

namespace lariat {
struct FrontEnd;
}

namespace lariat::to_c {

/// What a C file's memory struct holds, in numbers of 4 bytes.
struct CMemory {
  StepMemory workspace;
  /// What lives from one call to the next.
  int64_t kept = 0;
  /// Frames to wait for until each window moves on.
  int64_t waits = 0;
  /// Counters: a name and what it counts.
  std::vector<std::pair<std::string, std::string>> counters = {};

  /// A pointer to `count` numbers that are kept.
  std::string keep(int64_t count);
  int64_t bytes() const;
};

/// The functions of a model, without its header.
struct CModel {
  std::string functions;
  /// Those that others may call, as the header declares them.
  std::string declarations;
};

/// How a model's functions are called, and what they take.
struct CSetting {
  std::string name;
  /// Numbers of a frame, or of an example that is no sequence; and of one result.
  int64_t width = 0, results = 0;
  /// Most frames that the program takes, 0 where it is no sequence or comes frame by frame; and the fewest.
  int64_t frames = 0, fewest = 1;
  bool sequence = false, streaming = false;
  /// A result for every frame.
  bool by_frame = false;
  const FrontEnd* front_end = nullptr;
};

/// The whole model in one call: name_run, or with a front end what finish_whole computes from the frames
/// kept.
CModel write_whole(CUnit& unit, const Quantisation& quantisation, const Graph& graph, const CSetting& setting,
                   CMemory& memory);
/// name_step and what belongs to it.
CModel write_streaming(CUnit& unit, const Quantisation& quantisation, const Graph& graph,
                       const CSetting& setting, CMemory& memory);
/// name_start, name_push and name_finish of samples, which call the model's.
CModel write_front_end(CUnit& unit, const CSetting& setting, CMemory& memory);

}  // namespace lariat::to_c
