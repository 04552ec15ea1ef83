#include "graph/passes/pass_list.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "graph/error.hpp"
#include "graph/passes/fold_constants.hpp"
#include "graph/passes/fuse_addends.hpp"
#include "graph/passes/fuse_elementwise.hpp"
#include "graph/passes/fuse_recurrent.hpp"
#include "graph/passes/merge_common.hpp"
#include "graph/passes/remove_dead.hpp"
#include "graph/passes/simplify.hpp"
#include "graph/verify.hpp"

namespace lariat {

const std::vector<Pass>& passes() {
  static const std::vector<Pass> list{
      {"remove_dead", "drops nodes that no output depends on", remove_dead},
      {"fuse_recurrent", "joins the steps of a recurrence that share weights into one node", fuse_recurrent},
      {"simplify", "rewrites by algebra: x * 1 → x, transposes into products, broadcasts into their readers",
       simplify},
      {"fold_constants", "computes nodes whose inputs are constants", fold_constants},
      {"merge_common", "merges nodes that compute the same", merge_common},
      {"sweep", "drops what the passes before left behind", remove_dead},
      {"fuse_addends", "adds a bias or another part of a gradient while a product is written", fuse_addends},
      {"fuse_elementwise", "joins element-wise nodes into one loop over memory", fuse_elementwise},
  };
  return list;
}

std::unique_ptr<Graph> optimize(const Graph& graph, std::string_view last) {
  if (!last.empty() && last != "none") {
    std::vector<std::string> known{"none"};
    for (const Pass& pass : passes()) known.push_back(pass.name);
    if (std::find(known.begin(), known.end(), last) == known.end())
      throw UserError(fmt::format("there is no pass '{}'.{}", last, did_you_mean(last, known)));
  }
  auto current = std::make_unique<Graph>();
  copy_graph(graph, *current);
  verify(*current);
  if (last == "none") return current;
  for (const Pass& pass : passes()) {
    auto next = std::make_unique<Graph>();
    pass.run(*current, *next);
    verify(*next);
    current = std::move(next);
    if (pass.name == last) break;
  }
  return current;
}

}  // namespace lariat
