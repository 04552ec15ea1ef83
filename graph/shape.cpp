#include "graph/shape.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "graph/error.hpp"

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
    const auto place = std::lower_bound(terms.begin(), terms.end(), atoms,
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
      const int64_t magnitude = std::abs(term.coefficient);
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

// Expressions and floor quotients live as long as the process, so that a Dim is two words and compares by pointer.
struct Interned {
  std::mutex mutex;
  std::unordered_map<std::string, std::unique_ptr<Dim::Expression>> expressions;
  std::unordered_map<std::string, Quotient> quotients;

  static Interned& instance() {
    static Interned table;
    return table;
  }
};

}  // namespace

Dim Dim::interned(const Expression& expression) {
  if (expression.terms.empty()) return Dim(0);
  if (expression.terms.size() == 1 && expression.terms[0].atoms.empty()) return Dim(expression.terms[0].coefficient);
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
  const auto is_word = [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)); };
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) || !std::all_of(name.begin(), name.end(), is_word))
    throw UserError(fmt::format("'{}' cannot name a dimension; use letters, digits and _", name));
  Expression expression;
  expression.add(1, {std::string(name)});
  return interned(expression);
}

int64_t Dim::size() const {
  require(known(), "the size of a symbolic dimension was asked for");
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
      Quotient quotient;
      bool is_quotient = false;
      {
        Interned& table = Interned::instance();
        const std::lock_guard lock(table.mutex);
        if (const auto found = table.quotients.find(atom); found != table.quotients.end()) {
          quotient = found->second;
          is_quotient = true;
        }
      }
      if (is_quotient) {
        product = checked_multiply(product, floor_quotient(quotient.numerator.evaluate(bindings), quotient.divisor));
      } else {
        const auto bound = bindings.find(atom);
        if (bound == bindings.end())
          throw UserError(fmt::format("the dimension '{}' has no size; feed an input whose shape contains it", atom));
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

Dim floor_divide(Dim a, int64_t divisor) {
  require(divisor > 0, "a dimension is divided by a number that is not positive");
  if (divisor == 1) return a;
  if (a.known()) return floor_quotient(a.size_, divisor);
  const Dim::Expression numerator = a.expand();
  const bool exact = std::all_of(numerator.terms.begin(), numerator.terms.end(),
                                 [&](const auto& term) { return term.coefficient % divisor == 0; });
  Dim::Expression quotient;
  if (exact) {
    for (const auto& term : numerator.terms) quotient.add(term.coefficient / divisor, term.atoms);
  } else {
    const std::string atom = fmt::format("floor(({})/{})", numerator.text(), divisor);
    {
      Interned& table = Interned::instance();
      const std::lock_guard lock(table.mutex);
      table.quotients.try_emplace(atom, Quotient{a, divisor});
    }
    quotient.add(1, {atom});
  }
  return Dim::interned(quotient);
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
  [[noreturn]] void fail() const { throw UserError(fmt::format("'{}' is not a dimension", text_)); }
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
  int64_t number() {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) fail();
    at_ = end - text_.data();
    return value;
  }
  Dim sum() {
    Dim result = product();
    while (true) {
      if (accept("+")) {
        result = result + product();
      } else if (accept("-")) {
        result = result - product();
      } else {
        return result;
      }
    }
  }
  Dim product() {
    Dim result = factor();
    while (accept("*")) result = result * factor();
    return result;
  }
  Dim factor() {
    if (++depth_ > 100) fail();
    Dim result;
    if (accept("-")) {
      result = Dim(-1) * factor();
    } else if (accept("floor(")) {
      const Dim numerator = sum();
      if (!accept("/")) fail();
      const int64_t divisor = number();
      if (divisor <= 0 || !accept(")")) fail();
      result = floor_divide(numerator, divisor);
    } else if (accept("(")) {
      result = sum();
      if (!accept(")")) fail();
    } else if (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) {
      result = number();
    } else {
      const size_t start = at_;
      while (at_ < text_.size() && (text_[at_] == '_' || std::isalnum(static_cast<unsigned char>(text_[at_])))) ++at_;
      if (start == at_) fail();
      result = Dim::symbol(text_.substr(start, at_ - start));
    }
    skip_spaces();
    --depth_;
    return result;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Dim Dim::parse(std::string_view text) { return DimParser(text).parse(); }

Dim element_count(const Shape& shape) {
  Dim product = 1;
  for (Dim d : shape) product = product * d;
  return product;
}

std::string text(const Shape& shape) {
  std::vector<std::string> dims;
  for (Dim d : shape) dims.push_back(d.text());
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

Shape parse_shape(std::string_view text) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']')
    throw UserError(fmt::format("'{}' is not a shape; write it as [batch, 784]", text));
  text = text.substr(1, text.size() - 2);
  Shape shape;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    shape.push_back(Dim::parse(text.substr(0, comma)));
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  return shape;
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

std::string text(const TensorType& type) { return fmt::format("{}{}", name_of(type.dtype), text(type.shape)); }

}  // namespace lariat
