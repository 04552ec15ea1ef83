// The instruction sets that this build has kernels for and this processor runs, each by the program.
#include "graph/base/instruction_set.hpp"

#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "autodiff/check/op_cases.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "ops/instruction_sets/kernel_set.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::instruction_set_test {

using namespace testing;

namespace {

ProgramRun run_with(const std::string& set, const std::vector<std::string>& arguments) {
  return run_lariat(arguments, {.environment = {{"LARIAT_INSTRUCTION_SET", set}}});
}

// By the program's own words.
std::vector<std::string> usable_sets() {
  std::vector<std::string> sets;
  const std::string line = run_with("mmx", {"--version"}).err;
  for (const char* set : {"baseline", "avx2", "avx512"})
    if (line.find(set) != std::string::npos) sets.emplace_back(set);
  return sets;
}

// The records of a set's own kernels.
std::unique_ptr<Registry> records_of(InstructionSet set) {
  auto records = std::make_unique<Registry>();
  kernel_sets()[static_cast<size_t>(set)]->add_records(*records);
  return records;
}

bool is_usable(InstructionSet set) {
  return kernel_sets()[static_cast<size_t>(set)] != nullptr && processor_has(set);
}

}  // namespace

TEST_CASE("instruction sets: the widest is taken, or the one that is asked for") {
  if (!have_lariat()) return;
  const std::vector<std::string> sets = usable_sets();
  REQUIRE_FALSE(sets.empty());
  for (const std::string& set : sets)
    CHECK(run_with(set, {"--version"}).out.ends_with(", kernels for " + set + "\n"));
  CHECK(run_with("", {"--version"}).out.ends_with(", kernels for " + sets.back() + "\n"));
  const ProgramRun unknown = run_with("mmx", {"--version"});
  CHECK(unknown.status == 2);
  CHECK(unknown.err.starts_with("lariat: LARIAT_INSTRUCTION_SET = mmx: must be one of " + sets.front()));
  const char* const asked = std::getenv("LARIAT_INSTRUCTION_SET");
  CHECK(name_of(instruction_set()) == (asked != nullptr && *asked != 0 ? asked : sets.back()));
}

// What docs/performance.md promises of equal bits, on each op's samples and, for ops of single elements, on
// many.
TEST_CASE("instruction sets: AVX2 and AVX-512 give the same bits but for series and sums over lanes") {
  if (!is_usable(InstructionSet::avx2) || !is_usable(InstructionSet::avx512)) return;
  const auto narrow = records_of(InstructionSet::avx2), wide = records_of(InstructionSet::avx512);
  const std::set<std::string> in_last_bits{
      "csr_sampled_matmul",    "ctc_loss",         "erf", "log", "log1p", "log_sum", "softmax",
      "softmax_cross_entropy", "softmax_gradient",
  };
  int compared = 0;
  for (const OpDef* op : narrow->all()) {
    if (!op->kernel && !op->block) continue;
    const auto differ = [&](const Attributes& attributes, const std::vector<Tensor>& inputs) {
      const std::vector<Tensor> a = run_op_kernel(*op, attributes, inputs),
                                b = run_op_kernel(wide->get(op->name), attributes, inputs);
      for (size_t i = 0; i < a.size(); ++i)
        if (!same_bits(a[i], b[i])) return true;
      return false;
    };
    const OpCases cases(*op);
    for (const OpCase& c : cases.of_op()) {
      CAPTURE(op->name);
      ++compared;
      CHECK((in_last_bits.contains(op->name) || !differ(c.node->attributes, c.inputs)));
      if (!op->traits.elementwise || !is_float(c.inputs[0].dtype())) continue;
      std::vector<Tensor> many;
      for (size_t i = 0; i < c.inputs.size(); ++i) {
        Tensor numbers(f64, {1003});
        for (int64_t j = 0; j < 1003; ++j)
          numbers.data<double>()[j] = 0.05 + 0.9 * to_unit(random_bits(i, 3, static_cast<uint64_t>(j))[0]);
        many.push_back(numbers.cast(c.inputs[i].dtype()));
      }
      CHECK((in_last_bits.contains(op->name) || !differ(c.node->attributes, many)));
    }
  }
  CHECK(compared > 300);
}

}  // namespace lariat::instruction_set_test
