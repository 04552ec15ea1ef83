#pragma once

#include <functional>
#include <string>

#include "graph/ir/op_def.hpp"

namespace lariat {

/// One thing that was looked at, what is wrong with it ("": nothing), and what it needs where there was
/// nothing to look at, or not all ("": nothing).
struct OpFinding {
  std::string check, fault = {}, not_run = {};
  bool is_good() const { return fault.empty() && not_run.empty(); }
};

/// Runs an op's samples in ways that show what a wrong kernel does, compares what its record claims with what
/// it does, and gives what it found in this order:
///
///   shapes      inference gives the same twice, and for symbolic sizes what it gives for known ones
///   values      every element of the outputs is written; nothing around the outputs, inputs and scratch is,
///   nor
///               the inputs; memory of an earlier call, which is out of reach by then, is left alone;
///               integers are those that are expected
///   repeats     equal inputs give equal bits again, in any order of chunks, and on several threads
///   concurrent  calls at one time do not disturb each other
///   sizes       slices that do not depend on each other give by thousands what each gives alone
///   in place    an output that may lie over an input has the same bits there
///   gradcheck   as gradcheck() has it
///   claims      each by its name, where the record makes it: autodiff/check/op_claims.hpp
///   rejects     what the record refuses is refused, with that message
///   process     after all that, locale and signal handlers are what they were
///
/// Code that writes far outside its memory, ends the process or never returns cannot be caught from within
/// it: run this in a process of its own. `begins` is told each check's name before
/// it, `ends` what it found. At most `threads` calls run at one time.
std::vector<OpFinding> check_op(const OpDef& op, const std::function<void(const std::string&)>& begins = {},
                                const std::function<void(const OpFinding&)>& ends = {}, int threads = 4);

}  // namespace lariat
