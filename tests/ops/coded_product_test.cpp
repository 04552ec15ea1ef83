// Products with a constant matrix of bytes.
#include "ops/kernels/coded_product.hpp"

#include "frontends/lariat.hpp"
#include "graph/io/short_numbers.hpp"
#include "graph/program/program.hpp"
#include "ops/kernels/packed_matrix.hpp"
#include "tests/support/kernels.hpp"
#include "tests/support/testing.hpp"

namespace lariat::coded_product_test {

using namespace testing;

namespace {

// A matrix of whole numbers times scales, with a column of zeros and one whose numbers are tiny.
Tensor coded_numbers(int64_t k, int64_t n) {
  Tensor b = numbers_of({k, n}, "coded");
  for (int64_t i = 0; i < k; ++i) {
    b.data<float>()[i * n + n / 2] = 0;
    b.data<float>()[i * n] *= 1e-20f;
  }
  return rounded(b, NumberForm::int8);
}

}  // namespace

TEST_CASE("a product with bytes has the bits of the one with their floats, on any number of threads") {
  const auto serial = make_serial_executor(), threads = make_tbb_executor(3);
  int compared = 0;
  for (const KernelSet* kernels : usable_kernels())
    for (const int64_t n : {2, 15, 16, 33, 130})
      for (const int64_t k : {1, 20, 512, 1100}) {
        const Tensor b = coded_numbers(k, n);
        const auto coded = kernels->packed.code_matrix(n, k, b.data<float>(), n);
        REQUIRE(coded);
        for (const int64_t m : {1, 2, 3, 4, 7, 24, 25, 64, 300}) {
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(k);
          CAPTURE(kernels->packed.width());
          const Tensor a = numbers_of({m, k}, "a"), bias = numbers_of({n}, "bias"),
                       matrix = numbers_of({m, n}, "matrix");
          const Product p{false, false, m, n, k, k, n};
          for (const Addend<float>& addend :
               {Addend<float>{}, {bias.data<float>(), 0}, {matrix.data<float>(), n}}) {
            Tensor dense(f32, {m, n});
            const OwnScratch scratch(kernels->f32.workspace(p, false), 1);
            kernels->f32.gemm(*serial, p, a.data<float>(), b.data<float>(), addend, dense.data<float>(), n,
                              scratch, nullptr);
            for (const ParallelFor* parallel : {static_cast<const ParallelFor*>(serial.get()),
                                                static_cast<const ParallelFor*>(threads.get())}) {
              Tensor result(f32, {m, n});
              const OwnScratch own(kernels->packed.coded_workspace(m), parallel->threads());
              kernels->packed.multiply_coded(*parallel, m, a.data<float>(), k, *coded, addend,
                                             result.data<float>(), n, own);
              CHECK(same_bits(result, dense));
              ++compared;
            }
          }
        }
      }
  CHECK(compared >= 1000);
}

TEST_CASE("bytes are taken for large matrices that have them, and then no floats are kept") {
  constexpr int64_t side = 2048;
  const Tensor large = coded_numbers(side, side);
  const PackedMatrix bytes(false, side, side, large.data<float>(), side);
  CHECK(bytes.coded);
  CHECK_FALSE(bytes.dense);
  // Rows have other scales than columns.
  CHECK_FALSE(PackedMatrix(true, side, side, large.data<float>(), side).coded);
  CHECK_FALSE(PackedMatrix(false, 512, 512, coded_numbers(512, 512).data<float>(), 512).coded);
  for (const float other : {0.1234567f, std::numeric_limits<float>::quiet_NaN(), -0.0f}) {
    CAPTURE(other);
    Tensor floats = large.clone();
    floats.data<float>()[side * side / 3] = other;
    const PackedMatrix packed(false, side, side, floats.data<float>(), side);
    CHECK_FALSE(packed.coded);
    CHECK(packed.dense);
  }
}

TEST_CASE("models of int8 weights infer with bytes, and have the bits of the training graph") {
  struct Case {
    const char* kind;
    Extents weights, fed;
  };
  for (const Case& c :
       {Case{"dense", {2050, 2060}, {1, 2050}}, Case{"conv1d", {3, 1190, 1200}, {1, 9, 1190}},
        Case{"conv2d", {1, 1, 2050, 2060}, {1, 2, 2, 2050}}, Case{"lstm", {1056, 4224}, {1, 3, 4224}},
        Case{"rnn", {2080, 2080}, {1, 3, 2080}}, Case{"gru", {2064, 6192}, {1, 2, 6192}}}) {
    const std::string kind = c.kind;
    CAPTURE(kind);
    Graph g;
    Shape shape = to_shape(c.fed);
    shape[0] = dim::batch;
    const Value x = g.input("x", shape), w = g.parameter("w", c.weights, init::zeros());
    const Value y = kind == "dense"    ? matmul(x, w)
                    : kind == "conv1d" ? conv1d(x, w, 1, "same")
                    : kind == "conv2d" ? conv2d(x, w, Size2d{1, 1}, "same")
                    : kind == "lstm"   ? lstm_sequence(x, w, 0, 0)
                    : kind == "rnn"
                        ? simple_rnn_sequence(x, w, 0)
                        : gru_sequence(x, w, 0, g.constant(numbers_of({c.weights[0]}, "bias")), false);
    Store store;
    store.set("w", rounded(numbers_of(c.weights, "w"), NumberForm::int8));
    const auto frozen = inference_program(g, {&y, 1}, &store), plain = inference_program(g, {&y, 1});
    const auto two = make_tbb_executor(2), serial = make_serial_executor();
    for (const int64_t batch : {1, 3, 30}) {
      CAPTURE(batch);
      Extents extents = c.fed;
      extents[0] = batch;
      const Tensor fed = numbers_of(extents, "x");
      const Tensor expected = plain->run({{"x", fed}}, store, *serial)[0].clone();
      CHECK(same_bits(expected, frozen->run({{"x", fed}}, store, *serial)[0]));
      CHECK(same_bits(expected, frozen->run({{"x", fed}}, store, *two)[0]));
    }
  }
}

}  // namespace lariat::coded_product_test
