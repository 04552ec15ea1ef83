#pragma once

#include "graph/base/instruction_set.hpp"
#include "graph/ir/registry.hpp"
#include "ops/kernels/coded_product.hpp"
#include "ops/kernels/gemm.hpp"
#include "ops/kernels/sparse_product.hpp"

namespace lariat {

/// What code outside of kernels needs of them, compiled once for each instruction set. Kernels call those of
/// their own set.
struct KernelSet {
  /// Adds the record of every built-in op.
  void (*add_records)(Registry& registry);

  /// gemm(), gemm_tile() and what they need.
  template <class T>
  struct Products {
    decltype(&lariat::gemm<T>) gemm;
    decltype(&lariat::gemm_workspace<T>) workspace;
    decltype(&lariat::gemm_tile<T>) tile;
    decltype(&lariat::gemm_tile_bytes<T>) tile_bytes;
  };
  Products<float> f32;
  Products<double> f64;

  /// Products with constant matrices, packed whole, without zeros and as bytes.
  struct PackedProducts {
    decltype(&lariat::pack_b<float>) pack;
    decltype(&lariat::pack_sparse) pack_sparse;
    decltype(&lariat::pack_every_form) pack_every_form;
    decltype(&lariat::form_for) form_for;
    decltype(&lariat::numbers_of_run) numbers_of_run;
    decltype(&lariat::multiply_in_form) multiply_in_form;
    decltype(&lariat::sparse_workspace) sparse_workspace;
    /// Floats of a vector.
    decltype(&lariat::window_columns) width;
    decltype(&lariat::code_matrix) code_matrix;
    decltype(&lariat::multiply_coded) multiply_coded;
    decltype(&lariat::coded_workspace) coded_workspace;
  };
  PackedProducts packed;

  template <class T>
  const Products<T>& products() const {
    if constexpr (std::is_same_v<T, float>)
      return f32;
    else
      return f64;
  }
};

/// Those of the sets that the build has.
const PerInstructionSet<KernelSet>& kernel_sets();
/// That of the instruction set in use.
const KernelSet& kernel_set();

}  // namespace lariat
