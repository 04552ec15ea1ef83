#pragma once

#include <optional>

#include "frontends/data/dataset.hpp"
#include "graph/base/tensor.hpp"

namespace lariat::data {

/// Examples from arrays: features [rows, …], flattened, or sequences where they are [rows, time, dimensions].
/// Targets [rows] of whole numbers become labels where `classes`, and the classes are "0", "1", … to the
/// largest; else they are numbers [rows] or [rows, width], or [rows, time, width] by frame. `name` stands for
/// the arrays in messages. Throws UserError where shapes do not fit together.
Dataset dataset_of_arrays(const Tensor& features, const std::optional<Tensor>& targets, bool classes,
                          const std::string& name = "the arrays");

/// The same of a file of numpy.savez that holds X and y, and perhaps `weights` [rows].
Dataset read_arrays(const std::string& file, bool classes);

}  // namespace lariat::data
