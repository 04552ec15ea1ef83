// Products with a constant matrix that is mostly zeros.
#include "ops/kernels/sparse_product.hpp"

#include "frontends/lariat.hpp"
#include "graph/program/program.hpp"
#include "tests/support/kernels.hpp"
#include "tests/support/testing.hpp"

namespace lariat::sparse_product_test {

using namespace testing;

namespace {

struct SparseCase {
  int64_t m, n, k;
  double zeros;
  bool transpose_b;
  std::vector<float> a = numbers("a", m*k), b = numbers("b", k*n, zeros), bias = numbers("bias", n),
                     matrix = numbers("matrix", m*n);

  std::vector<float> dense(const KernelSet& kernels, Addend<float> addend) const {
    const auto serial = make_serial_executor();
    const Product p{false, transpose_b, m, n, k, k, transpose_b ? k : n};
    std::vector<float> c(static_cast<size_t>(m * n), 9);
    const OwnScratch scratch(kernels.f32.workspace(p, false), 1);
    kernels.f32.gemm(*serial, p, a.data(), b.data(), addend, c.data(), n, scratch, nullptr);
    return c;
  }
  std::shared_ptr<const SparseMatrix> packed(const KernelSet& kernels) const {
    return kernels.packed.pack_every_form(transpose_b, n, k, b.data(), transpose_b ? k : n);
  }
  std::vector<float> sparse(const KernelSet& kernels, SparseForm form, const SparseMatrix& matrix,
                            const ParallelFor& parallel, Addend<float> addend) const {
    std::vector<float> c(static_cast<size_t>(m * n), 9);
    const OwnScratch scratch(kernels.packed.sparse_workspace(m), parallel.threads());
    kernels.packed.multiply_in_form(form, parallel, m, a.data(), k, matrix, addend, c.data(), n, scratch);
    return c;
  }
};

}  // namespace

TEST_CASE("a product without its zeros has the bits of the dense one, on any number of threads") {
  const auto serial = make_serial_executor(), threads = make_tbb_executor(3);
  const std::vector<const KernelSet*> sets = usable_kernels();
  REQUIRE_FALSE(sets.empty());
  int compared = 0;
  for (const int64_t m : {1, 2, 5, 8, 16, 17, 63, 130, 300})
    for (const int64_t n : {2, 10, 33, 300})
      for (const int64_t k : {1, 20, 512, 700, 1100})
        for (const double zeros : {0.85, 0.98, 1.0})
          for (const bool transpose_b : {false, true}) {
            // A row times a transposed matrix is summed in another order.
            if (m == 1 && transpose_b) continue;
            const SparseCase c{m, n, k, zeros, transpose_b};
            // Each set for a third of the cases.
            const KernelSet& kernels = *sets[static_cast<size_t>(compared) % sets.size()];
            const auto packed = c.packed(kernels);
            REQUIRE(packed);
            CAPTURE(m);
            CAPTURE(n);
            CAPTURE(k);
            CAPTURE(zeros);
            CAPTURE(kernels.packed.width());
            for (const Addend<float>& addend : {Addend<float>{}, {c.bias.data(), 0}, {c.matrix.data(), n}}) {
              const std::vector<float> expected = c.dense(kernels, addend);
              for (const SparseForm form : {SparseForm::weights, SparseForm::runs}) {
                CHECK(c.sparse(kernels, form, *packed, *serial, addend) == expected);
                if (addend.row > 0) CHECK(c.sparse(kernels, form, *packed, *threads, addend) == expected);
              }
            }
            ++compared;
          }
  CHECK(compared == 1020);
}

TEST_CASE("a matrix with few zeros is not laid out without them, one with NaN keeps it") {
  const std::vector<float> dense = numbers("b", 64 * 64, 0.05);
  CHECK_FALSE(pack_sparse(false, 64, 64, dense.data(), 64));
  std::vector<float> sparse = numbers("b", 64 * 64, 0.95);
  sparse[5] = std::numeric_limits<float>::quiet_NaN();
  const auto packed = pack_sparse(false, 64, 64, sparse.data(), 64);
  REQUIRE(packed);
  CHECK(std::count_if(packed->tiles.values.begin(), packed->tiles.values.end(),
                      [](float x) { return x != x; }) == 1);
}

TEST_CASE("weights in runs of eight columns go by runs, single ones by themselves, many by no sparse form") {
  const auto form_of = [](const KernelSet& kernels, int64_t m, double zeros, int64_t run, bool transpose) {
    std::vector<float> b = numbers("b", 256 * 256, zeros, run);
    if (transpose)
      for (int64_t i = 0; i < 256; ++i)
        for (int64_t j = 0; j < i; ++j)
          std::swap(b[static_cast<size_t>(i * 256 + j)], b[static_cast<size_t>(j * 256 + i)]);
    const auto packed = kernels.packed.pack_sparse(transpose, 256, 256, b.data(), 256);
    return packed ? kernels.packed.form_for(*packed, m) : SparseForm::all;
  };
  for (const KernelSet* kernels : usable_kernels()) {
    CAPTURE(kernels->packed.width());
    for (const int64_t m : {1, 2, 4, 64})
      for (const bool transpose : {false, true}) {
        CAPTURE(m);
        CAPTURE(transpose);
        CHECK(form_of(*kernels, m, 0.95, 8, transpose) == SparseForm::runs);
        CHECK(form_of(*kernels, m, 0.95, 16, transpose) == SparseForm::runs);
        CHECK(form_of(*kernels, m, 0.05, 8, transpose) == SparseForm::all);
      }
    CHECK(form_of(*kernels, 64, 0.9, 1, false) == SparseForm::weights);
  }
}

TEST_CASE("an inference program with sparse weights has the bits of the training graph") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 70});
  const Value hidden =
      relu(matmul(x, g.parameter("w", {70, 40}, init::zeros())) + g.parameter("b", {40}, init::zeros()));
  const Value y = matmul(hidden, g.parameter("v", {40, 9}, init::zeros()));
  Store store;
  store.set("w", Tensor::of<float>({70, 40}, numbers("w", 70 * 40, 0.9)));
  store.set("b", Tensor::of<float>({40}, numbers("b", 40)));
  store.set("v", Tensor::of<float>({40, 9}, numbers("v", 40 * 9, 0.95)));
  const auto frozen = inference_program(g, {&y, 1}, &store), plain = inference_program(g, {&y, 1});
  const auto executor = make_tbb_executor(2);
  for (const int64_t batch : {1, 3, 8, 64, 200, 0}) {
    CAPTURE(batch);
    const Tensor fed = Tensor::of<float>({batch, 70}, numbers("x", batch * 70));
    const Tensor one = frozen->run({{"x", fed}}, store, *executor)[0].clone();
    CHECK(same_bits(one, plain->run({{"x", fed}}, store, *executor)[0]));
  }
}

TEST_CASE("convolutions with sparse kernels have the bits of dense ones") {
  struct Case {
    Extents x, w;
    bool flat;
    int64_t stride, dilation;
  };
  const std::vector<Case> cases{
      {{3, 90, 20}, {5, 20, 48}, true, 1, 1},        {{1, 300, 24}, {3, 24, 33}, true, 2, 1},
      {{2, 40, 8}, {5, 8, 16}, true, 1, 2},          {{1, 64, 40}, {1, 40, 64}, true, 1, 1},
      {{1, 28, 28, 6}, {5, 5, 6, 16}, false, 1, 1},  {{9, 12, 10, 16}, {3, 3, 16, 40}, false, 1, 1},
      {{2, 20, 17, 12}, {3, 3, 12, 24}, false, 2, 1}};
  for (const Case& c : cases)
    for (const auto& [zeros, run] : {std::pair<double, int64_t>{0.9, 1}, {0.98, 1}, {0.95, 8}}) {
      CAPTURE(text(to_shape(c.x)));
      Graph g;
      Shape shape = to_shape(c.x);
      shape[0] = dim::batch;
      const Value x = g.input("x", shape), w = g.parameter("w", c.w, init::zeros());
      const Value y = c.flat ? conv1d(x, w, c.stride, "same", c.dilation)
                             : conv2d(x, w, Size2d{c.stride, c.stride}, "same");
      Store store;
      store.set("w", Tensor::of<float>(c.w, numbers("w", element_count(c.w), zeros, run)));
      const auto frozen = inference_program(g, {&y, 1}, &store), plain = inference_program(g, {&y, 1});
      const auto executor = make_tbb_executor(3);
      for (const int64_t batch : {c.x[0], int64_t{1}, int64_t{40}}) {
        Extents extents = c.x;
        extents[0] = batch;
        const Tensor fed = Tensor::of<float>(extents, numbers("x", element_count(extents)));
        const Tensor one = frozen->run({{"x", fed}}, store, *executor)[0].clone();
        CHECK(same_bits(one, plain->run({{"x", fed}}, store, *executor)[0]));
      }
    }
}

TEST_CASE("recurrences with sparse kernels have the bits of dense ones, on any number of threads") {
  for (const int64_t units : {20, 64, 96})
    for (const auto& [zeros, run] : {std::pair<double, int64_t>{0.85, 1}, {0.97, 1}, {0.95, 8}})
      for (const char* kind : {"lstm", "gru", "gru before", "rnn"}) {
        CAPTURE(units);
        CAPTURE(kind);
        const std::string name = kind;
        const int64_t gates = name == "lstm" ? 4 : name == "rnn" ? 1 : 3;
        Graph g;
        const Value z = g.input("z", {dim::batch, dim::time, gates * units}),
                    r = g.parameter("r", {units, gates * units}, init::zeros()),
                    bias = g.parameter("b", {units}, init::zeros());
        const Value y = name == "lstm"  ? lstm_sequence(z, r, 0, 0)
                        : name == "rnn" ? simple_rnn_sequence(z, r, 0)
                                        : gru_sequence(z, r, 0, bias, name == "gru");
        Store store;
        store.set("r",
                  Tensor::of<float>({units, gates * units}, numbers("r", units * gates * units, zeros, run)));
        store.set("b", Tensor::of<float>({units}, numbers("b", units)));
        const auto frozen = inference_program(g, {&y, 1}, &store), plain = inference_program(g, {&y, 1});
        const auto two = make_tbb_executor(2), serial = make_serial_executor();
        for (const int64_t batch : {1, 3, 8, 33, 90}) {
          const Tensor fed =
              Tensor::of<float>({batch, 6, gates * units}, numbers("z", batch * 6 * gates * units));
          const Tensor expected = plain->run({{"z", fed}}, store, *serial)[0].clone();
          CHECK(same_bits(expected, frozen->run({{"z", fed}}, store, *serial)[0]));
          CHECK(same_bits(expected, frozen->run({{"z", fed}}, store, *two)[0]));
        }
      }
}

}  // namespace lariat::sparse_product_test
