#pragma once

#include "ops/kernels/axes.hpp"
#include "ops/kernels/reduction.hpp"

namespace lariat {

// What the products with a sparse matrix X [rows, columns] share. X comes as three inputs in compressed rows
// (CSR): the entries' values, their columns, and where each row's entries start; the last start is the end.

/// The matrix's inputs for a record's list.
std::vector<InputSpec> csr_inputs(bool with_values);

/// Throws UserError unless inputs `first` and `first + 1` are the columns and the row starts of a matrix with
/// as many entries as `entries` says.
void check_csr(const InferContext& c, size_t first, const Dim& entries);
/// Throws UserError unless input `index`, called `name`, is a vector or matrix of `dtype`.
void check_factor(const InferContext& c, size_t index, std::string_view name, DType dtype);
/// `rows`, and the second dimension of `factor` where it has one.
Shape product_shape(Dim rows, const Shape& factor);

/// Throws UserError unless the starts ascend from 0 to the number of entries and every column lies in [0,
/// count). Kernels call it once, before parallel work.
void check_csr(const TensorView& columns, const TensorView& row_starts, int64_t count);

/// The same, and that each row's columns ascend, so that no place is named twice.
void check_places(const TensorView& columns, const TensorView& row_starts, int64_t count);
/// Throws UserError unless input `index`, called `name`, is a float matrix with as many rows as input
/// `starts` says.
void check_matrix_of_rows(const InferContext& c, size_t index, std::string_view name, size_t starts);

/// The second dimension, or 1 of a vector.
inline int64_t width_of(const TensorView& factor) { return factor.rank() == 2 ? factor.extents[1] : 1; }
/// Rows that one task handles, from shapes alone.
int64_t csr_rows_per_task(int64_t rows, int64_t entries, int64_t width);
/// Two flops for each entry and column of the factor; input 0's extent is the number of entries.
Cost csr_cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs, const Attributes&);

/// Inputs of samples: X = [[1, 0, 2], [0, 0, 0], [0, 3, -1]] and its parts.
SampleInput csr_sample_values(std::vector<double> values = {1, 2, 3, -1});
SampleInput csr_sample_integers(std::vector<double> values);

}  // namespace lariat
