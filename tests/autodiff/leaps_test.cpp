// Terms of parameters alone that leap and have no gradient: no step and no certificate sees them, and both
// say so.
#include "autodiff/training/trainer.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::leaps_test {

TEST_CASE("a term that leaps is reported, and the certificate says that it does not see it") {
  const auto cut = [](Value v) { return cast(cast(v, i32), f64); };
  const std::vector<std::function<Value(Value)>> leaping{
      [&](Value w) { return sum(abs(cut(w))); },
      [&](Value w) { return sum(square(cut(10 * w))); },
      [&](Value w) { return sum(cut(w)); },
      [&](Value w) { return norm2(cut(w)); },
      [&](Value w) {
        return sum(relu(cut(reshape(w, {2, 1}))));
      },
      [&](Value w) { return sum(abs(greater(w, 0.5))); },
      [&](Value w) { return sum(less(w, 0.5)); },
      [&](Value w) { return cast(argmax(w), f64); },
      [&](Value w) { return sum(square(one_hot(argmax(w), 2, f64))); },
  };
  for (size_t i = 0; i < leaping.size(); ++i) {
    CAPTURE(i);
    Graph g;
    const Value w = g.parameter("w", {2}, init::constant(1), f64);
    Trainer trainer(0.5 * sum(square(w - 1)) + 0.3 * leaping[i](w), Sgd{}, {.threads = 1});
    CAPTURE(trainer.report().text());
    CHECK(trainer.report().rewritten.empty());
    REQUIRE(trainer.report().refused.size() == 1);
    CHECK(trainer.report().refused[0].code == "L112");
    CHECK(trainer.report().refused[0].leaps);
    const Certificate certificate = trainer.certify(Feeds{});
    CHECK(certificate.leaps == 1);
    CHECK(certificate.text() ==
          "stationary to 0 (distance from the subdifferential), prox residual 0, blind to a term that leaps, "
          "with a gradient of zero; not globally certified");
  }
}

TEST_CASE("what leaps in a model, or is a factor under stop_gradient, is no term of its own") {
  Graph g;
  const Value w = g.parameter("w", {3}, init::constant(1), f64), x = g.input("x", {dim::batch, 3}, f64);
  const Value cut = cast(cast(w, i32), f64);
  const Value data = mean(square(matmul(x, reshape(w, {3, 1})) - cast(cast(x, i32), f64)));
  Trainer trainer(data + 0.1 * sum(abs(w) * stop_gradient(cut)), Sgd{}, {.threads = 1});
  CHECK(trainer.report().refused.empty());
  REQUIRE(trainer.report().rewritten.size() == 1);
  CHECK(trainer.certify({{"x", Tensor::filled(f64, {2, 3}, 0.5)}}).leaps == 0);
}

}  // namespace lariat::leaps_test
