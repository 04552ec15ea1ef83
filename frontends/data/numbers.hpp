#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lariat::data {

/// The numbers of a file: an array of numpy.save, or text of one number a line. Throws UserError naming the
/// file, and the line, for what is no finite number.
std::vector<double> read_numbers(const std::string& file);

/// Mean and standard deviation in one pass, with weights: West, Updating mean and variance estimates (1979).
class RunningMoments {
 public:
  void add(double value, double weight = 1);
  double mean() const { return mean_; }
  /// 0 where nothing was added.
  double deviation() const;

 private:
  double weights_ = 0, mean_ = 0, squares_ = 0;
};

/// Looks at numbers to learn as their file has them, and says where the floats that they become no longer
/// tell them apart.
class LostDigits {
 public:
  /// The number of a column; columns may be looked at in any order.
  void look(size_t column, double value);
  /// A line for each column whose numbers lie so close together, for their size, that rounding them to floats
  /// changes what is learned, or whose whole numbers floats do not keep.
  std::vector<std::string> notices(const std::vector<std::string>& names) const;

 private:
  struct Column {
    RunningMoments moments;
    double largest = 0;
    bool rounded = false;
    /// The first that is another whole number as a float.
    std::optional<double> lost = {};
  };
  std::vector<Column> columns_;
};

}  // namespace lariat::data
