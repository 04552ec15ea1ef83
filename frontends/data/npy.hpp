#pragma once

#include <map>
#include <string>
#include <string_view>

#include "frontends/data/labelled_rows.hpp"
#include "graph/base/tensor.hpp"

namespace lariat::data {

/// Reads an array of numbers that numpy.save wrote, versions 1 to 3, row-major or not, in either byte order,
/// as doubles: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Whole numbers of 64
/// bits are rounded where no double holds them. Throws UserError naming the file where it is damaged or holds
/// anything else.
Tensor read_npy(const std::string& file);
/// The same of what `bytes` hold; `file` stands for it in messages.
Tensor parse_npy(std::string_view bytes, const std::string& file);

/// The arrays of numbers in a file of numpy.savez, by name. Throws UserError naming the file.
std::map<std::string, Tensor> read_npz(const std::string& file);

/// A matrix [rows, columns] and its labels [rows] or [rows, 1], each from a file of numpy.save or
/// numpy.savez. In the latter the matrix is named X or data, or is the only one, or is what
/// scipy.sparse.save_npz writes of a CSR matrix; labels are named y, labels or target, or are the only array
/// of one dimension. Without `labels` they are looked for beside the matrix. Throws UserError where their
/// shapes do not fit or a number is not finite.
LabelledRows read_npy(const std::string& matrix, const std::string& labels);

/// Whether `bytes` begin as such a file does.
bool is_numpy(std::string_view bytes);

}  // namespace lariat::data
