#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "frontends/data/dataset.hpp"

namespace lariat {

// Sequences of symbols, which are indices from 1: what a model's outputs of each frame say, how probable that
// is, and how it differs from what is so. Outputs are row-major [frames, width], logits or logarithms of
// probabilities; column 0 is the blank, which stands for no symbol and parts equal neighbours.

/// The most probable class of every frame, of which runs of one are one symbol, and blanks are none.
std::vector<int32_t> best_path(std::span<const float> outputs, int64_t width);
/// The sequence that is most probable over all its alignments, among those that the `beam` most probable
/// beginnings at each frame lead to: prefix beam search (Graves 2012; Hannun et al. 2014).
std::vector<int32_t> prefix_beam_search(std::span<const float> outputs, int64_t width, int64_t beam);
/// log p(symbols | outputs), over all alignments; -infinity where the frames are too few.
double log_probability(std::span<const int32_t> symbols, std::span<const float> outputs, int64_t width);

/// How many frames outputs must have so that they can be these symbols: one each, and one for the blank
/// between equal neighbours; 1 of none.
int64_t frames_for(std::span<const float> symbols);

/// A symbol that is so and the one that is said in its place; 0 of what is missing, or said without being so.
struct AlignedSymbol {
  int32_t truth = 0, said = 0;
};
/// With the fewest substitutions, insertions and deletions together (Levenshtein); of several such alignments
/// always the same one.
std::vector<AlignedSymbol> aligned(std::span<const int32_t> truth, std::span<const int32_t> said);

/// What the two are off by, counted.
struct SymbolErrors {
  int64_t symbols = 0;  ///< that are so
  int64_t substitutions = 0, insertions = 0, deletions = 0;

  int64_t errors() const { return substitutions + insertions + deletions; }
};
SymbolErrors errors_in(std::span<const AlignedSymbol> alignment);

/// The symbols' names in a row, as `targets` says what stands between them.
std::string symbols_text(std::span<const int32_t> symbols, const std::vector<std::string>& names,
                         const data::Targets& targets);

}  // namespace lariat
