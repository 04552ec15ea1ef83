#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace lariat {

class Ranks;

/// How the rows of a problem are shared by ranks. They are cut into parts, in order, and what is summed over
/// rows is summed within each part, then over the parts in the order of one tree: the same bits for any
/// number of ranks, each of which has some of the parts. By default all rows are one part, of this process.
class RowParts {
 public:
  RowParts() = default;
  /// This rank's share of `rows` rows in `parts` parts; without ranks all of them. Throws UserError where
  /// there are more parts than rows, or more ranks than parts.
  RowParts(std::shared_ptr<Ranks> ranks, int64_t parts, int64_t rows);

  bool is_one() const { return state_ == nullptr; }
  /// Throws UserError where all rows are one part but processes were started together, each of which would
  /// solve for all by itself.
  void check_known() const;
  /// The first of this rank's rows, and how many it has.
  int64_t first_row() const;
  int64_t own_rows() const;
  /// Those of all ranks; `here` where all are one part.
  int64_t all_rows(int64_t here) const;

  /// Fills what a part gives, of the rows from `begin` to `end` of this rank's.
  using OfPart = std::function<void(int64_t begin, int64_t end, std::span<double> to)>;
  /// Σ over all parts of `width` numbers; `here` rows are this rank's.
  std::vector<double> sum(int64_t here, size_t width, const OfPart& of_part) const;
  /// [parts, width]: those of every part.
  std::vector<double> gather(int64_t here, size_t width, const OfPart& of_part) const;
  /// Σ over all rows.
  double sum(int64_t here, const std::function<double(int64_t row)>& of_row) const;
  /// Over all ranks.
  double largest(double own) const;
  bool all(bool own) const { return largest(own ? 0 : 1) == 0; }

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lariat
