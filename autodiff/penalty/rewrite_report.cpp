#include "autodiff/penalty/rewrite_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ostream>

#include "graph/base/json.hpp"
#include "graph/ir/value.hpp"

namespace lariat {

namespace {

std::string place(const std::source_location& where) {
  return where.line() == 0 ? std::string() : fmt::format(" ({})", text(where));
}

}  // namespace

std::string RewriteReport::text() const {
  std::string result;
  for (const Entry& entry : rewritten)
    result += fmt::format("{}: {} -> {}, metric {}\n", entry.parameter, fmt::join(entry.terms, " + "),
                          entry.operator_name, entry.metric);
  for (const Refusal& refusal : refused)
    result += fmt::format("{}: {}{} keeps its subgradient: {}; {}\n", refusal.code, refusal.term,
                          place(refusal.where), refusal.reason, refusal.advice);
  for (const Smooth& term : smooth)
    result +=
        fmt::format("{}: {}{}: smooth, taken as a gradient\n", term.parameters, term.term, place(term.where));
  if (!note.empty()) result += note + "\n";
  if (result.empty()) result = "no penalty terms: nothing to rewrite\n";
  return result;
}

std::string RewriteReport::json() const {
  Json all{{"rewritten", Json::array()}, {"refused", Json::array()}, {"smooth", Json::array()}};
  for (const Entry& entry : rewritten) {
    Json coefficients = Json::array();
    for (const auto& coefficient : entry.coefficients)
      coefficients.push_back(coefficient ? Json(*coefficient) : Json());
    all["rewritten"].push_back({{"parameter", entry.parameter},
                                {"terms", entry.terms},
                                {"coefficients", coefficients},
                                {"operator", entry.operator_name},
                                {"metric", entry.metric}});
  }
  for (const Refusal& refusal : refused)
    all["refused"].push_back({{"code", refusal.code},
                              {"term", refusal.term},
                              {"reason", refusal.reason},
                              {"advice", refusal.advice},
                              {"file", refusal.where.file_name()},
                              {"line", refusal.where.line()}});
  for (const Smooth& term : smooth)
    all["smooth"].push_back({{"parameters", term.parameters},
                             {"term", term.term},
                             {"file", term.where.file_name()},
                             {"line", term.where.line()}});
  if (!note.empty()) all["note"] = note;
  return all.dump();
}

std::ostream& operator<<(std::ostream& out, const RewriteReport& report) { return out << report.text(); }

}  // namespace lariat
