#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "graph/exec/executor.hpp"
#include "graph/io/store.hpp"
#include "graph/passes/pass_list.hpp"

namespace lariat {

class BoundProgram;
class Plan;

/// A graph ready to run: optimised, with a plan for each set of extents it has been fed (the latest 64 are
/// kept). Several threads may use it: they run one after the other.
class Program {
 public:
  /// Optimises `graph` by the pass list; the original is not needed afterwards.
  explicit Program(const Graph& graph, const PassOptions& passes = {});
  ~Program();

  /// Runs once: returns the outputs in their order and writes the updates to the store. Throws UserError for
  /// a missing, unknown or ill-shaped feed, and for a tensor of the store that is missing or of another type
  /// than the graph's; the store is then as it was. A feed or constant that shares its memory with a tensor
  /// that is updated keeps its values while the graph runs; of two tensors of the store that share theirs,
  /// one gets memory of its own.
  std::vector<Tensor> run(const Feeds& feeds, Store& store, Executor& executor);
  /// Fixes the feeds' memory, `store` as it is now and the executor, for calls that follow each other
  /// closely: a BoundProgram looks nothing up and copies no result. Its memory is its own, so threads that
  /// each have one run side by side. This program and the executor must outlive it. Throws UserError as run()
  /// does, and where the program updates a store.
  std::unique_ptr<BoundProgram> bind(const Feeds& feeds, const Store& store, Executor& executor);
  /// The plan for these feeds.
  const Plan& plan(const Feeds& feeds);
  const Graph& graph() const;

 private:
  friend std::unique_ptr<Program> program_of(const Graph& graph,
                                             std::span<const std::pair<std::string, Value>> outputs);
  /// Of the part of `graph` that is run: the inputs are those of all of it.
  Program(const Graph& part, const Graph& graph, const PassOptions& passes);

  struct Implementation;
  std::unique_ptr<Implementation> self_;
};

/// A program on memory that stays, as Program::bind() makes it. For one thread at a time.
class BoundProgram {
 public:
  ~BoundProgram();
  /// Computes the results from what the memory of the feeds holds at the time.
  void run();
  /// The outputs in their order, in memory that every run writes over; clone() keeps one.
  const std::vector<Tensor>& results() const { return results_; }

 private:
  friend class Program;
  BoundProgram(std::unique_ptr<Plan> plan, Executor& executor, const std::vector<void*>& source_data,
               std::vector<Tensor> sources);

  std::unique_ptr<Plan> plan_;
  Executor& executor_;
  std::vector<Tensor> sources_;  // whose memory the plan reads
  std::shared_ptr<std::byte> arena_;
  std::vector<Tensor> results_;
  std::vector<std::pair<void*, TensorView>> copies_;  // of results that are sources
};

/// A program that computes values of `graph` under these names, and takes all of its inputs. What they do not
/// need is not looked at: several such programs may be parts of one graph.
std::unique_ptr<Program> program_of(const Graph& graph,
                                    std::span<const std::pair<std::string, Value>> outputs);

/// A program that computes `values` of `graph` as they are at inference (dropout off), in their order. With
/// `frozen`, parameters and states become constants that share its tensors' memory, so that work on them
/// alone is done once: nothing may write to them as long as the program is used. `with_updates` it also does
/// the graph's updates that are not of training alone, whose states are not frozen. Throws UserError where
/// `frozen` lacks one.
std::unique_ptr<Program> inference_program(const Graph& graph, std::span<const Value> values,
                                           const Store* frozen = nullptr, bool with_updates = false);

/// Puts a first value into `store` for every parameter and state of `graph` that it lacks; the random state
/// takes `seed`. Throws UserError where a tensor in the store has another type than the graph says.
void initialize_store(const Graph& graph, Store& store, uint64_t seed);

}  // namespace lariat
