#include "frontends/sequential/symbols.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "frontends/sequential/outcome.hpp"
#include "graph/base/error.hpp"
#include "ops/kernels/alignments.hpp"

namespace lariat {

namespace {

using alignments::add_logarithms;
using alignments::impossible;

// Frame by frame log softmax of the outputs; a frame with NaN says nothing, so that all is impossible.
std::vector<double> log_shares(std::span<const float> row) {
  const double largest = static_cast<double>(*std::max_element(row.begin(), row.end()));
  double sum = 0;
  for (const float value : row) sum += std::exp(static_cast<double>(value) - largest);
  std::vector<double> shares;
  for (const float value : row) {
    const double share = static_cast<double>(value) - largest - std::log(sum);
    shares.push_back(std::isnan(share) ? impossible : share);
  }
  return shares;
}

// The beginnings of sequences that a search has met, each a beginning and one symbol more.
class Prefixes {
 public:
  int32_t symbol(int32_t prefix) const { return nodes_[static_cast<size_t>(prefix)].symbol; }
  int32_t longer(int32_t prefix, int32_t symbol) {
    const auto [place, is_new] = children_.try_emplace({prefix, symbol}, static_cast<int32_t>(nodes_.size()));
    if (is_new) nodes_.push_back({prefix, symbol});
    return place->second;
  }
  std::vector<int32_t> symbols(int32_t prefix) const {
    std::vector<int32_t> result;
    for (; prefix != 0; prefix = nodes_[static_cast<size_t>(prefix)].parent) result.push_back(symbol(prefix));
    std::reverse(result.begin(), result.end());
    return result;
  }

 private:
  struct Node {
    int32_t parent = 0, symbol = 0;
  };
  std::vector<Node> nodes_{1};  // the first is the empty sequence
  std::map<std::pair<int32_t, int32_t>, int32_t> children_;
};

// log p of the alignments of a beginning with the frames so far that end in a blank, and in its last symbol.
struct PrefixScore {
  double blank = impossible, symbol = impossible;
  double all() const { return add_logarithms(blank, symbol); }
};

// The `count` most probable symbols of a frame, and those that `beam` ends in: no other can lead to one of as
// many most probable beginnings.
std::vector<int32_t> symbols_to_try(const std::vector<double>& shares, size_t count,
                                    const std::vector<int32_t>& last) {
  std::vector<int32_t> symbols;
  for (size_t i = 1; i < shares.size(); ++i) symbols.push_back(static_cast<int32_t>(i));
  if (symbols.size() <= count) return symbols;
  std::stable_sort(symbols.begin(), symbols.end(), [&](int32_t a, int32_t b) {
    return shares[static_cast<size_t>(a)] > shares[static_cast<size_t>(b)];
  });
  symbols.resize(count);
  symbols.insert(symbols.end(), last.begin(), last.end());
  std::sort(symbols.begin(), symbols.end());
  symbols.erase(std::unique(symbols.begin(), symbols.end()), symbols.end());
  return symbols;
}

}  // namespace

std::vector<int32_t> best_path(std::span<const float> outputs, int64_t width) {
  std::vector<int32_t> symbols;
  int64_t before = 0;
  for (size_t at = 0; at < outputs.size(); at += static_cast<size_t>(width)) {
    const int64_t now = place_of_largest(&outputs[at], width);
    if (now != 0 && now != before) symbols.push_back(static_cast<int32_t>(now));
    before = now;
  }
  return symbols;
}

std::vector<int32_t> prefix_beam_search(std::span<const float> outputs, int64_t width, int64_t beam) {
  require(beam >= 1 && width >= 1, "a beam holds at least one beginning");
  Prefixes prefixes;
  std::vector<std::pair<int32_t, PrefixScore>> kept{{0, {0, impossible}}};
  const auto columns = static_cast<size_t>(width);
  for (size_t at = 0; at < outputs.size(); at += columns) {
    const std::vector<double> shares = log_shares(outputs.subspan(at, columns));
    std::vector<int32_t> last;
    for (const auto& [prefix, score] : kept)
      if (prefix != 0) last.push_back(prefixes.symbol(prefix));
    const std::vector<int32_t> tried = symbols_to_try(shares, static_cast<size_t>(beam) + 1, last);
    // In the order in which beginnings were met, so that what comes out is always the same.
    std::map<int32_t, PrefixScore> next;
    for (const auto& [prefix, score] : kept) {
      const int32_t end = prefixes.symbol(prefix);
      PrefixScore& same = next[prefix];
      same.blank = add_logarithms(same.blank, score.all() + shares[0]);
      if (prefix != 0)
        same.symbol = add_logarithms(same.symbol, score.symbol + shares[static_cast<size_t>(end)]);
      for (const int32_t symbol : tried) {
        // Behind itself a symbol is a new one only past a blank.
        const double before = prefix != 0 && symbol == end ? score.blank : score.all();
        if (!(before > impossible)) continue;
        double& longer = next[prefixes.longer(prefix, symbol)].symbol;
        longer = add_logarithms(longer, before + shares[static_cast<size_t>(symbol)]);
      }
    }
    kept.assign(next.begin(), next.end());
    std::stable_sort(kept.begin(), kept.end(),
                     [](const auto& a, const auto& b) { return a.second.all() > b.second.all(); });
    if (kept.size() > static_cast<size_t>(beam)) kept.resize(static_cast<size_t>(beam));
  }
  return prefixes.symbols(kept.front().first);
}

double log_probability(std::span<const int32_t> symbols, std::span<const float> outputs, int64_t width) {
  const alignments::States states(symbols.data(), static_cast<int64_t>(symbols.size()));
  const auto columns = static_cast<size_t>(width), frames = outputs.size() / columns;
  if (frames == 0) return symbols.empty() ? 0 : impossible;
  std::vector<double> now(static_cast<size_t>(states.count())), before(now);
  for (size_t t = 0; t < frames; ++t) {
    const std::vector<double> shares = log_shares(outputs.subspan(t * columns, columns));
    before.swap(now);
    states.forward(static_cast<int64_t>(t), static_cast<int64_t>(frames), before.data(), now.data(),
                   [&](int64_t s) { return shares[static_cast<size_t>(states.class_of(s))]; });
  }
  return states.log_probability(now.data());
}

int64_t frames_for(std::span<const float> symbols) {
  auto frames = static_cast<int64_t>(symbols.size());
  for (size_t i = 1; i < symbols.size(); ++i) frames += symbols[i] == symbols[i - 1] ? 1 : 0;
  return std::max<int64_t>(1, frames);
}

std::vector<AlignedSymbol> aligned(std::span<const int32_t> truth, std::span<const int32_t> said) {
  const size_t rows = truth.size() + 1, columns = said.size() + 1;
  std::vector<int32_t> costs(rows * columns);
  const auto cost = [&](size_t i, size_t j) -> int32_t& { return costs[i * columns + j]; };
  const auto replaced = [&](size_t i, size_t j) {
    return cost(i - 1, j - 1) + (truth[i - 1] == said[j - 1] ? 0 : 1);
  };
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j) {
      if (i == 0 || j == 0) {
        cost(i, j) = static_cast<int32_t>(i + j);
        continue;
      }
      cost(i, j) = std::min({replaced(i, j), cost(i - 1, j) + 1, cost(i, j - 1) + 1});
    }
  std::vector<AlignedSymbol> result;
  for (size_t i = truth.size(), j = said.size(); i > 0 || j > 0;) {
    if (i > 0 && j > 0 && cost(i, j) == replaced(i, j)) {
      result.push_back({truth[--i], said[--j]});
    } else if (i > 0 && cost(i, j) == cost(i - 1, j) + 1) {
      result.push_back({truth[--i], 0});
    } else {
      result.push_back({0, said[--j]});
    }
  }
  std::reverse(result.begin(), result.end());
  return result;
}

SymbolErrors errors_in(std::span<const AlignedSymbol> alignment) {
  SymbolErrors errors;
  for (const auto& [truth, said] : alignment) {
    errors.symbols += truth != 0 ? 1 : 0;
    if (truth == said) continue;
    ++(truth == 0 ? errors.insertions : said == 0 ? errors.deletions : errors.substitutions);
  }
  return errors;
}

std::string symbols_text(std::span<const int32_t> symbols, const std::vector<std::string>& names,
                         const data::Targets& targets) {
  std::string text;
  for (size_t i = 0; i < symbols.size(); ++i)
    text += (i == 0 ? "" : targets.between) + names.at(static_cast<size_t>(symbols[i]) - 1);
  return text;
}

}  // namespace lariat
