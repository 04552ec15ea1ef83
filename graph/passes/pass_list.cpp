#include "graph/passes/pass_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "graph/base/error.hpp"
#include "graph/ir/verify.hpp"
#include "graph/passes/fold_constants.hpp"
#include "graph/passes/fuse_addends.hpp"
#include "graph/passes/fuse_elementwise.hpp"
#include "graph/passes/fuse_recurrent.hpp"
#include "graph/passes/merge_common.hpp"
#include "graph/passes/remove_dead.hpp"
#include "graph/passes/simplify.hpp"

namespace lariat {

const std::vector<Pass>& passes() {
  static const std::vector<Pass> list{
      {"remove_dead", "drops nodes that no output depends on", remove_dead, all_live},
      {"fuse_recurrent", "joins the steps of a recurrence that share weights into one node", fuse_recurrent,
       without_recurrences},
      {"simplify", "rewrites by algebra: x * 1 → x, transposes into products, broadcasts into their readers",
       simplify},
      {"fold_constants", "computes nodes whose inputs are constants", fold_constants},
      {"merge_common", "merges nodes that compute the same", merge_common},
      {"sweep", "drops what the passes before left behind", remove_dead, all_live},
      {"fuse_addends", "adds a bias or another part of a gradient while a product is written", fuse_addends,
       without_addends},
      {"fuse_elementwise", "joins element-wise nodes into one loop over memory", fuse_elementwise},
  };
  return list;
}

namespace {

constexpr const char* without_variable = "LARIAT_WITHOUT_PASSES";

void check_name(const std::string& name, const char* also, const std::string& where) {
  std::vector<std::string> known;
  if (also) known.emplace_back(also);
  for (const Pass& pass : passes()) known.push_back(pass.name);
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw UserError(fmt::format("{}there is no pass '{}'.{}", where, name, did_you_mean(name, known)));
}

// Those of the options and of the environment.
std::vector<std::string> passes_left_out(const PassOptions& options) {
  std::vector<std::string> names = options.without;
  for (const std::string& name : names) check_name(name, nullptr, "");
  const char* variable = std::getenv(without_variable);
  std::istringstream words(variable ? variable : "");
  for (std::string name; std::getline(words, name, ',');) {
    if (name.empty()) continue;
    check_name(name, nullptr, fmt::format("{}: ", without_variable));
    names.push_back(name);
  }
  return names;
}

}  // namespace

std::unique_ptr<Graph> optimize(const Graph& graph, const PassOptions& options) {
  if (!options.last.empty()) check_name(options.last, "none", "");
  const std::vector<std::string> without = passes_left_out(options);
  verify(graph);
  std::unique_ptr<Graph> current;
  for (const Pass& pass : passes()) {
    if (options.last == "none") break;
    const bool is_left_out = std::find(without.begin(), without.end(), pass.name) != without.end();
    if (!is_left_out && !(pass.is_idle && pass.is_idle(current ? *current : graph))) {
      auto next = std::make_unique<Graph>();
      pass.run(current ? *current : graph, *next);
      verify(*next);
      current = std::move(next);
    }
    if (pass.name == options.last) break;
  }
  if (!current) {
    current = std::make_unique<Graph>();
    copy_graph(graph, *current);
  }
  return current;
}

}  // namespace lariat
