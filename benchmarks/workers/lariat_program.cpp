// The least that a program does with lariat: the forward pass of one dense layer.

#include <iostream>

#include "frontends/lariat.hpp"
#include "graph/program/program.hpp"

using namespace lariat;

int main() {
  Graph graph;
  const Value x = graph.input("x", {1, 4});
  const Value y = matmul(x, graph.parameter("kernel", {4, 2})) + graph.parameter("bias", {2}, init::zeros());
  Store store;
  initialize_store(graph, store, 0);
  const auto executor = make_tbb_executor();
  const Tensor result =
      inference_program(graph, {&y, 1})->run({{"x", Tensor::filled(f32, {1, 4}, 1)}}, store, *executor)[0];
  std::cout << "ok " << result.at(0) << std::endl;
  std::cin.get();  // whoever started the program looks at its memory meanwhile
}
