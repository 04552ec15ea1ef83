#include "graph/base/shape.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <mutex>
#include <numeric>
#include <unordered_map>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

[[noreturn]] void too_large(std::string_view what) {
  throw UserError(fmt::format("the size {} exceeds what 64 bits can count; use smaller dimensions", what));
}

int64_t checked_multiply(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) too_large(fmt::format("{} * {}", a, b));
  return product;
}

int64_t checked_add(int64_t a, int64_t b) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) too_large(fmt::format("{} + {}", a, b));
  return sum;
}

// Not std::isalnum, which asks the locale.
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int64_t floor_quotient(int64_t a, int64_t divisor) { return a / divisor - (a % divisor < 0); }

}  // namespace

int64_t element_count(const Extents& extents) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t extent : extents) {
    if (extent < 0) throw UserError(fmt::format("the shape {} has a negative dimension", text(extents)));
    // Zero must not hide an overflow among the other dimensions.
    empty |= extent == 0;
    count = checked_multiply(count, std::max<int64_t>(extent, 1));
  }
  return empty ? 0 : count;
}

std::string text(const Extents& extents) { return fmt::format("[{}]", fmt::join(extents, ", ")); }

/// A sum of terms, ordered by their atoms; an atom is a symbol's name or the text of a floor quotient.
struct Dim::Expression {
  struct Term {
    int64_t coefficient;
    std::vector<std::string> atoms;
  };
  std::vector<Term> terms;

  void add(int64_t coefficient, const std::vector<std::string>& atoms) {
    const auto place =
        std::lower_bound(terms.begin(), terms.end(), atoms,
                         [](const Term& term, const auto& wanted) { return term.atoms < wanted; });
    if (place != terms.end() && place->atoms == atoms) {
      place->coefficient = checked_add(place->coefficient, coefficient);
      if (place->coefficient == 0) terms.erase(place);
    } else if (coefficient != 0) {
      terms.insert(place, {coefficient, atoms});
    }
  }

  // The constant term sorts first but reads last: "2*time - 1".
  std::string text() const {
    std::string result;
    const auto append = [&](const Term& term) {
      const bool negative = term.coefficient < 0;
      result += result.empty() ? (negative ? "-" : "") : (negative ? " - " : " + ");
      // Unsigned, since the smallest int64_t has no positive counterpart.
      const uint64_t magnitude = negative ? -static_cast<uint64_t>(term.coefficient) : term.coefficient;
      if (term.atoms.empty()) {
        result += fmt::format("{}", magnitude);
      } else {
        if (magnitude != 1) result += fmt::format("{}*", magnitude);
        result += fmt::format("{}", fmt::join(term.atoms, "*"));
      }
    };
    for (const Term& term : terms)
      if (!term.atoms.empty()) append(term);
    for (const Term& term : terms)
      if (term.atoms.empty()) append(term);
    return result;
  }
};

namespace {

struct Quotient {
  Dim numerator;
  int64_t divisor;
};

// Expressions and floor quotients live as long as the process, so that a Dim is two words and compares by
// pointer.
struct Interned {
  std::mutex mutex;
  std::unordered_map<std::string, std::unique_ptr<Dim::Expression>> expressions;
  std::unordered_map<std::string, Quotient> quotients;

  static Interned& instance() {
    static Interned table;
    return table;
  }

  std::optional<Quotient> quotient(const std::string& atom) {
    const std::lock_guard lock(mutex);
    const auto found = quotients.find(atom);
    return found == quotients.end() ? std::nullopt : std::optional(found->second);
  }
};

}  // namespace

Dim Dim::interned(const Expression& expression) {
  if (expression.terms.empty()) return Dim(0);
  if (expression.terms.size() == 1 && expression.terms[0].atoms.empty())
    return Dim(expression.terms[0].coefficient);
  Interned& table = Interned::instance();
  const std::lock_guard lock(table.mutex);
  auto& slot = table.expressions[expression.text()];
  if (!slot) slot = std::make_unique<Expression>(expression);
  Dim result;
  result.expression_ = slot.get();
  return result;
}

Dim::Expression Dim::expand() const {
  if (expression_) return *expression_;
  Expression constant;
  constant.add(size_, {});
  return constant;
}

Dim Dim::symbol(std::string_view name) {
  if (name.empty() || is_digit(name[0]) || !std::all_of(name.begin(), name.end(), is_word))
    throw UserError(fmt::format("'{}' cannot name a dimension; use letters, digits and _", name));
  Expression expression;
  expression.add(1, {std::string(name)});
  return interned(expression);
}

int64_t Dim::size() const {
  if (!known())
    throw UserError(fmt::format(
        "the size of the symbolic dimension '{}' was asked for; it is known when data are fed", text()));
  return size_;
}

std::string Dim::symbol_name() const {
  if (!expression_ || expression_->terms.size() != 1) return "";
  const Expression::Term& term = expression_->terms[0];
  return term.coefficient == 1 && term.atoms.size() == 1 && term.atoms[0].find('(') == std::string::npos
             ? term.atoms[0]
             : "";
}

int64_t Dim::evaluate(const Bindings& bindings) const {
  if (!expression_) return size_;
  int64_t sum = 0;
  for (const auto& term : expression_->terms) {
    int64_t product = term.coefficient;
    for (const std::string& atom : term.atoms) {
      if (const std::optional<Quotient> quotient = Interned::instance().quotient(atom)) {
        product = checked_multiply(product,
                                   floor_quotient(quotient->numerator.evaluate(bindings), quotient->divisor));
      } else {
        const auto bound = bindings.find(atom);
        if (bound == bindings.end())
          throw UserError(
              fmt::format("the dimension '{}' has no size; feed an input whose shape contains it", atom));
        product = checked_multiply(product, bound->second);
      }
    }
    sum = checked_add(sum, product);
  }
  return sum;
}

std::string Dim::text() const { return expression_ ? expression_->text() : fmt::format("{}", size_); }

Dim operator+(Dim a, Dim b) {
  if (a.known() && b.known()) return checked_add(a.size_, b.size_);
  Dim::Expression sum = a.expand();
  for (const auto& term : b.expand().terms) sum.add(term.coefficient, term.atoms);
  return Dim::interned(sum);
}

Dim operator-(Dim a, Dim b) { return a + b * Dim(-1); }

Dim operator*(Dim a, Dim b) {
  if (a.known() && b.known()) return checked_multiply(a.size_, b.size_);
  Dim::Expression product;
  const Dim::Expression left = a.expand(), right = b.expand();
  for (const auto& x : left.terms)
    for (const auto& y : right.terms) {
      std::vector<std::string> atoms = x.atoms;
      atoms.insert(atoms.end(), y.atoms.begin(), y.atoms.end());
      std::sort(atoms.begin(), atoms.end());
      product.add(checked_multiply(x.coefficient, y.coefficient), atoms);
    }
  return Dim::interned(product);
}

// Normal form of ⌊(Σ cᵢtᵢ)/d⌋: whole multiples of d come out, the greatest common factor of d and the
// coefficients is cancelled, and a quotient of a quotient becomes one.
Dim floor_divide(Dim a, int64_t divisor) {
  if (divisor <= 0)
    throw UserError(
        fmt::format("the dimension '{}' is divided by {}; divide by a number from 1", a.text(), divisor));
  if (a.known()) return floor_quotient(a.size_, divisor);
  Dim::Expression whole, rest;
  int64_t constant = 0, common = divisor;
  for (const auto& [coefficient, atoms] : a.expand().terms) {
    const int64_t quotient = floor_quotient(coefficient, divisor);
    const int64_t remainder = coefficient % divisor + (coefficient % divisor < 0 ? divisor : 0);
    whole.add(quotient, atoms);
    if (atoms.empty()) {
      constant = remainder;
    } else if (remainder != 0) {
      rest.add(remainder, atoms);
      common = std::gcd(common, remainder);
    }
  }
  if (rest.terms.empty()) return Dim::interned(whole);
  for (auto& term : rest.terms) term.coefficient /= common;
  divisor /= common;
  constant /= common;
  if (rest.terms.size() == 1 && rest.terms[0].coefficient == 1 && rest.terms[0].atoms.size() == 1) {
    const std::optional<Quotient> inner = Interned::instance().quotient(rest.terms[0].atoms[0]);
    int64_t product;
    if (inner && !__builtin_mul_overflow(inner->divisor, divisor, &product))
      return Dim::interned(whole) + floor_divide(inner->numerator + Dim(constant * inner->divisor), product);
  }
  rest.add(constant, {});
  const std::string atom = fmt::format("floor(({})/{})", rest.text(), divisor);
  const Dim numerator = Dim::interned(rest);
  {
    Interned& table = Interned::instance();
    const std::lock_guard lock(table.mutex);
    table.quotients.try_emplace(atom, Quotient{numerator, divisor});
  }
  whole.add(1, {atom});
  return Dim::interned(whole);
}

namespace {

// sum := product (("+" | "-") product)*;  product := factor ("*" factor)*
// factor := number | symbol | "-" factor | "(" sum ")" | "floor(" sum "/" number ")"
class DimParser {
 public:
  explicit DimParser(std::string_view text) : text_(text) {}

  Dim parse() {
    const Dim result = sum();
    if (at_ != text_.size()) fail();
    return result;
  }

 private:
  [[noreturn]] void fail() const {
    throw UserError(
        fmt::format("'{}' is not a dimension; write a number or an expression such as 2*time + 1", text_));
  }
  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool accept(std::string_view token) {
    skip_spaces();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    skip_spaces();
    return true;
  }
  int64_t number(bool negative = false) {
    uint64_t magnitude = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), magnitude);
    if (error != std::errc() || magnitude > uint64_t{INT64_MAX} + negative) fail();
    at_ = end - text_.data();
    return static_cast<int64_t>(negative ? -magnitude : magnitude);
  }
  Dim sum() {
    Dim result = product();
    while (true) {
      if (accept("+")) {
        result = result + product();
      } else if (accept("-")) {
        result = result + product(true);
      } else {
        return result;
      }
    }
  }
  // The sign goes with the first number, since the smallest int64_t has no positive counterpart.
  Dim product(bool negative = false) {
    Dim result = factor(negative);
    while (accept("*")) result = result * factor();
    return result;
  }
  Dim factor(bool negative = false) {
    if (++depth_ > 100) fail();
    Dim result;
    if (accept("-")) {
      result = factor(!negative);
    } else if (at_ < text_.size() && is_digit(text_[at_])) {
      result = number(negative);
    } else {
      result = compound();
      if (negative) result = Dim(-1) * result;
    }
    skip_spaces();
    --depth_;
    return result;
  }
  Dim compound() {
    if (accept("floor(")) {
      const Dim numerator = sum();
      if (!accept("/")) fail();
      const int64_t divisor = number();
      if (divisor <= 0 || !accept(")")) fail();
      return floor_divide(numerator, divisor);
    }
    if (accept("(")) {
      const Dim result = sum();
      if (!accept(")")) fail();
      return result;
    }
    const size_t start = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    if (start == at_) fail();
    return Dim::symbol(text_.substr(start, at_ - start));
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Dim Dim::parse(std::string_view text) { return DimParser(text).parse(); }

Dim element_count(const Shape& shape) {
  Extents known;
  Dim symbolic = 1;
  for (Dim d : shape) {
    if (!d.known()) {
      symbolic = symbolic * d;
    } else if (d.size() < 0) {
      throw UserError(fmt::format("the shape {} has a negative dimension", text(shape)));
    } else {
      known.push_back(d.size());
    }
  }
  return Dim(element_count(known)) * symbolic;
}

std::string text(const Shape& shape) {
  std::vector<std::string> dims;
  for (Dim d : shape) dims.push_back(d.text());
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

Shape parse_shape(std::string_view text) {
  const auto fail = [&] {
    throw UserError(fmt::format("'{}' is not a shape; write it as [batch, 784]", text));
  };
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') fail();
  std::string_view rest = text.substr(1, text.size() - 2);
  Shape shape;
  if (rest.find_first_not_of(' ') == std::string_view::npos) return shape;
  while (true) {
    const size_t comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    if (part.find_first_not_of(' ') == std::string_view::npos) fail();
    shape.push_back(Dim::parse(part));
    if (comma == std::string_view::npos) return shape;
    rest.remove_prefix(comma + 1);
  }
}

bool is_known(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](Dim d) { return d.known(); });
}

Extents evaluate(const Shape& shape, const Bindings& bindings) {
  Extents extents;
  extents.reserve(shape.size());
  for (Dim d : shape) extents.push_back(d.evaluate(bindings));
  return extents;
}

Shape to_shape(const Extents& extents) { return Shape(extents.begin(), extents.end()); }

std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  for (size_t i = 0; i < shorter.size(); ++i) {
    Dim& out = result[result.size() - 1 - i];
    const Dim other = shorter[shorter.size() - 1 - i];
    if (out == other || other == Dim(1)) continue;
    if (!(out == Dim(1))) return std::nullopt;
    out = other;
  }
  return result;
}

std::string text(const TensorType& type) {
  return fmt::format("{}{}", name_of(type.dtype), text(type.shape));
}

}  // namespace lariat
