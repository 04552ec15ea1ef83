#pragma once

namespace lariat {

class Graph;

/// Checks every invariant of the graph and of the graphs in its attributes, in time linear in their size:
/// each node comes after its inputs, attributes and types are what its op's record says, sources have unique
/// names that the graph finds, outputs exist, and each update has the type of its parameter or state. Throws
/// InternalError naming the node and the op.
void verify(const Graph& graph);

}  // namespace lariat
