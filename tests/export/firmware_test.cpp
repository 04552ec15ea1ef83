// Exported programs on a Cortex-M4: built by Debian's compiler for it, run by QEMU, their answers compared
// with the host's, bit patterns read from what they print.
#include <fmt/format.h>

#include <bit>
#include <sstream>

#include "frontends/data/random.hpp"
#include "frontends/sequential/layers.hpp"
#include "ops/ops.hpp"
#include "tests/export/c_tools.hpp"
#include "tests/support/testing.hpp"

namespace lariat::firmware_test {

namespace {

using to_c::ExportOptions;
using to_c::TestInput;

struct Answer {
  bool same = false;
  int64_t thousand_instructions = 0;
  std::vector<float> values;
};

constexpr const char* compiler =
    "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -Os -ffunction-sections "
    "-fdata-sections";

std::vector<Answer> run_on_board(const testing::TemporaryFolder& folder, const std::string& name) {
  std::string upper = name;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const std::string board = LARIAT_SOURCE_ROOT "/examples/firmware";
  const testing::ProgramRun built = testing::shell(
      folder.text(),
      fmt::format("{0} -std=c99 -Wall -Wextra -Werror -pedantic -c {1}.c && {0} -std=c99 -DMODEL={1} "
                  "-D{2}_NO_MAIN {1}.o "
                  "{1}_test.c {3}/main.c {3}/startup.c -nostartfiles -specs=nano.specs -T {3}/an386.ld "
                  "-Wl,--gc-sections -lm -o {1}.elf",
                  compiler, name, upper, board));
  REQUIRE_MESSAGE(built.status == 0, built.err);
  const testing::ProgramRun run = testing::shell(
      folder.text(), fmt::format("qemu-system-arm -M mps2-an386 -nographic -monitor none -serial none "
                                 "-semihosting-config enable=on,target=native -icount shift=0 -kernel {}.elf",
                                 name));
  std::vector<Answer> answers;
  std::istringstream lines(run.out + run.err);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    Answer& answer = answers.emplace_back();
    words >> word >> answer.thousand_instructions;
    answer.same = word == "same";
    while (words >> word)
      answer.values.push_back(std::bit_cast<float>(static_cast<uint32_t>(std::stoul(word, nullptr, 16))));
  }
  CHECK_MESSAGE(run.status == 0, (run.out + run.err));
  return answers;
}

bool have_board() { return testing::have_programs({"arm-none-eabi-gcc", "qemu-system-arm"}); }

// Bytes of the sections of an object: code and constants, variables.
std::pair<int64_t, int64_t> sizes(const testing::TemporaryFolder& folder, const std::string& object) {
  std::istringstream words(
      testing::shell(folder.text(), "arm-none-eabi-size " + object + " | tail -n 1").out);
  int64_t text = 0, data = 0, bss = 0;
  words >> text >> data >> bss;
  return {text + data, data + bss};
}

}  // namespace

TEST_CASE("firmware: LeNet-300-100 with 98.7% zeros in 10 kB, with the host's answers") {
  if (!have_board()) return;
  const testing::TemporaryFolder folder, firmware;
  SavedModel model = testing::random_model(folder, {Dense(300, relu), Dense(100, relu), Dense(3)},
                                           testing::plain_shape(784), 0.987);
  ExportOptions options{.name = "lenet", .int8 = true};
  std::vector<TestInput> inputs(3);
  for (size_t i = 0; i < inputs.size(); ++i) {
    data::RandomStream random(i, data::RandomPurpose::noise);
    for (int j = 0; j < 784; ++j) inputs[i].features.push_back(static_cast<float>(random.uniform()));
  }
  const to_c::CProgram program = to_c::export_c(model, options, inputs);
  testing::write_program(firmware.text(), program);
  const std::vector<Answer> answers = run_on_board(firmware, "lenet");
  REQUIRE(answers.size() == inputs.size());
  to_c::HostModel host(model, options);
  for (size_t i = 0; i < inputs.size(); ++i) {
    CHECK(answers[i].same);
    const std::vector<float> wanted = host.run(inputs[i].features, 1);
    REQUIRE(answers[i].values.size() == wanted.size());
    for (size_t j = 0; j < wanted.size(); ++j)
      CHECK(answers[i].values[j] == doctest::Approx(wanted[j]).epsilon(1e-5));
  }
  const auto [flash, variables] = sizes(firmware, "lenet.o");
  CAPTURE(flash);
  CHECK(flash <= 10000);
  CHECK(flash >= program.constant_bytes);
  CHECK(variables == 0);  // the memory is the caller's
  CHECK(program.ram_bytes == 1600);
  CHECK(program.ram_bytes + program.input_bytes + program.result_bytes <= 5000);
}

TEST_CASE("firmware: a spoken-digit model with its front end hears in real time") {
  if (!have_board()) return;
  const testing::TemporaryFolder folder, firmware;
  FrontEnd front_end{speech::FeatureExtractor({.sample_frequency = 8000, .cmvn = speech::Cmvn::global})};
  front_end.statistics = {std::vector<float>(40, 10), std::vector<float>(40, 0.3F)};
  // As `lariat demo` has it.
  SavedModel model = testing::random_model(
      folder, {StackFrames(3), Lstm(64, {.return_sequences = true}), GlobalAveragePool(), Dense(3)},
      testing::sequence_shape(40), 0.8, &front_end);
  const ExportOptions options{.name = "digits", .int8 = true, .streaming = true, .vectors = 2};
  testing::write_program(firmware.text(), to_c::export_c(model, options));
  const std::vector<Answer> answers = run_on_board(firmware, "digits");
  REQUIRE(answers.size() == 2);
  for (const Answer& answer : answers) CHECK(answer.same);
  const auto [flash, variables] = sizes(firmware, "digits.o");
  CAPTURE(flash);
  CHECK(flash <= 64000);
  // The second has 41 frames 10 ms apart, of 25 ms: at 100 million instructions a second it takes a twentieth
  // of that.
  CAPTURE(answers[1].thousand_instructions);
  CHECK(answers[1].thousand_instructions > 0);
  CHECK(answers[1].thousand_instructions < 425 * 25);  // 25 MHz, one instruction a cycle
}

TEST_CASE("firmware: convolutions and both ways of an LSTM") {
  if (!have_board()) return;
  const testing::TemporaryFolder folder, firmware;
  SavedModel images = testing::random_model(
      folder, {Image(9, 8), Conv2d(5, 3, 3, relu), MaxPool2d(2, 2), Flatten(), Dense(3)},
      testing::plain_shape(72));
  testing::write_program(firmware.text(), to_c::export_c(images, {.name = "images", .vectors = 2}));
  SavedModel both = testing::random_model(folder, {Conv1d(6, 3, relu), Bidirectional(Lstm(4)), Dense(3)},
                                          testing::sequence_shape(4));
  testing::write_program(firmware.text(),
                         to_c::export_c(both, {.name = "both", .int8 = true, .frames = 12, .vectors = 2}));
  for (const char* name : {"images", "both"}) {
    CAPTURE(name);
    const std::vector<Answer> answers = run_on_board(firmware, name);
    CHECK(answers.size() == 2);
    for (const Answer& answer : answers) CHECK(answer.same);
  }
}

}  // namespace lariat::firmware_test
