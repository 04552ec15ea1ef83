#include "frontends/search/fold_weights.hpp"

#include <fmt/format.h>

#include <charconv>

#include "graph/base/error.hpp"

namespace lariat::search {

void save_fold_weights(const std::string& file, const std::vector<Store>& weights) {
  Store all;
  for (size_t fold = 0; fold < weights.size(); ++fold)
    for (const auto& [name, tensor] : weights[fold]) all.set(fmt::format("{}/{}", fold, name), tensor);
  all.save(file);
}

void load_fold_weights(const std::string& file, const std::function<bool(size_t fold)>& wanted,
                       std::vector<Store>& weights) {
  const Store all = Store::load(file);
  for (const auto& [name, tensor] : all) {
    const size_t slash = name.find('/');
    size_t fold = weights.size();
    std::from_chars(name.data(), name.data() + std::min(slash, name.size()), fold);
    if (slash == name.npos || fold >= weights.size())
      throw UserError(fmt::format("'{}' is damaged; start the search again", file));
    if (wanted(fold)) weights[fold].set(name.substr(slash + 1), tensor);
  }
}

}  // namespace lariat::search
