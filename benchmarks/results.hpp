#pragma once

#include <string>
#include <vector>

#include "benchmarks/comparison.hpp"

namespace lariat::benchmarks {

/// What one run of the suite found.
struct Results {
  Machine machine;
  int threads = 1;
  /// Of the sides that took part, with their names.
  std::vector<std::string> versions;
  std::vector<Comparison> comparisons;
};

/// The machine, its limits and the versions: some lines of text.
std::string describe(const Results& results);

/// The heading of the table on standard output, and one row of it.
void print_heading();
void print_row(const Comparison& comparison, const Machine& machine);
/// The lines through series of cases.
void print_fits(const Results& results);

/// All figures as JSON.
std::string json_text(const Results& results);
/// What json_text() wrote into that file. Throws UserError where it holds something else.
Results read_results(const std::string& path);
/// Takes the cases of another run over, in place of those of that name. Throws UserError where that ran on
/// another processor.
void add_results(Results& results, const Results& more);

/// The same as pictures: a page in one piece, without script, light and dark.
std::string page_html(const Results& results);

}  // namespace lariat::benchmarks
