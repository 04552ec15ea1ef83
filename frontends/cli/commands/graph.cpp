#include "graph/ir/graph.hpp"

#include <fmt/format.h>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/recipe_arguments.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/cli/training_step.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/ir/print.hpp"
#include "graph/passes/pass_list.hpp"

namespace lariat::cli {

namespace {

void list_passes() {
  std::vector<Strings> rows{{"none", "the graph as autodiff writes it"}};
  for (const Pass& pass : passes()) rows.push_back({pass.name, pass.doc});
  print(columns(rows, 0));
}

}  // namespace

static void graph(const Strings& words) {
  Arguments arguments(
      "lariat graph", "Shows the training step of a recipe as a graph: forward, backward, optimizer, prox.",
      "lariat graph recipe.toml --after none\nlariat graph recipe.toml --dot step.dot && dot -Tsvg step.dot");
  RecipeArguments recipe_arguments;
  std::string dot;
  PassOptions passes_run;
  bool text = false, show_passes = false;
  recipe_arguments.declare(arguments, false);
  arguments.output("--dot", "FILE", dot, "write Graphviz's format");
  arguments.flag("--text", text, "print the graph as text; the default unless --dot is given");
  arguments.option("--after", "PASS", passes_run.last,
                   "stop after this pass of the list; none: before the first");
  arguments.repeated("--without", "PASS", passes_run.without,
                     "leave this pass out; LARIAT_WITHOUT_PASSES=A,B does so for every command");
  arguments.plugins();
  arguments.flag("--passes", show_passes, "list the passes in their order");
  if (!arguments.read(words)) return;
  if (show_passes) return list_passes();
  const Recipe recipe = recipe_arguments.recipe("lariat graph");
  check_outputs({dot}, {recipe_arguments.file});
  check_outputs({dot}, recipe, recipe_arguments.data);
  optimize(Graph(), passes_run);  // refuses a pass that there is not, before the data are read

  std::string notice;
  const DataShape shape = recipe_shape(recipe, recipe_arguments.data, notice);
  if (!notice.empty()) report(notice + "; name their folder with --data");
  const TrainingStep step = make_training_step(recipe, shape, 1);
  const std::unique_ptr<Graph> shown = optimize(*step.written, passes_run);
  if (!dot.empty()) {
    AtomicFile out(dot);
    out.write(to_dot(*shown));
    out.commit();
    print(fmt::format("{}: {} nodes\n", dot, grouped(shown->size())));
  }
  if (text || dot.empty()) print(to_text(*shown));
}

Command command_records::graph() {
  return {"graph", "show the training step of a recipe as a graph", cli::graph, CommandGroup::graphs};
}

}  // namespace lariat::cli
