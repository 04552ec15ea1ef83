#pragma once

#include "frontends/data/labelled_rows.hpp"
#include "graph/tensor.hpp"

namespace lariat::data {

/// Reads an array of numbers that numpy.save wrote, versions 1 to 3, row-major or not, as doubles:
/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Throws UserError naming the file
/// where it is damaged or holds anything else.
Tensor read_npy(const std::string& file);

/// A matrix [rows, columns] and its labels [rows] or [rows, 1] from two such files. Throws UserError where
/// their shapes do not fit or a number is not finite.
LabelledRows read_npy(const std::string& matrix, const std::string& labels);

}  // namespace lariat::data
