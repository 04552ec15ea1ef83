// A smooth element-wise op. Its gradient is built of nodes, so that it can be differentiated again.
#include <lariat/lariat_op.hpp>

using namespace lariat::op;

// y = x·σ(βx):  dx = dy·(σ + β·y·(1 − σ))   (Ramachandran et al. 2017)
static Op swish() {
  Op op = elementwise_with<1>("swish", "x·σ(beta·x).", {{"x"}}, [](const Attributes& attributes) {
    return [beta = attributes.real("beta")](auto x) {
      return x / (1 + std::exp(static_cast<decltype(x)>(-beta) * x));
    };
  });
  op.attributes = {{"beta", Kind::real, "how steep; 0 gives x/2", 1.0, {{0, 100}}}};
  op.gradient = [](const Gradient& g) -> Adjoints {
    const double beta = g.attributes().real("beta");
    const Value s = sigmoid(beta * g.in(0));
    return {g.adjoint(0) * (s + beta * g.out(0) * (1 - s))};
  };
  op.samples = {{"values", {{{3}, {-1, 0, 2}}}, {}, {-0.26894142136999512075, 0, 1.7615941559557648881}},
                {"steep", {{{2, 3}, {}, -2, 2}}, {{"beta", 3.0}}}};
  return op;
}

LARIAT_PLUGIN(.name = "swish", .version = "1.0.0", .doc = "A smooth activation.", .ops = {swish()})
