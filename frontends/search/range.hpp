#pragma once

#include "frontends/data/random.hpp"
#include "frontends/recipe/recipe.hpp"

namespace lariat::search {

/// What is tried of a recipe's key:
///
///     optimizer.learning_rate=0.001,0.003,0.01       a list
///     optimizer.learning_rate=1e-4..1e-2:log         an interval, even in the logarithm
///     training.batch_size=16..128:log:4              of which a grid takes 4 values
///     layers.*.kernel_penalty=l1=1e-5..1e-2:log      the coefficient of a term; its other terms stay
///
/// A * stands for any layer, or for any part of a key's name.
struct Range {
  std::string key, term;                 ///< as written; "" where the whole value is tried
  std::vector<std::string> keys;         ///< those of the recipe that `key` means
  std::vector<std::string> values = {};  ///< of a list
  double low = 0, high = 0;              ///< of an interval
  bool logarithmic = false, integer = false;
  int64_t count = 0;  ///< values that a grid takes of an interval; 0: 5, or every integer up to 20

  bool is_list() const { return !values.empty(); }
  /// "layers.*.kernel_penalty.l1".
  std::string name() const { return term.empty() ? key : key + "." + term; }
  /// The values of a grid, ascending where they are numbers of an interval.
  std::vector<std::string> grid() const;
  /// One of a list, or a number of the interval, each as likely, or its logarithm.
  std::string draw(data::RandomStream& random) const;
};

/// Reads a range. Throws UserError "KEY=…: …" for a key that the recipe has not, with the nearest name, for
/// an empty range, and for values that the key does not take.
Range parse_range(std::string_view text, const Recipe& recipe);

/// All that are searched over. Throws UserError where there is none, two are of one key, or a key says what
/// the data are, or, with halving, for how many epochs trials train.
std::vector<Range> parse_ranges(const std::vector<std::string>& texts, const Recipe& recipe, bool halving);

/// The recipe with a value for each range. Throws UserError where values do not go together.
Recipe with_values(const Recipe& recipe, const std::vector<Range>& ranges,
                   const std::vector<std::string>& values);

}  // namespace lariat::search
