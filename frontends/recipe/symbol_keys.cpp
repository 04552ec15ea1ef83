#include <fmt/format.h>
#include <fmt/ranges.h>

#include "frontends/recipe/recipe.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

// The kinds of data whose examples may have a sequence of symbols.
std::vector<std::string> kinds_with_symbols() {
  std::vector<std::string> names;
  for (const DataKind& kind : data_kinds())
    if (kind.has_symbols || kind.form == DataForm::recordings) names.push_back(kind.spec.name);
  return names;
}

}  // namespace

// What a recipe says of symbols has an effect where they are learned, and they can be learned of its data.
void Recipe::check_symbols(std::string_view place) const {
  const std::vector<ModelOutput> learned = outputs();
  const Spec& data_table = table("data");
  const DataKind& kind = data_kind_of(data_table);
  for (const ModelOutput& output : learned) {
    if (!output.loss.per_sequence) continue;
    if (learned.size() > 1)
      throw UserError(
          fmt::format("{}[[outputs]] layer = {}: its loss {} learns the one sequence of symbols that an "
                      "example has, but there are {} outputs; give it that one alone",
                      place, output.layer, output.loss.name, learned.size()));
    if (!kind.has_symbols && kind.form != DataForm::recordings)
      throw UserError(fmt::format(
          "{}[loss] kind = {}: learns sequences of symbols, which data of [data] kind = {} do not "
          "have; take {}",
          place, output.loss.name, kind.spec.name, fmt::join(kinds_with_symbols(), ", ")));
    return;
  }
  std::vector<std::string> given;
  for (const char* key : {"join", "symbols"})
    if (const SpecOption* option = kind.spec.find(key))
      if (const std::string& value = data_table.at(key); value != option->default_value)
        given.push_back(fmt::format("[data] {} = {}", key, value));
  if (beam() > 0) given.push_back(fmt::format("[prediction] beam = {}", beam()));
  if (!given.empty())
    throw UserError(fmt::format(
        "{}{}: has no effect with [loss] kind = {}, which learns no sequences of symbols; take ctc, or leave "
        "it out",
        place, given.front(), learned.front().loss.name));
}

}  // namespace lariat
