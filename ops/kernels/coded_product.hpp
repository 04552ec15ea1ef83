#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ops/kernels/gemm.hpp"

namespace lariat {

/// A constant matrix b [inner, columns] of whole numbers from -127 to 127, times a scale of each column, as
/// short_numbers.hpp has them: a byte for each element, a quarter of what its float takes. An element is
/// made a float again where a product meets it. With scales of so few bits that is exact, and every element
/// of a product is the chain of multiply-adds that gemm() computes: the same bits.
struct CodedMatrix {
  int64_t inner = 0, columns = 0;
  /// Panels of panel_columns() columns, row by row; the last one is filled up with zeros.
  std::shared_ptr<const int8_t> codes;
  /// Of each column, with zeros behind the last.
  std::vector<float> scales;
};

/// b [k, n], rows ldb apart, in that form. Null where it is not of such numbers.
std::shared_ptr<const CodedMatrix> code_matrix(int64_t n, int64_t k, const float* b, int64_t ldb);
/// The same where products are faster with it, for any number of rows: of matrices that no cache holds,
/// which wait for memory.
std::shared_ptr<const CodedMatrix> pack_coded(int64_t n, int64_t k, const float* b, int64_t ldb);

/// c [m, n] = a [m, k]·b + addend, a's rows lda elements apart; the addend may be c.
void multiply_coded(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda, const CodedMatrix& b,
                    Addend<float> addend, float* c, int64_t ldc, const Scratch& scratch);
/// Columns [begin, end) of it, which begin and, but for the last, end at whole panels, as one piece of work
/// on the calling thread, with as much scratch as a thread has.
void multiply_coded_columns(int64_t m, const float* a, int64_t lda, const CodedMatrix& b, int64_t begin,
                            int64_t end, Addend<float> addend, float* c, int64_t ldc, std::byte* scratch);
Workspace coded_workspace(int64_t m);

}  // namespace lariat
