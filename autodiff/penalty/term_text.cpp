#include "autodiff/penalty/penalty.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "autodiff/penalty/affine_view.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "autodiff/penalty/variations.hpp"
#include "ops/kernels/axes.hpp"

namespace lariat {

namespace {

// A sum or product in brackets, where none stand around it: |Δ(2 * w)|, but ‖2 * w‖₂.
std::string bracketed(const std::string& name, const std::string& formula, size_t x) {
  const auto follows = [&](std::string_view bracket) {
    return x >= bracket.size() && formula.compare(x - bracket.size(), bracket.size(), bracket) == 0;
  };
  const bool is_plain = name.find_first_of("*+- ") == std::string::npos;
  return is_plain || follows("‖") || follows("|") || follows("(") ? name : "(" + name + ")";
}

std::optional<double> number_of(const std::optional<Coefficient>& coefficient) {
  return coefficient ? std::optional(coefficient->number) : std::nullopt;
}

std::string factor_text(const std::optional<Coefficient>& coefficient) {
  if (!coefficient) return "weighted ";
  const bool one = coefficient->number == 1 && !coefficient->input.empty();
  return (one ? "" : fmt::format("{:.6g} * ", coefficient->number)) +
         (coefficient->input.empty() ? "" : coefficient->input + " * ");
}

}  // namespace

std::string with_names(const Penalty& penalty, const std::string& name, const Attributes& attributes) {
  std::string formula = penalty.formula;
  for (const auto& [attribute, value] : attributes) {
    const std::string braced = "{" + attribute + "}";
    const size_t at = formula.find(braced);
    if (const auto* number = std::get_if<double>(&value); number && at != std::string::npos)
      formula.replace(at, braced.size(), fmt::format("{:.6g}", *number));
  }
  const auto is_letter = [&](size_t at) { return at < formula.size() && std::isalpha(formula[at] & 0xff); };
  for (size_t x = 0; (x = formula.find('x', x)) != std::string::npos; ++x)
    if (!is_letter(x - 1) && !is_letter(x + 1)) return formula.replace(x, 1, bracketed(name, formula, x));
  return formula;
}

namespace {

// "0.01 * |w - 1|", and the coefficient where one number is.
struct KinkText {
  std::string text;
  std::optional<Coefficient> coefficient;
};
KinkText text_of(const ScalarTerm::Kink& kink, const PenaltyTerm& term) {
  const std::string& parameter = term.parameters.front();
  std::string inner = parameter;
  if (kink.at) {
    const std::optional<double> number = uniform_value(kink.at);
    inner = number ? fmt::format("{} {} {:.6g}", parameter, *number < 0 ? "+" : "-", std::abs(*number))
                   : parameter + " - (a tensor)";
  }
  const bool flat_below = kink.below && uniform_value(kink.below) == 0.0,
             flat_above = kink.below && uniform_value(kink.above) == 0.0;
  std::optional<Coefficient> coefficient = coefficient_of(flat_above ? kink.below : kink.above);
  if (flat_above && coefficient) coefficient->number = -coefficient->number;
  const std::string factor = factor_text(coefficient);
  if (!kink.below) return {factor + "|" + inner + "|", coefficient};
  if (flat_below) return {fmt::format("{}max({}, 0)", factor, inner), coefficient};
  if (flat_above)
    return {fmt::format("{}max(-{}, 0)", factor, kink.at ? "(" + inner + ")" : inner), coefficient};
  return {"weighted " + with_names(*term.penalty, inner, {}), std::nullopt};
}

// What the term comes to on the parameter, all factors and shifts included.
void describe_scalar(PenaltyTerm& term) {
  const std::string& parameter = term.parameters.front();
  const ScalarTerm& scalar = *term.scalar;
  std::optional<Coefficient> coefficient;
  std::vector<std::string> parts;
  if (scalar.quadratic) {
    coefficient = coefficient_of(scalar.quadratic);
    parts.push_back(factor_text(coefficient) + parameter + "^2");
  }
  for (const ScalarTerm::Kink& kink : scalar.kinks) {
    const KinkText own = text_of(kink, term);
    parts.push_back(own.text);
    coefficient = own.coefficient;
  }
  if (scalar.low || scalar.high) {
    const auto limit = [](Value value) {
      const std::optional<double> number = value ? uniform_value(value) : std::nullopt;
      return number ? fmt::format("{:.6g}", *number) : std::string("a tensor");
    };
    std::string bounds;
    if (scalar.low) bounds = fmt::format("{} >= {}", parameter, limit(scalar.low));
    if (scalar.high)
      bounds += fmt::format("{}{} <= {}", scalar.low ? ", " : "", parameter, limit(scalar.high));
    parts.push_back(bounds);
  }
  term.text = fmt::format("{}", fmt::join(parts, " + "));
  // Several parts have no one coefficient.
  term.coefficient = parts.size() == 1 ? number_of(coefficient) : std::nullopt;
}

// Whether two elements of a parameter are next to each other along one of its axes.
bool are_neighbours(int64_t a, int64_t b, const Extents& extents) {
  if (a > b) std::swap(a, b);
  for (size_t axis = 0; axis < extents.size(); ++axis) {
    const AxisBlocks blocks = blocks_around(extents, static_cast<int64_t>(axis));
    if (b - a == blocks.inner && a / blocks.inner % blocks.extent + 1 < blocks.extent) return true;
  }
  return false;
}

// Whether a total variation of picked elements is over differences of ones that are no neighbours in their
// parameter.
bool is_reordered(const PenaltyTerm& term, const std::vector<ShownElement>& shown) {
  const Graph& graph = term.node.graph();
  const std::vector<int32_t> nodes = nodes_behind(term.argument);
  const bool picks = std::any_of(nodes.begin(), nodes.end(),
                                 [&](int32_t id) { return graph.node(id).op->name == "gather_rows"; });
  if (!is_op(term.node, "absolute_differences") || !picks) return false;
  const AxisBlocks blocks =
      blocks_around(evaluate(term.argument.shape(), {}), node_of(term.node).attributes.get<int64_t>("axis"));
  std::vector<bool> weightless;
  if (term.weight.shape() == term.node.shape()) weightless = always_zero(term.weight);
  size_t difference = 0;
  for (int64_t outer = 0; outer < blocks.outer; ++outer)
    for (int64_t i = 0; i + 1 < blocks.extent; ++i)
      for (int64_t inner = 0; inner < blocks.inner; ++inner, ++difference) {
        const auto place = static_cast<size_t>((outer * blocks.extent + i) * blocks.inner + inner);
        const ShownElement &a = shown[place], &b = shown[place + static_cast<size_t>(blocks.inner)];
        if (a.parameter < 0 || a.parameter != b.parameter) continue;
        if (!weightless.empty() && weightless[difference]) continue;
        if (!are_neighbours(a.index, b.index, evaluate(graph.node(a.parameter).outputs[0].shape, {})))
          return true;
      }
  return false;
}

// "w - v", "w + 2 * v"; "combined w, v" where parameters have no one factor for all of their elements, or
// elements of one meet each other.
std::string combined_text(const PenaltyTerm& term, const std::vector<Value>& parameters) {
  const CombinedView combined(term.argument, parameters);
  const Graph& graph = term.node.graph();
  const std::vector<int32_t> nodes = nodes_behind(term.argument);
  // What moves elements to other places, such as a transpose.
  const bool in_place = std::all_of(nodes.begin(), nodes.end(), [&](int32_t id) {
    const OpDef& op = *graph.node(id).op;
    return op.traits.elementwise || op.traits.source != SourceKind::none || op.name == "broadcast_to";
  });
  std::string text;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::optional<double> factor = uniform_value(combined.factors[i]);
    if (!in_place || !factor || *factor == 0 || parameters[i].shape() != term.argument.shape() ||
        combined.view.shifted)
      return fmt::format("combined {}", fmt::join(term.parameters, ", "));
    const double size = std::abs(*factor);
    text += *factor < 0 ? (text.empty() ? "-" : " - ") : (text.empty() ? "" : " + ");
    text += (size == 1 ? "" : fmt::format("{:.6g} * ", size)) + term.parameters[i];
  }
  return text;
}

// "2 * w - 1", "w, v", "part of w", "w reordered": what a structured term is of.
std::string argument_text(const PenaltyTerm& term) {
  const std::vector<Value> parameters = term.parameter_values();
  if (term.combines) return combined_text(term, parameters);
  if (is_same(term.argument, parameters.front())) return term.parameters.front();
  int64_t elements = 0;
  for (Value parameter : parameters) elements += element_count(parameter.shape()).size();
  const std::vector<ShownElement> shown = shown_elements(term.argument);
  std::set<ShownElement> different(shown.begin(), shown.end());
  different.erase(ShownElement{});
  const bool is_part = static_cast<int64_t>(different.size()) < elements;
  const bool reordered = is_reordered(term, shown);
  const AffineView view(term.argument, parameters);
  const std::string names = fmt::format("{}{}{}", is_part ? "part of " : "", fmt::join(term.parameters, ", "),
                                        reordered ? " reordered" : "");
  const bool is_phrase = is_part || reordered || parameters.size() > 1;
  std::string text = names;
  if (view.scaled) {
    const std::optional<double> factor = uniform_value(view.factor);
    const std::string of = is_phrase ? "(" + names + ")" : names;
    text = factor == -1.0 ? "-" + of
           : factor       ? fmt::format("{:.6g} * {}", *factor, of)
                          : "(a tensor) * " + of;
  }
  if (view.shifted) {
    const std::optional<double> shift = uniform_value(view.shift);
    const std::string of = !view.scaled && is_phrase ? "(" + names + ")" : text;
    text = shift ? fmt::format("{} {} {:.6g}", of, *shift < 0 ? "-" : "+", std::abs(*shift))
                 : of + " + (a tensor)";
  }
  return text;
}

// " along axis 1": of an op with a result for each group of elements.
std::string axes_text(const PenaltyTerm& term) {
  const Attributes& attributes = term.node.graph().node(term.node.node()).attributes;
  const Attribute* axes = attributes.find("axes");
  if (axes == nullptr) return {};
  const std::vector<bool> reduced =
      checked_axes(std::get<std::vector<int64_t>>(*axes), term.argument.shape());
  std::vector<int64_t> named;
  for (size_t i = 0; i < reduced.size(); ++i)
    if (reduced[i]) named.push_back(static_cast<int64_t>(i));
  if (named.size() == reduced.size()) return {};
  return fmt::format(" along {} {}", named.size() == 1 ? "axis" : "axes", fmt::join(named, ", "));
}

void describe_structured(PenaltyTerm& term) {
  const std::optional<Coefficient> coefficient = coefficient_of(term.weight);
  term.coefficient = number_of(coefficient);
  const Attributes attributes = term.node.graph().node(term.node.node()).attributes;
  term.text =
      factor_text(coefficient) + with_names(*term.penalty, argument_text(term), attributes) + axes_text(term);
}

}  // namespace

void describe(PenaltyTerm& term) { term.scalar ? describe_scalar(term) : describe_structured(term); }

}  // namespace lariat
