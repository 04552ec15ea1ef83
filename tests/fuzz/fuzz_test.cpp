// Every reader of foreign bytes, with inputs made of good ones: some seconds each, a million cases by night.
#include "tests/fuzz/fuzz.hpp"

#include <cstdlib>
#include <map>
#include <stdexcept>

#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::fuzz_test {

using namespace lariat::testing;

TEST_CASE("fuzz: every reader takes or refuses what it gets") {
  // What trains or writes a file for each input is slower.
  const std::map<std::string, int64_t> slow{
      {"model", 2000}, {"checkpoint", 2000}, {"audio", 4000}, {"recipe", 4000}};
  const char* only = std::getenv("LARIAT_FUZZ_TARGET");  // a part of a long run
  int tried = 0;
  for (const FuzzTarget& target : fuzz_targets()) {
    if (only && target.name != std::string_view(only)) continue;
    ++tried;
    const auto found = slow.find(target.name);
    const std::string fault = fuzz(target,
                                   is_nightly()          ? 1000000
                                   : found == slow.end() ? 20000
                                                         : found->second,
                                   1);
    CHECK_MESSAGE(fault.empty(), fault);
  }
  CHECK_MESSAGE(tried > 0, "LARIAT_FUZZ_TARGET names no target");
}

TEST_CASE("fuzz: a reader that lets another exception out is found, and its input made small") {
  const FuzzTarget faulty{"faulty",
                          [](const std::string& input) {
                            if (input.find("]]") != std::string::npos) throw std::out_of_range("at");
                            if (input.size() > 20) throw lariat::UserError("too long");
                          },
                          [] { return std::vector<std::string>{"a text [1, 2] of some length"}; }};
  const std::string fault = fuzz(faulty, 100000, 7);
  CHECK(fault.find("an exception that is no UserError: at; the smallest input, of 2 bytes, is in ") !=
        std::string::npos);
  CHECK(fault == fuzz(faulty, 100000, 7));
}

}  // namespace lariat::fuzz_test
