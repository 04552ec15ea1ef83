#pragma once

#include <functional>
#include <string>
#include <vector>

#include "graph/io/store.hpp"

namespace lariat::search {

/// The weights of a trial's folds in one file, "FOLD/NAME" each.
void save_fold_weights(const std::string& file, const std::vector<Store>& weights);
/// Those of the folds that are wanted replace what is in `weights`. Throws UserError for a file that is
/// damaged.
void load_fold_weights(const std::string& file, const std::function<bool(size_t fold)>& wanted,
                       std::vector<Store>& weights);

}  // namespace lariat::search
