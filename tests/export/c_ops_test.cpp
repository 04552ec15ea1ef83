// Every op that has a form in C, on the samples of its record: what C computes is what the op computes.
#include <fmt/format.h>

#include "frontends/export/c_graph.hpp"
#include "frontends/export/concrete.hpp"
#include "graph/exec/constants.hpp"
#include "graph/ir/registry.hpp"
#include "graph/ir/sample.hpp"
#include "tests/export/c_tools.hpp"
#include "tests/support/testing.hpp"

namespace lariat::c_ops_test {

namespace {

// C runs one example at a time, and these see examples apart.
bool takes_one_example(const std::string& op) {
  for (const char* part :
       {"conv1d", "conv2d", "pool1d", "pool2d", "lstm", "_sequence", "sequence_", "_steps"})
    if (op.find(part) != op.npos) return true;
  return false;
}

bool can_test(const OpDef& op, const Sample& sample) {
  if (to_c::find_c_op(op.name)->of_floats && sample.inputs[0].dtype == i32) return false;
  for (const SampleInput& input : sample.inputs)
    for (const int64_t extent : input.extents)
      if (extent == 0) return false;
  for (const auto& [name, value] : sample.attributes)
    if (const DType* dtype = std::get_if<DType>(&value); dtype && *dtype == f64) return false;
  return !takes_one_example(op.name) ||
         (!sample.inputs[0].extents.empty() && sample.inputs[0].extents[0] == 1);
}

std::string array_text(const std::string& name, const Tensor& tensor) {
  std::string text =
      fmt::format("static const {} {}[] = {{", tensor.dtype() == i32 ? "int32_t" : "float", name);
  for (int64_t i = 0; i < tensor.count(); ++i)
    text += (i > 0 ? ", " : "") + (tensor.dtype() == i32 ? to_c::literal(int64_t{tensor.data<int32_t>()[i]})
                                                         : to_c::literal(tensor.data<float>()[i]));
  return text + "};\n";
}

// Writes one case after another into one C file.
class Cases {
 public:
  // With the inputs from `first_constant` on as constants.
  void add(const OpDef& op, const Sample& sample, size_t first_constant) {
    Graph graph, known;
    std::vector<Value> inputs, values;
    std::map<std::string, std::string> pointers;
    std::string arrays;
    for (size_t i = 0; i < sample.inputs.size(); ++i) {
      const Tensor tensor = sample_tensor(sample.inputs[i], f32, 5, i);
      values.push_back(known.constant(tensor));
      if (i >= first_constant) {
        inputs.push_back(graph.constant(tensor));
        continue;
      }
      const std::string name = fmt::format("x{}", i);
      inputs.push_back(graph.input(name, to_shape(tensor.extents()), tensor.dtype()));
      pointers[name] = fmt::format("case_{}_{}", count_, name);
      arrays += array_text(pointers[name], tensor);
    }
    graph.output("y", graph.add(op, inputs, sample.attributes));
    known.output("y", known.add(op, values, sample.attributes));
    const Tensor answer = evaluate_constant(known)[0];
    if (answer.count() == 0) return;
    arrays += array_text(fmt::format("answer_{}", count_), answer);
    to_c::CBlock block(unit_, none_);
    memory_.cover(to_c::emit_graph(block, graph, pointers, {"result"}).workspace);
    const std::string type = answer.dtype() == i32 ? "int32_t" : "float";
    functions_ += fmt::format(
        "{0}static int case_{1}(memory_type *memory, {2} *result) {{\n  (void)memory;\n{3}  return 0;\n}}\n",
        arrays, count_, type, block.text());
    calls_ += fmt::format(
        "  check_{0}(\"{1}: {2}\", case_{3}(memory, {0}_result), {0}_result, answer_{3}, {4});\n",
        answer.dtype() == i32 ? "integers" : "floats", op.name, sample.name, count_, answer.count());
    ++count_;
  }

  std::string text() const {
    return fmt::format(
               "#include <math.h>\n#include <stdint.h>\n#include <stdio.h>\n"
               "typedef struct {{ float values[{}]; int32_t integers[{}]; }} memory_type;\n",
               memory_.floats + 1, memory_.integers + 1) +
           unit_.text() + functions_ + R"(
static memory_type memory_itself;
static float floats_result[100000];
static int32_t integers_result[100000];
static int wrong;
static void check_floats(const char *name, int status, const float *y, const float *answer, int count) {
  int i;
  for (i = 0; i < count; ++i)
    if (status != 0 || !(y[i] == answer[i] || (y[i] != y[i] && answer[i] != answer[i]) ||
                         fabsf(y[i] - answer[i]) <= 1e-5F * (fabsf(answer[i]) > 1e-2F ? fabsf(answer[i]) : 1e-2F))) {
      printf("%s: element %d is %.9g, but should be %.9g\n", name, i, y[i], answer[i]);
      wrong = 1;
      return;
    }
}
static void check_integers(const char *name, int status, const int32_t *y, const int32_t *answer, int count) {
  int i;
  for (i = 0; i < count; ++i)
    if (status != 0 || y[i] != answer[i]) {
      printf("%s: element %d is %d, but should be %d\n", name, i, (int)y[i], (int)answer[i]);
      wrong = 1;
      return;
    }
}
int main(void) {
  memory_type *memory = &memory_itself;
)" + calls_ +
           "  check_integers(\"\", 0, integers_result, integers_result, 0);\n  return wrong;\n}\n";
  }

  int count() const { return count_; }

 private:
  to_c::CUnit unit_;
  const to_c::Quantisation none_;
  to_c::StepMemory memory_;
  std::string functions_, calls_;
  int count_ = 0;
};

}  // namespace

TEST_CASE("export: what C computes for an op is what the op computes, on all its samples") {
  if (!testing::have_programs({"gcc"})) return;
  Cases cases;
  for (const auto& [name, c_op] : to_c::all_c_ops()) {
    CAPTURE(name);
    // Made by a pass, or without a sample of one example: the programs of models have them.
    if (name == "fused" || name == "reverse_sequence") continue;
    const OpDef& op = registry().get(name);
    const int before = cases.count();
    for (const Sample& sample : op.samples) {
      if (!can_test(op, sample)) continue;
      CAPTURE(sample.name);
      cases.add(op, sample, sample.inputs.size());
      if (sample.inputs.size() > 1) cases.add(op, sample, 1);
      if (name != "gather_rows") cases.add(op, sample, SIZE_MAX);
    }
    CHECK(cases.count() > before);
  }
  const testing::TemporaryFolder folder;
  testing::write_file(folder / "ops.c", cases.text());
  const testing::ProgramRun run = testing::shell(folder.text(),
                                                 "gcc -std=c99 -O0 -g0 -Wall -Wextra -Werror -pedantic "
                                                 "-Wno-unused-const-variable -fsanitize=address,undefined "
                                                 "-fno-sanitize-recover=all ops.c -lm -o ops && ./ops");
  CHECK_MESSAGE(run.status == 0, (run.out + run.err));
}

}  // namespace lariat::c_ops_test
