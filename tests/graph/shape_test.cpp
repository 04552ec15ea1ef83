#include "graph/base/shape.hpp"

#include <cstdint>
#include <functional>
#include <random>

#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::shape_test {

using lariat::testing::message_of;

namespace {

const Dim batch = Dim::symbol("batch"), t = Dim::symbol("time");

// A random dimension over a, b and numbers, as deep as `depth`.
Dim random_dim(std::mt19937& random, int depth) {
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  if (depth == 0) return pick(0, 1) ? Dim(pick(-4, 9)) : Dim::symbol(pick(0, 1) ? "a" : "b");
  const Dim left = random_dim(random, depth - 1);
  switch (pick(0, 3)) {
    case 0:
      return left + random_dim(random, depth - 1);
    case 1:
      return left - random_dim(random, depth - 1);
    case 2:
      return left * random_dim(random, depth - 1);
    default:
      return floor_divide(left, pick(1, 6));
  }
}

}  // namespace

TEST_CASE("dim: sums and products have one normal form") {
  CHECK(batch + t == t + batch);
  CHECK(batch * t == t * batch);
  CHECK((batch + 1) * (batch - 1) == batch * batch - 1);
  CHECK((batch + t) * 2 - batch == batch + t * 2);
  CHECK(batch - batch == Dim(0));
  CHECK((batch - batch).known());
  CHECK(batch * 0 == Dim(0));
  CHECK(Dim(6) * 7 == Dim(42));
  CHECK_FALSE(batch == t);
  CHECK_FALSE(batch == Dim(1));
  CHECK_FALSE(batch + 1 == batch);
}

TEST_CASE("dim: floor quotients have one normal form") {
  CHECK(floor_divide(Dim(7), 2) == Dim(3));
  CHECK(floor_divide(Dim(-7), 2) == Dim(-4));
  CHECK(floor_divide(t, 1) == t);
  CHECK(floor_divide(t * 6 + 4, 2) == t * 3 + 2);
  CHECK(floor_divide(t * 6 + 5, 2) == t * 3 + 2);
  CHECK(floor_divide(t - 1, 2) + 1 == floor_divide(t + 1, 2));
  CHECK(floor_divide(t * 3 + batch * 4, 2) == t + batch * 2 + floor_divide(t, 2));
  CHECK(floor_divide(t * 2 + 3, 4) == floor_divide(t + 1, 2));
  CHECK(floor_divide(floor_divide(t, 2), 3) == floor_divide(t, 6));
  CHECK(floor_divide(floor_divide(t + 1, 2) + 1, 2) == floor_divide(t + 3, 4));
  CHECK_FALSE(floor_divide(t, 2) == floor_divide(t, 3));
  CHECK(floor_divide(t + 1, 2).text() == "floor((time + 1)/2)");
  CHECK(message_of<UserError>([] { floor_divide(t, 0); }) ==
        "the dimension 'time' is divided by 0; divide by a number from 1");
}

TEST_CASE("dim: text") {
  CHECK(Dim(12).text() == "12");
  CHECK(batch.text() == "batch");
  CHECK((t * 2 - 1).text() == "2*time - 1");
  CHECK((Dim(3) - batch).text() == "-batch + 3");
  CHECK((batch * t * t - batch * 4).text() == "-4*batch + batch*time*time");
  CHECK(Dim(INT64_MIN).text() == "-9223372036854775808");
  CHECK((t * INT64_MIN).text() == "-9223372036854775808*time");
  CHECK((t + Dim(INT64_MIN)).text() == "time - 9223372036854775808");
}

TEST_CASE("dim: parse reads what text wrote, and evaluates alike") {
  for (const Dim dim :
       {Dim(0), Dim(-3), batch, t * 2 - 1, Dim(3) - batch, floor_divide(t * batch + 3, 4) * 5 - t,
        Dim(INT64_MIN), t * INT64_MIN, t + Dim(INT64_MIN), Dim(INT64_MAX)})
    CHECK(Dim::parse(dim.text()) == dim);
  CHECK(Dim::parse(" ( time+1 ) * -2 ") == t * -2 - 2);
  CHECK(Dim::parse("-(time - -3)") == Dim(0) - t - 3);
  CHECK(Dim::parse("floor") == Dim::symbol("floor"));
}

TEST_CASE("dim: random expressions mean what their arithmetic says") {
  std::mt19937 random(1);
  int symbolic = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    std::mt19937 copy = random;
    const Dim dim = random_dim(random, 1 + trial % 4);
    symbolic += !dim.known();
    CAPTURE(dim.text());
    REQUIRE(Dim::parse(dim.text()) == dim);
    // The same draws once more, with the numbers in the symbols' place.
    const int64_t a = trial % 7 - 2, b = trial % 5;
    const std::function<int64_t(int)> evaluated = [&](int depth) -> int64_t {
      const auto pick = [&](int low, int high) {
        return std::uniform_int_distribution<int>(low, high)(copy);
      };
      if (depth == 0) {
        if (pick(0, 1)) return pick(-4, 9);
        return pick(0, 1) ? a : b;
      }
      const int64_t left = evaluated(depth - 1);
      switch (pick(0, 3)) {
        case 0:
          return left + evaluated(depth - 1);
        case 1:
          return left - evaluated(depth - 1);
        case 2:
          return left * evaluated(depth - 1);
        default: {
          const int64_t divisor = pick(1, 6);
          int64_t quotient = left / divisor;
          while (quotient * divisor > left) --quotient;
          return quotient;
        }
      }
    };
    REQUIRE(dim.evaluate({{"a", a}, {"b", b}}) == evaluated(1 + trial % 4));
  }
  CHECK(symbolic > 1000);
}

TEST_CASE("dim: symbols") {
  CHECK(batch.symbol_name() == "batch");
  CHECK((batch * 2).symbol_name() == "");
  CHECK((batch + 1).symbol_name() == "");
  CHECK((batch * batch).symbol_name() == "");
  CHECK(floor_divide(batch, 2).symbol_name() == "");
  CHECK(Dim(3).symbol_name() == "");
  CHECK(message_of<UserError>([] { (void)batch.size(); }) ==
        "the size of the symbolic dimension 'batch' was asked for; it is known when data are fed");
  CHECK(message_of<UserError>([] {
          (void)(batch + 1).evaluate({{"time", 3}});
        }) == "the dimension 'batch' has no size; feed an input whose shape contains it");
  for (const char* bad : {"", "3d", "a b", "a*b", "\xc3\xa9"})
    CHECK(message_of<UserError>([&] { Dim::symbol(bad); }) ==
          "'" + std::string(bad) + "' cannot name a dimension; use letters, digits and _");
}

TEST_CASE("dim: overflow is reported, not wrapped") {
  const Dim large = int64_t{1} << 32;
  CHECK(message_of<UserError>([&] { large* large; }) ==
        "the size 4294967296 * 4294967296 exceeds what 64 bits can count; use smaller dimensions");
  CHECK(message_of<UserError>([] { Dim(INT64_MAX) + 1; }) ==
        "the size 9223372036854775807 + 1 exceeds what 64 bits can count; use smaller dimensions");
  CHECK(message_of<UserError>([&] { (batch * large) * large; }) ==
        "the size 4294967296 * 4294967296 exceeds what 64 bits can count; use smaller dimensions");
  CHECK(message_of<UserError>([&] {
          (void)(batch * large).evaluate({{"batch", int64_t{1} << 31}});
        }) == "the size 4294967296 * 2147483648 exceeds what 64 bits can count; use smaller dimensions");
}

TEST_CASE("dim: malformed text is refused with its text") {
  const std::string nested = std::string(200, '(') + "1" + std::string(200, ')');
  for (const std::string& bad :
       {std::string("2*"), std::string(""), std::string("a b"), std::string("(a"), std::string("floor(a/0)"),
        std::string("floor(a/-2)"), std::string("floor(a)"), std::string("1.5"),
        std::string("9223372036854775808"), std::string("a + "), std::string("+a"), nested})
    CHECK(message_of<UserError>([&] { Dim::parse(bad); }) ==
          "'" + bad + "' is not a dimension; write a number or an expression such as 2*time + 1");
}

TEST_CASE("shape: text and parse") {
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{batch, 784}, Shape{batch, floor_divide(t + 1, 2), 0}})
    CHECK(parse_shape(text(shape)) == shape);
  CHECK(text(Shape{batch, 784}) == "[batch, 784]");
  CHECK(text(Shape{}) == "[]");
  CHECK(text(TensorType{f64, {batch, 2}}) == "f64[batch, 2]");
  CHECK(parse_shape("[ ]") == Shape{});
  CHECK(parse_shape("[1,batch ,3]") == Shape{1, batch, 3});
  for (const char* bad : {"", "[", "3", "[1", "[1,]", "[,1]", "[1,,2]"})
    CHECK(message_of<UserError>([&] { parse_shape(bad); }) ==
          "'" + std::string(bad) + "' is not a shape; write it as [batch, 784]");
}

TEST_CASE("shape: counts are checked, and a zero hides no overflow") {
  constexpr int64_t large = int64_t{1} << 32;
  CHECK(element_count(Extents{}) == 1);
  CHECK(element_count(Extents{2, 3, 4}) == 24);
  CHECK(element_count(Extents{2, 0, 4}) == 0);
  CHECK(element_count(Shape{2, batch, 3}) == batch * 6);
  CHECK(element_count(Shape{0, batch}) == Dim(0));
  const std::string message =
      "the size 4294967296 * 4294967296 exceeds what 64 bits can count; use smaller dimensions";
  for (const Extents& extents : {Extents{large, large}, Extents{0, large, large}, Extents{large, 0, large},
                                 Extents{large, large, 0}}) {
    CHECK(message_of<UserError>([&] { element_count(extents); }) == message);
    CHECK(message_of<UserError>([&] { element_count(to_shape(extents)); }) == message);
  }
  CHECK(message_of<UserError>([] {
          element_count(Extents{3, -1});
        }) == "the shape [3, -1] has a negative dimension");
  CHECK(message_of<UserError>([] {
          element_count(Shape{batch, -1});
        }) == "the shape [batch, -1] has a negative dimension");
}

TEST_CASE("shape: evaluation") {
  CHECK(is_known(Shape{2, 3}));
  CHECK_FALSE(is_known(Shape{2, batch}));
  CHECK(evaluate(Shape{batch, t * 2 - 1}, {{"batch", 4}, {"time", 5}}) == Extents{4, 9});
  CHECK(to_shape({2, 3}) == Shape{2, 3});
}

TEST_CASE("shape: broadcasting follows numpy") {
  CHECK(broadcast({}, {3}) == Shape{3});
  CHECK(broadcast({2, 3}, {3}) == Shape{2, 3});
  CHECK(broadcast({3}, {2, 3}) == Shape{2, 3});
  CHECK(broadcast({2, 1}, {1, 3}) == Shape{2, 3});
  CHECK(broadcast({batch, 1}, {5}) == Shape{batch, 5});
  CHECK(broadcast({1}, {batch}) == Shape{batch});
  CHECK(broadcast({0}, {1}) == Shape{0});
  CHECK(broadcast({2, 0}, {1, 1}) == Shape{2, 0});
  CHECK_FALSE(broadcast({2}, {3}));
  CHECK_FALSE(broadcast({0}, {2}));
  CHECK_FALSE(broadcast({batch}, {2}));
  CHECK_FALSE(broadcast({batch}, {t}));
  CHECK_FALSE(broadcast({2, 3}, {2}));
}

}  // namespace lariat::shape_test
