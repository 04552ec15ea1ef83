#pragma once

#include <list>
#include <map>
#include <mutex>

#include "graph/exec/executor.hpp"
#include "graph/io/store.hpp"
#include "graph/passes/pass_list.hpp"

namespace lariat {

class BoundProgram;

/// A graph ready to run: optimised, with a plan for each set of extents it has been fed (the latest 64 are
/// kept). Several threads may use it: they run one after the other.
class Program {
 public:
  /// Optimises `graph` by the pass list; the original is not needed afterwards.
  explicit Program(const Graph& graph, const PassOptions& passes = {});

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
  const Graph& graph() const { return *graph_; }

 private:
  struct Cached {
    std::vector<Extents> extents;
    std::unique_ptr<Plan> plan;
  };
  struct StoreSource {
    int32_t id;
    Extents extents;
    bool updated;
  };
  void look_up(const Feeds& feeds);
  std::unique_ptr<Plan> make_plan();
  Plan& find_plan(const Feeds& feeds);
  std::shared_ptr<const void> pack_constants(const Node& node, const Step& step);
  const Tensor& stored(const StoreSource& source, const Store& store) const;
  void locate_sources(Store& store, Feeds& copies);
  void separate(Store& store);

  std::mutex mutex_;
  std::unique_ptr<Graph> graph_;
  std::vector<std::string> input_names_;              // of the graph as it was given
  std::vector<int32_t> inputs_;                       // live input nodes
  std::map<std::string, Shape, std::less<>> unread_;  // the other inputs, which may size symbols all the same
  std::unique_ptr<ExecutionOrder> order_;
  std::vector<int32_t> constants_;
  std::vector<StoreSource> sources_;  // parameters and states
  bool updates_ = false;
  // Of the run at hand: the tensors fed to inputs_ and then to unread_, nullptr for none, and the memory of
  // every source by node.
  std::vector<const Tensor*> fed_;
  std::vector<void*> source_data_;
  std::vector<void*> separate_data_;                       // memory that is known to be separate
  std::map<int32_t, Tensor> own_constants_;                // copies of those that the store shared
  std::list<Cached> plans_;                                // latest first
  std::map<int32_t, std::shared_ptr<const void>> packed_;  // by node
  std::shared_ptr<std::byte> arena_;
  size_t arena_bytes_ = 0;
};

/// A program on memory that stays, as Program::bind() makes it. For one thread at a time.
class BoundProgram {
 public:
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
