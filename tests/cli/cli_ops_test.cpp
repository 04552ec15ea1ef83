// `lariat ops`: every op under its group, and every function that is made of ops.
#include <regex>
#include <set>

#include "graph/base/json.hpp"
#include "graph/ir/registry.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_ops_test {

using testing::contains;
using testing::have_lariat;
using testing::ProgramRun;
using testing::read_file;
using testing::run_lariat;

namespace {

std::set<std::string> names_in(const Json& ops) {
  std::set<std::string> names;
  for (const Json& op : ops) names.insert(op["name"].get<std::string>());
  return names;
}

}  // namespace

TEST_CASE("cli: ops list has every op in its group, and every function of ops.hpp") {
  if (!have_lariat()) return;
  const ProgramRun run = run_lariat({"ops", "list", "--json", "-"});
  REQUIRE(run.status == 0);
  const Json ops = parse_json(run.out)["ops"];
  const std::set<std::string> names = names_in(ops);
  for (const OpDef* op : registry().all()) CHECK_MESSAGE(names.contains(op->name), op->name);
  const std::string header = read_file(std::string(LARIAT_SOURCE_ROOT) + "/ops/ops.hpp");
  const std::regex function("(?:^|\\n)(?:Value|std::vector<Value>|LstmState) ([a-z0-9_]+)\\(");
  int functions = 0;
  for (std::sregex_iterator found(header.begin(), header.end(), function), end; found != end; ++found) {
    CHECK_MESSAGE(names.contains((*found)[1].str()), (*found)[1].str());
    ++functions;
  }
  CHECK(functions > 100);
  for (const Json& op : ops) {
    CHECK(!op["doc"].get<std::string>().empty());
    if (op["name"] == "huber") CHECK(op["composition"] == true);
    if (op["name"] == "matmul") CHECK(op["group"] == "linear");
  }
}

TEST_CASE("cli: ops list --search looks into names, groups and texts") {
  if (!have_lariat()) return;
  const ProgramRun all = run_lariat({"ops", "list"});
  CHECK(all.out.starts_with("[activation]\nelu "));
  CHECK(contains(all.out, "\n[made of ops]\nbox "));
  const ProgramRun found = run_lariat({"ops", "list", "--search", "SOFTMAX"});
  CHECK(found.status == 0);
  for (const char* name : {"\nsoftmax ", "\nlog_softmax ", "\nsoftmax_cross_entropy "})
    CHECK_MESSAGE(contains(found.out, name), name);
  CHECK_FALSE(contains(found.out, "\nmatmul "));
  const ProgramRun both = run_lariat({"ops", "list", "--search", "lstm", "--search", "zero states"});
  CHECK(contains(both.out, "[made of ops]\nlstm  "));
  CHECK_FALSE(contains(both.out, "lstm_cell"));
  const ProgramRun none = run_lariat({"ops", "list", "--search", "attention"});
  CHECK(none.status == 2);
  CHECK(none.err ==
        "lariat: no op or function has 'attention' in its name or text; lariat ops list shows all\n");
  CHECK(contains(run_lariat({"ops", "show", "huber"}).out, "huber(prediction, target, delta = 1)\n"));
}

}  // namespace lariat::cli_ops_test
