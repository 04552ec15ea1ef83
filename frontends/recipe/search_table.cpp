#include "frontends/recipe/tables.hpp"

namespace lariat {

const Fields<SearchTable>& search_fields() {
  using S = SearchTable;
  static const Fields<S> fields =
      Fields<S>()
          .lines("over", &S::over, "keys with what to try, such as layers.*.kernel_penalty=l1=1e-5..1e-2:log")
          .choice("method", &S::method, {"grid", "random", "halving"},
                  "every combination, random ones, or many of which the better ones train longer")
          .integer("trials", &S::trials, 0, 100000,
                   "random draws; 0: 20 of random, and every combination of halving")
          .integer("folds", &S::folds, 0, 1000,
                   "folds of the training examples to score on, by classes; 0: the validation split")
          .integer("factor", &S::factor, 2, 100, "halving keeps one of so many, and trains it so much longer")
          .text("score", &S::score,
                "a metric or loss; empty: accuracy, of symbols symbol_error_rate, of numbers loss")
          .choice("choose", &S::choose, {"best", "sparsest"},
                  "the best score, or the most zeros within a standard error of it")
          .boolean("warm_start", &S::warm_start,
                   "along the penalty of a grid, upwards, each trial begins with the weights of the last");
  return fields;
}

}  // namespace lariat
