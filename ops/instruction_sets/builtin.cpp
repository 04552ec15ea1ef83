#include "ops/instruction_sets/kernel_set.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace builtin_detail {

void add_records(Registry& registry) {
#define LARIAT_RECORD(name) registry.add(records::name());
#include "op_records.inc"
#undef LARIAT_RECORD
}

template <class T>
constexpr KernelSet::Products<T> products{gemm<T>, gemm_workspace<T>, gemm_tile<T>, gemm_tile_bytes<T>};

}  // namespace builtin_detail

extern "C" const KernelSet LARIAT_OF_SET(lariat_kernels);
const KernelSet LARIAT_OF_SET(lariat_kernels){
    builtin_detail::add_records,
    builtin_detail::products<float>,
    builtin_detail::products<double>,
    {pack_b<float>, pack_sparse, pack_every_form, form_for, numbers_of_run, multiply_in_form,
     sparse_workspace, window_columns, code_matrix, multiply_coded, coded_workspace}};

}  // namespace lariat
