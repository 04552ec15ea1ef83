#pragma once

#include "autodiff/training/kept_step.hpp"
#include "autodiff/training/trainer.hpp"
#include "graph/program/program.hpp"

namespace lariat {

/// What the store's names of places begin with.
inline constexpr const char* kept_places_prefix = "trainer/kept/";

/// Takes a trainer's steps by what is left of its parameters, from when their zeros stay zero and few enough
/// are left. Which places are computed is part of the state, in the store under "trainer/kept/PARAMETER" as
/// row·columns + column: a training that goes on does so with the same bits. It is looked at when zeros begin
/// to stay and after every `interval` steps.
class KeptWeights {
 public:
  static constexpr int64_t interval = 64;

  /// Of the training step as it is for all weights.
  KeptWeights(const Graph& step, PassOptions passes) : step_(step), passes_(std::move(passes)) {}

  /// Before step number `step`: the program that takes it, the store being as that needs it; null where all
  /// weights are computed. `settled`: zeros stay where they settle, from step `first` on.
  Program* prepare(Store& store, int64_t step, bool settled, int64_t first);
  /// Brings the store into the form that it has where all weights are computed. What it has been changed to
  /// until the next step is taken into account there.
  void unpack(Store& store);
  /// What steps compute at present.
  const std::vector<KeptCount>& counts() const { return counts_; }

 private:
  using Places = std::map<std::string, Tensor>;
  struct Base {
    std::unique_ptr<Graph> graph;
    std::set<std::string> parameters;
  };
  const Base& base(bool settled);
  void look(const Store& store, const Base& base, Places& places) const;
  void build(Store& store, const Base& base, Places places);

  const Graph& step_;
  const PassOptions passes_;
  Base bases_[2];
  bool settled_ = false, packed_ = false, changed_ = true;
  Places places_;
  std::set<std::string> zero_slots_;
  KeptStep kept_;
  std::unique_ptr<Program> program_;
  std::vector<KeptCount> counts_;
};

}  // namespace lariat
