#include "frontends/export/c_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "graph/base/version.hpp"

namespace lariat::to_c {

namespace {

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

std::string made_by() { return fmt::format("Made by lariat {}", version); }

// How the functions are called, as the header tells it.
std::string usage(const CText& text) {
  const CSetting& setting = text.setting;
  const std::string name = setting.name, big = upper(name);
  const std::string result = fmt::format("`result` gets {} {}.", setting.results,
                                         text.predictions ? "predictions" : "outputs of the last layer");
  if (setting.front_end)
    return fmt::format(
        "   {0}_start begins a recording, {0}_push takes samples of it as they come, {1} a second, and\n"
        "   {0}_finish tells what it is: {2}\n"
        "   Those that return a number return 0, or -1 where a recording has too few frames ({3} are\n"
        "   needed){4}.\n",
        name, text.sample_rate, result, setting.fewest,
        setting.frames > 0 ? fmt::format(" or more than {}_FRAMES", big) : "");
  if (setting.streaming && setting.by_frame)
    return fmt::format(
        "   {0}_start begins a sequence; {0}_step takes one frame of {1}_INPUTS numbers and gives its\n"
        "   result: {2} It returns 0, or -1 for what the model does not take.\n",
        name, big, result);
  if (setting.streaming)
    return fmt::format(
        "   {0}_start begins a sequence, {0}_step takes one frame of {1}_INPUTS numbers, and {0}_finish\n"
        "   tells what the sequence is: {2} Both return 0, or -1 for what the\n"
        "   model does not take: fewer than {3} frames, say.\n",
        name, big, result, setting.fewest);
  if (setting.sequence)
    return fmt::format(
        "   {0}_run takes {2}_FRAMES frames of {2}_INPUTS numbers, of which the first `frames` count,\n"
        "   {3} or more; what lies behind them is not looked at, but must be there. {1}\n"
        "   It returns 0, or -1 for what the model does not take.\n",
        name,
        setting.by_frame ? fmt::format("`result` gets {} numbers for each of them.", setting.results)
                         : result,
        big, setting.fewest);
  return fmt::format(
      "   {0}_run takes an example of {1}_INPUTS numbers; {2}\n"
      "   It returns 0, or -1 for what the model does not take.\n",
      name, big, result);
}

// How each feature is made of a table's column.
std::string features_text(const data::Columns& columns) {
  std::string text = "/* The features of a row, in their order; x is the number in the column.\n";
  int64_t place = 0;
  for (const data::Columns::Feature& feature : columns.features) {
    const std::string name = comment_text(feature.name);
    if (feature.is_category) {
      for (const std::string& value : feature.values)
        text += fmt::format("   {}  {}: 1 where it is \"{}\", else 0\n", place++, name, comment_text(value));
    } else {
      text +=
          fmt::format("   {}  {}: (x - {}) * {}; {} where it is missing\n", place++, name,
                      literal(static_cast<float>(feature.centre)), literal(static_cast<float>(feature.scale)),
                      literal(static_cast<float>((feature.mean - feature.centre) * feature.scale)));
    }
  }
  return text + "*/\n";
}

// Where the arrays are of data that have several, as a comment and as NAME_ARRAY_FIRST and NAME_ARRAY_COUNT.
std::string arrays_text(const CText& text) {
  std::string lines, macros;
  std::set<std::string> taken;
  int64_t first = 0;
  for (const data::Column& array : text.arrays) {
    const int64_t last = first + array.width - 1;
    lines += fmt::format("   {:<10}  {}\n",
                         array.width == 1 ? std::to_string(first) : fmt::format("{} to {}", first, last),
                         comment_text(array.name));
    std::string name = upper(fmt::format("{}_{}", text.setting.name, identifier(array.name)));
    while (!taken.insert(name).second) name += "_";
    macros += fmt::format("#define {0}_FIRST {1}\n#define {0}_COUNT {2}\n", name, first, array.width);
    first = last + 1;
  }
  return fmt::format("/* The numbers of {}, by the data's arrays:\n{}*/\n{}\n",
                     text.setting.sequence ? "a frame" : "an input", lines, macros);
}

std::string memory_struct(const CText& text) {
  const CMemory& memory = text.memory;
  std::string members;
  const auto array = [&](const char* type, const char* name, int64_t count, const char* why) {
    if (count > 0) members += fmt::format("  {} {}[{}]; /* {} */\n", type, name, count, why);
  };
  array("float", "values", memory.workspace.floats, "free between two calls");
  array("int32_t", "integers", memory.workspace.integers, "the same");
  array("float", "kept", memory.kept, "from one call to the next");
  array("int32_t", "waits", memory.waits, "frames until each window moves on");
  for (const auto& [name, why] : memory.counters)
    members += fmt::format("  int32_t {}; /* {} */\n", name, why);
  if (members.empty()) members = "  float none;\n";
  return fmt::format("typedef struct {{\n{}}} {}_memory;\n", members, text.setting.name);
}

}  // namespace

std::string header_text(const CText& text) {
  const CSetting& setting = text.setting;
  const CProgram& program = text.program;
  const std::string big = upper(setting.name);
  std::string out = fmt::format(
      "/* {}. C99; needs libm, and allocates nothing.\n\n{}\n"
      "   Memory: {} bytes of constants (read only; code comes on top), {} bytes of RAM for {}_memory{}.\n"
      "   Several memories may be used at once, each by one thread at a time. */\n",
      made_by(), usage(text), program.constant_bytes, program.ram_bytes, setting.name,
      program.input_bytes > 0 ? fmt::format(";\n   an input takes {} bytes, a result {}", program.input_bytes,
                                            program.result_bytes)
                              : fmt::format(";\n   a result takes {} bytes", program.result_bytes));
  out += fmt::format("#ifndef {0}_H\n#define {0}_H\n\n#include <stdint.h>\n\n", big);
  if (text.columns) out += features_text(*text.columns) + "\n";
  if (!text.arrays.empty()) out += arrays_text(text);
  const auto constant = [&](const char* name, int64_t value) {
    out += fmt::format("#define {}_{} {}\n", big, name, value);
  };
  if (!setting.front_end) constant("INPUTS", setting.width);
  constant("OUTPUTS", setting.results);
  if (setting.frames > 0) constant("FRAMES", setting.frames);
  if (text.sample_rate > 0) constant("SAMPLE_RATE", text.sample_rate);
  constant("CONSTANT_BYTES", program.constant_bytes);
  constant("RAM_BYTES", program.ram_bytes);
  if (!text.classes.empty()) {
    out += fmt::format(
        "/* what the numbers of a result are of: const char *const names[] = {}_NAMES; */\n#define {}_NAMES "
        "{{",
        big, big);
    for (size_t i = 0; i < text.classes.size(); ++i)
      out += fmt::format("{}\\\n  {}", i > 0 ? ", " : " ", string_literal(text.classes[i]));
    out += " }\n";
  }
  out += fmt::format(
      "\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n{}\n{}\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n",
      memory_struct(text), text.model.declarations);
  return out;
}

std::string source_text(const CText& text, const CUnit& unit) {
  const std::string& name = text.setting.name;
  const std::string constants = unit.text();
  std::string out = fmt::format("/* {}. See {}.h. */\n#include \"{}.h\"\n\n", made_by(), name, name);
  if (text.model.functions.find("NULL") != std::string::npos) out += "#include <stddef.h>\n";
  out += "#include <math.h>\n\n";
  out += fmt::format(
      "/* fails to compile where the memory is not as large as the header says */\n"
      "typedef char {0}_memory_is_as_stated[sizeof({0}_memory) == {1}_RAM_BYTES ? 1 : -1];\n\n",
      name, upper(name));
  return out + constants + "\n" + text.model.functions;
}

namespace {

std::string numbers_text(const std::vector<float>& values) {
  std::string text, line;
  for (const float value : values) {
    const std::string number = literal(value);
    if (line.size() + number.size() > 106) {
      text += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "  " : " ") + number + ",";
  }
  return text + line + "\n";
}

std::string integers_text(const std::vector<int16_t>& values) {
  std::string text, line;
  for (const int16_t value : values) {
    const std::string number = fmt::format("{}", value);
    if (line.size() + number.size() > 106) {
      text += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "  " : " ") + number + ",";
  }
  return text + line + "\n";
}

// The statements that run one vector at `input` of `length` and leave its results.
std::string call(const CText& text) {
  const CSetting& setting = text.setting;
  const std::string& name = setting.name;
  if (setting.front_end)
    return fmt::format(
        "  {0}_start(&memory);\n"
        "  /* in pieces, as a microphone gives them */\n"
        "  for (at = 0; at < length; at += 160)\n"
        "    if ({0}_push(&memory, input + at, length - at < 160 ? length - at : 160) < 0) return 0;\n"
        "  return {0}_finish(&memory, result) == 0;\n",
        name);
  if (setting.streaming && setting.by_frame)
    return fmt::format(
        "  {0}_start(&memory);\n  for (at = 0; at < length; ++at)\n"
        "    if ({0}_step(&memory, input + at * {1}_INPUTS, result + at * {1}_OUTPUTS) < 0) return 0;\n"
        "  return 1;\n",
        name, upper(name));
  if (setting.streaming)
    return fmt::format(
        "  {0}_start(&memory);\n  for (at = 0; at < length; ++at)\n"
        "    if ({0}_step(&memory, input + at * {1}_INPUTS) < 0) return 0;\n"
        "  return {0}_finish(&memory, result) == 0;\n",
        name, upper(name));
  if (setting.sequence)
    return fmt::format(
        "  static float padded[{1}_FRAMES * {1}_INPUTS];\n"
        "  for (at = 0; at < {1}_FRAMES * {1}_INPUTS; ++at)\n"
        "    padded[at] = at < length * {1}_INPUTS ? input[at] : 1e30F;\n"
        "  return {0}_run(&memory, padded, length, result) == 0;\n",
        name, upper(name));
  return fmt::format("  (void)length;\n  return {0}_run(&memory, input, result) == 0;\n", name);
}

}  // namespace

std::string test_text(const CText& text, const std::vector<TestInput>& inputs,
                      const std::vector<std::vector<float>>& results) {
  const CSetting& setting = text.setting;
  const std::string &name = setting.name, big = upper(name);
  const bool hears = setting.front_end != nullptr;
  const char* type = hears ? "int16_t" : "float";
  std::string out = fmt::format(
      "/* {1}. The self-test of {0}.c: inputs, and what the host made of them.\n"
      "   cc -std=c99 {0}.c {0}_test.c -lm && ./a.out\n"
      "   With {2}_NO_MAIN defined it has no main: call {0}_self_test, which returns how many answers "
      "differ. */\n"
      "#include <math.h>\n#include <stdio.h>\n\n#include \"{0}.h\"\n\n",
      name, made_by(), big);
  std::string list, lengths, answers;
  size_t longest = 1;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const size_t size = hears ? inputs[i].samples.size() : inputs[i].features.size();
    out += fmt::format(
        "static const {} input_{}[{}] = {{\n{}}};\nstatic const float answer_{}[{}] = {{\n{}}};\n", type, i,
        size, hears ? integers_text(inputs[i].samples) : numbers_text(inputs[i].features), i,
        results[i].size(), numbers_text(results[i]));
    list += fmt::format("{}input_{}", i > 0 ? ", " : "", i);
    answers += fmt::format("{}answer_{}", i > 0 ? ", " : "", i);
    lengths += fmt::format("{}{{{}, {}}}", i > 0 ? ", " : "",
                           hears ? static_cast<int64_t>(size) : inputs[i].frames, results[i].size());
    longest = std::max(longest, results[i].size());
  }
  // In front of a model that hears, float samples go through an FFT in single precision.
  const char* tolerance = hears ? "2e-3F" : "1e-5F";
  const int64_t room = std::max<int64_t>(static_cast<int64_t>(longest), text.program.result_bytes / 4);
  const bool counts = hears || setting.streaming || setting.sequence;
  out += fmt::format(R"(
static const {3} *const inputs[{1}] = {{{4}}};
static const float *const answers[{1}] = {{{5}}};
/* of each input: frames, or samples; and numbers of the answer */
static const int32_t lengths[{1}][2] = {{{6}}};

static {0}_memory memory;
const int32_t {0}_vectors = {1};
float {0}_result[{7}];

static int run(const {3} *input, int32_t length, float *result) {{
{8}{9}}}

/* the place of the largest of the first `count` */
static int32_t best(const float *x, int32_t count) {{
  int32_t i, place = 0;
  for (i = 1; i < count; ++i)
    if (x[i] > x[place]) place = i;
  return place;
}}

int32_t {0}_result_size(int32_t vector) {{
  return lengths[vector][1];
}}

/* Runs one of the inputs into {0}_result. Returns whether the answer is the host's: the largest number
   in the same place, and each equal to {10} of itself or of the largest. */
int {0}_test_vector(int32_t vector) {{
  const float *wanted = answers[vector];
  const int32_t count = lengths[vector][1];
  float largest = 0.0F;
  int32_t i;
  if (!run(inputs[vector], lengths[vector][0], {0}_result)) return 0;
  for (i = 0; i < count; ++i)
    if (fabsf(wanted[i]) > largest) largest = fabsf(wanted[i]);
  for (i = 0; i < count; ++i)
    if (!(fabsf({0}_result[i] - wanted[i]) <= {10} * largest)) return 0;
  for (i = 0; i + {2}_OUTPUTS <= count; i += {2}_OUTPUTS)
    if (best({0}_result + i, {2}_OUTPUTS) != best(wanted + i, {2}_OUTPUTS)) return 0;
  return 1;
}}

int {0}_self_test(void) {{
  int wrong = 0;
  int32_t i;
  for (i = 0; i < {1}; ++i) wrong += !{0}_test_vector(i);
  return wrong;
}}

#ifndef {2}_NO_MAIN
int main(void) {{
  const int wrong = {0}_self_test();
  printf("{0}: %d of {1} answers are the host's\n", {1} - wrong);
  return wrong > 0;
}}
#endif
)",
                     name, inputs.size(), big, type, list, answers, lengths, room,
                     counts ? "  int32_t at;\n" : "", call(text), tolerance);
  // Declared before they are defined, as -Wmissing-prototypes asks.
  const std::string declared = fmt::format(
      "extern const int32_t {0}_vectors;\nextern float {0}_result[{1}];\n"
      "int {0}_test_vector(int32_t vector);\nint32_t {0}_result_size(int32_t vector);\n"
      "int {0}_self_test(void);\n\n",
      name, room);
  const size_t place = out.find("static const");
  return out.insert(place, declared);
}

}  // namespace lariat::to_c
