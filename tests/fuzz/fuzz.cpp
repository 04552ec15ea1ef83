#include "tests/fuzz/fuzz.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "graph/base/error.hpp"
#include "graph/base/random.hpp"

namespace lariat::testing {

namespace {

constexpr size_t longest_message = 4000;
constexpr unsigned most_seconds = 20;  // for one input; sanitizers and a busy machine are slow

// What is being read, for the handler of a signal.
const std::string* present = nullptr;
std::array<char, 200> fault_file = {};

void save(const std::string& input) {
  const int descriptor = open(fault_file.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  [[maybe_unused]] const ssize_t written = write(descriptor, input.data(), input.size());
  close(descriptor);
}

void on_signal(int number) {
  if (present != nullptr) save(*present);
  constexpr std::string_view text = "\nfuzz: the input that ended the process is in ";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text.data(), text.size());
  written = write(STDERR_FILENO, fault_file.data(), std::strlen(fault_file.data()));
  written = write(STDERR_FILENO, "\n", 1);
  signal(number, SIG_DFL);
  raise(number);
}

class Random {
 public:
  Random(uint64_t seed, uint64_t number) : seed_(seed), number_(number) {}
  uint32_t below(size_t bound) {
    const auto bits = random_bits(seed_, number_, counter_++);
    return static_cast<uint32_t>(bits[0] % std::max<size_t>(bound, 1));
  }

 private:
  uint64_t seed_, number_, counter_ = 0;
};

const char* const words[] = {"-1",       "0",        "1",   "2147483648", "18446744073709551615",
                             "1e999",    "nan",      "inf", "[",          "]",
                             "{",        "}",        "\"",  "\\u0000",    ",",
                             ":",        "\n",       "'",   "null",       "true",
                             "\xff\xfe", "\xc2\x9b", "=",   "#",          "%",
                             "(",        ")",        "0.5", "-",          "\x1b[",
                             " ",        "e"};

// The smallest input with a fault that taking parts away leads to.
std::string reduced(const FuzzTarget& target, std::string input) {
  for (size_t part = input.size() / 2; part > 0; part /= 2)
    for (size_t at = 0; at + part <= input.size();) {
      std::string shorter = input;
      shorter.erase(at, part);
      if (fault_of(target, shorter).empty()) {
        at += part;
      } else {
        input = shorter;
      }
    }
  return input;
}

}  // namespace

std::string changed(const std::vector<std::string>& seeds, uint64_t seed, uint64_t number) {
  Random random(seed, number);
  std::string input = seeds[random.below(seeds.size())];
  for (uint32_t count = 1 + random.below(6); count > 0; --count) {
    const size_t at = random.below(input.size() + 1), size = 1 + random.below(1 + random.below(64));
    const bool inside = at < input.size();
    switch (random.below(8)) {
      case 0:
        if (inside) input[at] = static_cast<char>(input[at] ^ (1 << random.below(8)));
        break;
      case 1:
        if (inside) input[at] = static_cast<char>(random.below(256));
        break;
      case 2:
        if (inside) input.erase(at, size);
        break;
      case 3:
        if (inside) input.insert(random.below(input.size() + 1), input.substr(at, size));
        break;
      case 4:
        input.insert(at, words[random.below(std::size(words))]);
        break;
      case 5:
        if (inside) {
          const std::string word = words[random.below(std::size(words))];
          input.replace(at, word.size(), word);
        }
        break;
      case 6: {
        const std::string& other = seeds[random.below(seeds.size())];
        input = input.substr(0, at) +
                other.substr(std::min(other.size(), size_t{random.below(other.size() + 1)}));
        break;
      }
      default:
        if (random.below(8) == 0) input.resize(at);
        // Numbers of two to eight bytes at their extremes.
        for (size_t i = 0; inside && i < size_t{2} << random.below(3) && at + i < input.size(); ++i)
          input[at + i] = static_cast<char>(random.below(2) * 255);
    }
  }
  return input;
}

std::string file_with(const std::string& input) {
  static const int descriptor = memfd_create("input", MFD_CLOEXEC);
  require(descriptor >= 0 && ftruncate(descriptor, 0) == 0 && lseek(descriptor, 0, SEEK_SET) == 0 &&
              pwrite(descriptor, input.data(), input.size(), 0) == static_cast<ssize_t>(input.size()),
          "a file in memory can be written");
  return fmt::format("/dev/fd/{}", descriptor);
}

std::string fault_of(const FuzzTarget& target, const std::string& input) {
  try {
    target.read(input);
  } catch (const UserError& error) {
    const std::string_view message = error.what();
    if (message.size() > longest_message)
      return fmt::format("a message of {} bytes: {}…", message.size(), message.substr(0, 100));
    if (message.empty()) return "an empty message";
  } catch (const std::exception& error) {
    return fmt::format("an exception that is no UserError: {}", error.what());
  }
  return {};
}

std::string fuzz(const FuzzTarget& target, int64_t cases, uint64_t seed) {
  const char* const folder = std::getenv("TMPDIR");
  const std::string name = fmt::format("{}/lariat-fuzz-{}", folder == nullptr ? "/tmp" : folder, target.name);
  std::strncpy(fault_file.data(), name.c_str(), fault_file.size() - 1);
  const std::vector<std::string> seeds = target.seeds();
  for (const std::string& input : seeds)
    if (const std::string fault = fault_of(target, input); !fault.empty())
      return fmt::format("{}: a seed: {}", target.name, fault);
  const std::array signals{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
  std::array<void (*)(int), signals.size()> before = {};
  for (size_t i = 0; i < signals.size(); ++i) before[i] = signal(signals[i], on_signal);
  std::string result;
  for (int64_t number = 0; number < cases && result.empty(); ++number) {
    const std::string input = changed(seeds, seed, static_cast<uint64_t>(number));
    present = &input;
    alarm(most_seconds);
    if (!fault_of(target, input).empty()) {
      alarm(0);
      const std::string small = reduced(target, input);
      save(small);
      result = fmt::format("{}, seed {}, case {}: {}; the smallest input, of {} bytes, is in {}", target.name,
                           seed, number, fault_of(target, small), small.size(), name);
    }
  }
  alarm(0);
  present = nullptr;
  for (size_t i = 0; i < signals.size(); ++i) signal(signals[i], before[i]);
  return result;
}

}  // namespace lariat::testing
