#pragma once

#include <iosfwd>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

namespace lariat {

/// A term that looks like a penalty and keeps its subgradient.
struct Refusal {
  /// L101 … L112, as the documentation lists them.
  std::string code;
  std::string term;
  std::string reason;
  std::string advice;
  std::source_location where;
  /// Whether it leaps and its gradient is zero where there is one, so that no step and no certificate sees
  /// it.
  bool leaps = false;
};

/// What the rewrite did to a loss.
struct RewriteReport {
  struct Entry {
    std::string parameter;
    /// "0.001 * |W|", "weighted |W|", …
    std::vector<std::string> terms;
    /// The terms' coefficients, each where it is one number for all elements.
    std::vector<std::optional<double>> coefficients;
    /// "soft threshold", "shrinkage, soft threshold".
    std::string operator_name;
    std::string metric;
  };
  /// A term of parameters alone that is smooth: it shrinks weights, and makes none exactly zero.
  struct Smooth {
    std::string parameters;
    /// "0.01 * w^2", or the name of its outermost op.
    std::string term;
    std::source_location where;
    /// The penalty's node in the loss that was split; -1 where it is none.
    int32_t node = -1;
  };
  std::vector<Entry> rewritten;
  std::vector<Refusal> refused;
  std::vector<Smooth> smooth;
  /// Why nothing was looked for, where that is so.
  std::string note;

  /// For people: one line a parameter, one a refusal, one a smooth term.
  std::string text() const;
  /// {"rewritten": […], "refused": […], "smooth": […]}.
  std::string json() const;
};

std::ostream& operator<<(std::ostream& out, const RewriteReport& report);

}  // namespace lariat
