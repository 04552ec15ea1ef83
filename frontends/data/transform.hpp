#pragma once

#include <functional>

#include "frontends/data/dataset.hpp"

namespace lariat::data {

/// The examples whose numbers are listed, in that order; what else the dataset knows stays.
Dataset chosen(const Dataset& dataset, const std::vector<int64_t>& numbers);

/// Every example changed by `change`, in their order, in memory.
Dataset map(Dataset dataset, const std::function<void(Example&)>& change);
/// The examples that `keep` says yes to, in their order. Throws UserError where none is left.
Dataset filter(Dataset dataset, const std::function<bool(const Example&)>& keep);

/// An order of so many examples: each is drawn from the next `window` that are left, so that only as many
/// need be held at a time. A window of 1 leaves them as they are, one of `count` makes every order as likely.
/// It depends on seed and epoch alone. Throws UserError for a window below 1.
std::vector<int64_t> window_order(int64_t count, int64_t window, uint64_t seed, uint32_t epoch = 0);
/// The examples in that order.
Dataset shuffled(Dataset dataset, int64_t window, uint64_t seed, uint32_t epoch = 0);

}  // namespace lariat::data
