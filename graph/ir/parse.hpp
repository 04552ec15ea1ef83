#pragma once

#include <string_view>

namespace lariat {

class Graph;
class Registry;

/// Adds the nodes, outputs and updates that to_text() wrote to `into`. Labels (%3) may be any numbers as long
/// as each is given before it is used; types may be left out, and are checked against the inferred ones where
/// they are given. Throws UserError naming the line, what was expected and what was found; the lines before
/// it are then in `into`.
void parse_graph(std::string_view text, Graph& into);

/// The same with the ops of `ops` in the place of registry()'s.
void parse_graph(std::string_view text, Graph& into, const Registry& ops);

}  // namespace lariat
