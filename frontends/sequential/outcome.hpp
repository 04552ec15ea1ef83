#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lariat {

/// Numbers by name, in an order.
using MetricValues = std::vector<std::pair<std::string, double>>;

/// The symbols of an example, as indices from 1: what they are, and what a model says.
struct SymbolSequences {
  std::vector<int32_t> truth, said;
};

/// What a model gave for a whole data set and what is true: a row for each example, or for each frame where
/// targets are by frame. Metrics are exact since they look at all rows at once.
struct Outcome {
  int64_t rows = 0, width = 0;
  std::vector<float> outputs = {};      ///< [rows, width], as the last layer gives them: logits, or numbers
  std::vector<float> truth = {};        ///< [rows, width]: 0 and 1, shares, or numbers
  std::vector<double> weights = {};     ///< [rows]
  std::vector<std::string> names = {};  ///< of the columns
  /// Of one column that tells two classes apart: what it is called where that is not so, and where it is.
  std::vector<std::string> answers = {};
  /// Whether exactly one column is true in each row: classes.
  bool exclusive = false;
  /// Of a task of sequences, for each row; there are no outputs and no truth then, and the first of the names
  /// is the blank's.
  std::vector<SymbolSequences> sequences = {};

  float output(int64_t row, int64_t column) const {
    return outputs[static_cast<size_t>(row * width + column)];
  }
  float target(int64_t row, int64_t column) const { return truth[static_cast<size_t>(row * width + column)]; }
};

/// The column of the largest of `width` values: the first of equals, or of NaN where there is one, as argmax.
int64_t place_of_largest(const float* values, int64_t width);

/// Column by column, whether the model says so and whether it is so. Of classes the one that is most likely
/// is said; of labels those whose logit is above 0, that is a probability above ½.
struct Decisions {
  explicit Decisions(const Outcome& outcome);

  bool said(int64_t row, int64_t column) const {
    return said_[static_cast<size_t>(row * width_ + column)] != 0;
  }
  bool is(int64_t row, int64_t column) const { return is_[static_cast<size_t>(row * width_ + column)] != 0; }

 private:
  int64_t width_;
  std::vector<unsigned char> said_, is_;
};

/// One of the columns of an outcome: the weights of rows that are said and true, said only, true only.
struct Counts {
  double right = 0, false_alarms = 0, missed = 0;

  double truly() const { return right + missed; }
};
std::vector<Counts> counts_by_column(const Outcome& outcome);

/// How values of columns become one.
enum class Average { macro, micro, weighted, none };
inline const std::vector<std::string> average_names{"macro", "micro", "weighted", "none"};

/// A score of each column as `average` has it: the mean over those that occur or are said, the score of all
/// columns' counts together, the mean weighted by how often columns are true, or every one, as "name/column".
/// Of a single column it is the score itself.
MetricValues averaged(const std::string& name, const Outcome& outcome, Average average,
                      double (*score)(const Counts&));
/// The same of scores that are known, where NaN is none; micro is not among the averages.
MetricValues averaged(const std::string& name, const Outcome& outcome, Average average,
                      const std::vector<double>& scores);

/// Σ weight·value/Σ weight over rows and columns.
template <class Function>
double weighted_mean(const Outcome& outcome, int64_t columns, Function&& value) {
  double sum = 0, all = 0;
  for (int64_t row = 0; row < outcome.rows; ++row) {
    const double weight = outcome.weights[static_cast<size_t>(row)];
    all += weight * static_cast<double>(columns);
    for (int64_t column = 0; column < columns; ++column) sum += weight * value(row, column);
  }
  return sum / all;
}

}  // namespace lariat
