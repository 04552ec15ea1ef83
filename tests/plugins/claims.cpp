// Ops that claim one thing each that is not so: plugin check must find it. Those called right_* claim the
// same, and it is so.
#include <algorithm>
#include <lariat/lariat_op.hpp>

using namespace lariat::op;

namespace {

template <class T>
T shrunk(T x, T t) {
  return x > t ? x - t : x < -t ? x + t : x == x ? T(0) : x;
}

// The prox of weight·|x|, and what is wrong with it.
enum class Fault {
  none,
  doubled,
  identity,
  zero,
  nan,
  one_step,
  one_weight,
  cut,
  late,
  single,
  first_only,
  thick,
  hides_nan,
  at_none,
  tail,
  heavy,
  light,
  far
};

template <Fault fault>
struct AbsProx {
  template <class T>
  void operator()(const Prox<T>& p) const {
    for (int64_t i = 0; i < p.point().count(); ++i) {
      const T v = p.point()[i], step = p.step(fault == Fault::one_step ? 0 : i);
      const T weight = p.weight(fault == Fault::one_weight ? 0 : i);
      T result = shrunk(v, step * weight);
      if (fault == Fault::doubled) result = shrunk(v, 2 * step * weight);
      if (fault == Fault::identity) result = v;
      if (fault == Fault::zero) result = 0;
      if (fault == Fault::nan) result = std::numeric_limits<T>::quiet_NaN();
      if (fault == Fault::cut) result = std::abs(v) <= step * weight ? T(0) : v;
      if (fault == Fault::late && std::abs(v) > 100) result = v;
      if (fault == Fault::single && sizeof(T) == 4) result = shrunk(v, 2 * step * weight);
      if (fault == Fault::first_only && i > 0) result = v;
      if (fault == Fault::thick && step * weight < T(1e-4)) result = v;
      if (fault == Fault::hides_nan && !(v == v)) result = 0;
      if (fault == Fault::at_none && step == 0) result = 0;
      if (fault == Fault::tail && i >= 8) result = v;
      if (fault == Fault::heavy && weight > 20) result = shrunk(v, step * 20);
      if (fault == Fault::light && weight < T(0.01)) result = v;
      if (fault == Fault::far && step * weight > 100) result = v;
      p.result()[i] = result;
    }
  }
};

enum class Left { none, nothing, gradient, kink, sign, longer, tail, heavy };

template <Left left>
struct AbsResidual {
  template <class T>
  void operator()(const Residual<T>& r) const {
    for (int64_t i = 0; i < r.x().count(); ++i) {
      const T x = r.x()[i], g = r.gradient()[i], weight = r.weight(i);
      const T slope = x < 0 ? -weight : weight;
      T result = x == 0 ? shrunk(g, weight) : g + slope;
      if (left == Left::nothing) result = 0;
      if (left == Left::gradient) result = g;
      if (left == Left::kink && x == 0) result = g;
      if (left == Left::sign && x != 0) result = g - slope;
      if (left == Left::longer) result *= T(1.1);
      if (left == Left::heavy && weight > 3) result = 0;
      if (left == Left::tail && i > 5) result = 0;
      r.result()[i] = result;
    }
  }
};

template <Fault fault = Fault::none, Left left = Left::none>
Op abs_penalty(const char* name) {
  Op op = elementwise<1>(name, "|x|.", {{"x"}}, [](auto x) { return std::abs(x); });
  op.gradient = [](const Gradient& g) -> Adjoints { return {g.adjoint(0) * sign(g.in(0))}; };
  op.penalty = Penalty{.formula = "|x|",
                       .operator_name = "shrinkage",
                       .combination = Combination::last,
                       .prox = AbsProx<fault>{},
                       .residual = AbsResidual<left>{}};
  op.samples = {{"values", {{{4}, {-2, 0.25, 1, -0.5}}}, {}, {2, 0.25, 1, 0.5}}};
  return op;
}

// ‖x‖₂ of all elements: one step for all, or its prox is another.
template <bool is_scaled>
struct NormProx {
  template <class T>
  void operator()(const Prox<T>& p) const {
    double squares = 0;
    for (int64_t i = 0; i < p.point().count(); ++i) squares += double(p.point()[i]) * p.point()[i];
    const double size = std::sqrt(squares),
                 left = size - double(p.step()) * p.weight() * (is_scaled ? 0.9 : 1);
    for (int64_t i = 0; i < p.point().count(); ++i)
      p.result()[i] = left > 0 ? static_cast<T>(p.point()[i] * (left / size)) : static_cast<T>(0 * size);
  }
};

// The gradient's soft threshold is half of what it is where x is 0: a subgradient, and not the nearest.
template <bool is_short>
struct NormResidual {
  template <class T>
  void operator()(const Residual<T>& r) const {
    double x_squares = 0, squares = 0;
    for (int64_t i = 0; i < r.x().count(); ++i) {
      x_squares += double(r.x()[i]) * r.x()[i];
      squares += double(r.gradient()[i]) * r.gradient()[i];
    }
    const double size = std::sqrt(squares), weight = r.weight() * (is_short ? 1 : 0.5);
    for (int64_t i = 0; i < r.x().count(); ++i) {
      const double g = r.gradient()[i];
      r.result()[i] = static_cast<T>(x_squares > 0   ? g + r.weight() * r.x()[i] / std::sqrt(x_squares)
                                     : size > weight ? g * (1 - weight / size)
                                                     : 0);
    }
  }
};

template <bool is_scaled, bool is_short>
Op norm(const char* name, bool scalar_metric, Combination combination) {
  Op op{name, "The Euclidean norm of all elements.", {{"x"}}};
  op.outputs = {{"norm"}};
  op.infer = [](const Infer& c) {
    c.need_float(0);
    c.out(0, {c.in(0).dtype, {}});
  };
  op.forward = [](const auto& k) {
    using T = typename std::decay_t<decltype(k)>::Element;
    double squares = 0;
    for (int64_t i = 0; i < k.in(0).count(); ++i) squares += double(k.in(0)[i]) * k.in(0)[i];
    k.out(0)[0] = static_cast<T>(std::sqrt(squares));
  };
  op.gradient = [](const Gradient& g) -> Adjoints { return {g.adjoint(0) * g.in(0) / g.out(0)}; };
  op.penalty = Penalty{.formula = "norm of x",
                       .operator_name = "group shrinkage",
                       .scalar_metric = scalar_metric,
                       .combination = combination,
                       .prox = NormProx<is_scaled>{},
                       .residual = NormResidual<is_short>{}};
  op.samples = {{"values", {{{2}, {3, -4}}}, {}, {5}}, {"matrix", {{{2, 2}, {}, 0.5, 2}}}};
  return op;
}

Op named(Op op, const char* name) {
  op.name = name;
  return op;
}

Op concave() {
  Op op = abs_penalty("wrong_convex");
  op = named(elementwise<1>("wrong_convex", "log(1 + |x|).", {{"x"}},
                            [](auto x) { return std::log1p(std::abs(x)); }),
             "wrong_convex");
  op.gradient = [](const Gradient& g) -> Adjoints {
    return {g.adjoint(0) * sign(g.in(0)) / (1 + abs(g.in(0)))};
  };
  op.penalty = abs_penalty("").penalty;
  op.samples = {{"values", {{{2}, {1, -3}}}, {}, {0.69314718055994530942, 1.3862943611198906188}}};
  return op;
}

Op smooth() {
  Op op = abs_penalty("wrong_smooth");
  op.penalty->nonsmooth = false;
  return op;
}

// |x − 1|: its kink is not at 0, so that it does not go behind kinks there.
struct ShiftedProx {
  template <class T>
  void operator()(const Prox<T>& p) const {
    for (int64_t i = 0; i < p.point().count(); ++i)
      p.result()[i] = 1 + shrunk(p.point()[i] - 1, p.step(i) * p.weight(i));
  }
};
struct ShiftedResidual {
  template <class T>
  void operator()(const Residual<T>& r) const {
    for (int64_t i = 0; i < r.x().count(); ++i) {
      const T x = r.x()[i] - 1, g = r.gradient()[i], weight = r.weight(i);
      r.result()[i] = x == 0 ? shrunk(g, weight) : g + (x < 0 ? -weight : weight);
    }
  }
};
Op shifted(const char* name, Combination combination) {
  Op op = elementwise<1>(name, "|x - 1|.", {{"x"}}, [](auto x) { return std::abs(x - 1); });
  op.gradient = [](const Gradient& g) -> Adjoints { return {g.adjoint(0) * sign(g.in(0) - 1)}; };
  op.penalty = Penalty{.formula = "|x - 1|",
                       .operator_name = "shifted shrinkage",
                       .combination = combination,
                       .prox = ShiftedProx{},
                       .residual = ShiftedResidual{}};
  op.samples = {{"values", {{{3}, {-2, 0.25, 3}, -1, 1, 0, {1}}}, {}, {3, 0.75, 2}}};
  return op;
}

template <class F>
Op one(const char* name, F function) {
  Op op = elementwise<1>(name, "An op.", {{"x"}}, function);
  op.samples = {{"values", {{{2, 3}, {}, -2, 2}}}};
  return op;
}

template <class F>
Op two(const char* name, F function) {
  Op op = elementwise<2>(name, "An op.", {{"a"}, {"b"}}, function);
  op.samples = {{"values", {{{2, 3}, {}, 0.5, 2}, {{2, 3}, {}, 0.5, 2}}}};
  return op;
}

// Of numbers above 0 alone.
Op above_none(Op op) {
  op.samples = {{"values", {{{2, 3}, {}, 0.5, 2}}}};
  return op;
}

Op linear(Op op, uint64_t inputs) {
  op.linear_inputs = inputs;
  return op;
}

Op commutative(Op op) {
  op.commutative = true;
  return op;
}

// Backwards over x where the two lie apart.
Op reversed() {
  Op op{"wrong_in_place", "The elements in reverse order.", {{"x"}}};
  op.in_place = true;
  op.forward = [](const auto& k) {
    for (int64_t i = 0, n = k.in(0).count(); i < n; ++i) k.out(0)[i] = k.in(0)[n - 1 - i];
  };
  op.samples = {{"values", {{{4}, {1, 2, 3, 4}}}, {}, {4, 3, 2, 1}}};
  return op;
}

Op doubled_in_place() {
  Op op{"right_in_place", "2 x.", {{"x"}}};
  op.in_place = true;
  op.forward = [](const auto& k) {
    for (int64_t i = 0; i < k.in(0).count(); ++i) k.out(0)[i] = 2 * k.in(0)[i];
  };
  op.samples = {{"values", {{{4}, {1, 2, 3, 4}}}, {}, {2, 4, 6, 8}}};
  return op;
}

Op unshown_in_place() {
  Op op = named(doubled_in_place(), "unshown_in_place");
  op.samples = {{"values", {{{1}, {1}}}, {}, {2}}};
  return op;
}

// An element that takes from its neighbour.
template <class T>
lariat_status smeared(void*, const void* const* inputs, const int64_t* strides, void* output, int64_t count,
                      const lariat_attributes*) {
  const T* x = static_cast<const T*>(inputs[0]);
  for (int64_t i = 0; i < count; ++i)
    static_cast<T*>(output)[i] = x[i * strides[0]] + (i > 0 ? x[(i - 1) * strides[0]] : 0);
  return LARIAT_OK;
}
// One that takes a scalar for an array.
template <class T>
lariat_status strideless(void*, const void* const* inputs, const int64_t*, void* output, int64_t count,
                         const lariat_attributes*) {
  for (int64_t i = 0; i < count; ++i)
    static_cast<T*>(output)[i] = static_cast<const T*>(inputs[0])[i] * static_cast<const T*>(inputs[1])[0];
  return LARIAT_OK;
}
// One that reads what it has written, where the two lie one over the other.
template <class T>
lariat_status twice_read(void*, const void* const* inputs, const int64_t* strides, void* output,
                         int64_t count, const lariat_attributes*) {
  const T* x = static_cast<const T*>(inputs[0]);
  T* y = static_cast<T*>(output);
  for (int64_t i = 0; i < count; ++i) y[i] = 2 * x[i * strides[0]];
  for (int64_t i = 0; i < count; ++i) y[i] += x[i * strides[0]];
  return LARIAT_OK;
}

template <class Block>
Op raw(Op op, const Block& floats, const Block& doubles) {
  op.block[LARIAT_F32] = floats;
  op.block[LARIAT_F64] = doubles;
  return op;
}

Op integer(const char* name, std::vector<double> expected) {
  Op op{name, "2 x of i32.", {{"x", "i32"}}};
  op.infer = [](const Infer& c) { c.out(0, c.in(0)); };
  op.forward = [](const auto& k) {
    for (int64_t i = 0; i < k.integers(0).count(); ++i)
      k.template out_as<int32_t>(0)[i] = 2 * k.integers(0)[i];
  };
  op.samples = {
      {"values", {{.shape = {3}, .values = {1, 2, 3}, .dtype = LARIAT_I32}}, {}, std::move(expected)}};
  return op;
}

Op floats_of_integers(const char* name, std::vector<double> expected) {
  Op op = integer(name, std::move(expected));
  op.infer = [](const Infer& c) { c.out(0, {LARIAT_F32, c.in(0).shape}); };
  op.forward = [](const auto& k) {
    for (int64_t i = 0; i < k.integers(0).count(); ++i) k.out(0)[i] = k.integers(0)[i] & 1;
  };
  return op;
}

// b·aᵀ and more to it, by the host's product: on its threads, and in the body of a parallel_for.
Op product(const char* name) {
  Op op{name, "Two times b times a, transposed.", {{"a"}, {"b"}}};
  op.infer = [](const Infer& c) { c.out(0, {c.in(0).dtype, {c.in(1).shape[0], c.in(0).shape[0]}}); };
  op.forward = [](const auto& k) {
    const auto a = k.in(0), b = k.in(1);
    const auto y = k.out(0);
    const int64_t rows = b.extent(0), columns = a.extent(0), inner = a.extent(1);
    const auto right = transposed(matrix(a.data(), columns, inner));
    k.product(matrix(b.data(), rows, inner), right, matrix(y.data(), rows, columns));
    k.parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
      k.product(matrix(b.data() + begin * inner, end - begin, inner), right,
                matrix(y.data() + begin * columns, end - begin, columns), true);
    });
  };
  op.samples = {
      {"values", {{{2, 3}, {1, 2, 3, 4, 5, 6}}, {{2, 3}, {1, 0, -1, 2, 1, 0}}}, {}, {-4, -4, 8, 26}},
      {"larger", {{{70, 33}}, {{40, 33}}}}};
  return op;
}

enum class Many { right, value, tail, adjoint };

// The sums of each row's squares, with what goes wrong only where there are more rows than the sample has.
template <Many fault>
Op many(const char* name) {
  Op op{name, "Each row's sum of squares.", {{"x"}}};
  op.infer = [](const Infer& c) { c.out(0, {c.in(0).dtype, {c.in(0).shape[0]}}); };
  op.forward = [](const auto& k) {
    using T = typename std::decay_t<decltype(k)>::Element;
    const int64_t rows = k.in(0).extent(0), columns = k.in(0).extent(1);
    for (int64_t i = 0; i < rows; ++i) {
      T total = 0;
      for (int64_t j = 0; j < columns; ++j) total += k.in(0)[i * columns + j] * k.in(0)[i * columns + j];
      if (fault == Many::value && i >= 64) total *= T(1.01);
      if (fault == Many::tail && rows > 16 && i >= rows / 16 * 16) total = 0;
      k.out(0)[i] = total;
    }
  };
  op.backward = [](const auto& k) {
    using T = typename std::decay_t<decltype(k)>::Element;
    const int64_t rows = k.in(0).extent(0), columns = k.in(0).extent(1);
    const T factor = fault == Many::adjoint && rows > 8 ? T(2.02) : T(2);
    for (int64_t i = 0; i < rows * columns; ++i)
      k.gradient(0)[i] = factor * k.in(0)[i] * k.adjoint(0)[i / columns];
  };
  op.samples = {{"values", {{{3, 2}, {1, 2, 3, 4, 5, 6}}}, {}, {5, 25, 61}}};
  return op;
}

Op without_samples() {
  Op op = one("no_samples", [](auto x) { return x; });
  op.samples = {};
  return op;
}

}  // namespace

LARIAT_PLUGIN(
        .name = "claims", .version = "1",
        .ops = {
            abs_penalty("right_abs"), abs_penalty<Fault::doubled>("prox_doubled"),
            abs_penalty<Fault::identity>("prox_identity"), abs_penalty<Fault::zero>("prox_zero"),
            abs_penalty<Fault::nan>("prox_nan"), abs_penalty<Fault::one_step>("prox_one_step"),
            abs_penalty<Fault::one_weight>("prox_one_weight"), abs_penalty<Fault::cut>("prox_cut"),
            abs_penalty<Fault::late>("prox_late"), abs_penalty<Fault::single>("prox_single"),
            abs_penalty<Fault::first_only>("prox_first_only"), abs_penalty<Fault::thick>("prox_thick"),
            abs_penalty<Fault::hides_nan>("prox_hides_nan"), abs_penalty<Fault::at_none>("prox_at_none"),
            abs_penalty<Fault::tail>("prox_tail"), abs_penalty<Fault::heavy>("prox_heavy"),
            abs_penalty<Fault::light>("prox_light"), abs_penalty<Fault::far>("prox_far"),
            abs_penalty<Fault::none, Left::heavy>("residual_heavy"),
            abs_penalty<Fault::none, Left::nothing>("residual_nothing"),
            abs_penalty<Fault::none, Left::gradient>("residual_gradient"),
            abs_penalty<Fault::none, Left::kink>("residual_kink"),
            abs_penalty<Fault::none, Left::sign>("residual_sign"),
            abs_penalty<Fault::none, Left::longer>("residual_longer"),
            abs_penalty<Fault::none, Left::tail>("residual_tail"),
            norm<false, true>("right_norm", true, Combination::last),
            norm<true, true>("prox_norm_scaled", true, Combination::last),
            norm<false, true>("prox_norm_steps", false, Combination::last),
            norm<false, false>("residual_norm", true, Combination::last),
            norm<false, true>("wrong_first", true, Combination::first), concave(), smooth(),
            shifted("right_shifted", Combination::alone), shifted("wrong_last", Combination::last),
            linear(one("right_linear", [](auto x) { return 2 * x; }), 1),
            linear(one("wrong_linear_square", [](auto x) { return x * x; }), 1),
            linear(one("wrong_linear_shift", [](auto x) { return 2 * x + 1; }), 1),
            linear(one("wrong_linear_far", [](auto x) { return x > 50 ? decltype(x)(50) : x; }), 1),
            linear(above_none(one("wrong_linear_half", [](auto x) { return x > 0 ? x : decltype(x)(0); })),
                   1),
            linear(two("wrong_linear_second", [](auto a, auto b) { return a / b; }), 3),
            commutative(two("right_commutative", [](auto a, auto b) { return a * b; })),
            commutative(two("wrong_commutative", [](auto a, auto b) { return a - b; })),
            commutative(two("wrong_commutative_far",
                            [](auto a, auto b) { return a > 5 && b < 0 ? a : a * b; })),
            commutative(one("wrong_commutative_one", [](auto x) { return x; })), reversed(),
            doubled_in_place(), unshown_in_place(),
            raw(one("wrong_elementwise", [](auto x) { return x; }), smeared<float>, smeared<double>),
            raw(two("wrong_strides", [](auto a, auto b) { return a * b; }), strideless<float>,
                strideless<double>),
            raw(one("wrong_over_input", [](auto x) { return x; }), twice_read<float>, twice_read<double>),
            integer("right_integer", {2, 4, 6}), integer("wrong_integer", {7, 7, 7}),
            integer("unknown_integer", {}), floats_of_integers("right_parity", {1, 0, 1}),
            floats_of_integers("wrong_parity", {100, 200, 300}), product("right_product"),
            // Its name is that of a gradient, and it is none.
            product("right_product_gradient"), many<Many::right>("right_many"),
            many<Many::value>("wrong_many"), many<Many::tail>("wrong_many_tail"),
            many<Many::adjoint>("wrong_many_adjoint"), without_samples()})
