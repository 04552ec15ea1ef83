#pragma once

#include "frontends/sequential/fit.hpp"
#include "frontends/sequential/network.hpp"
#include "graph/ranks/ranks.hpp"

namespace lariat {

/// Throws UserError where batches of the fit cannot be cut into its micro-shards.
void check_shards(const Network& network, const FitOptions& options);

/// "400 examples (hash bab3d78bd1499050)", for ranks to compare: of values that lie in files, those of some
/// examples.
std::string fingerprint_of(const data::Dataset& dataset);

/// Throws UserError, the same on all ranks, where one has other plugins, tensors, first weights, data or
/// settings than rank 0.
void agree_on_fit(Ranks& ranks, const Network& network, const Store& store, const data::Dataset& dataset,
                  const FitOptions& options);

/// The same where states differ, as they do where ranks do not compute the same: after an epoch.
void agree_on_state(Ranks& ranks, const Store& store);

}  // namespace lariat
