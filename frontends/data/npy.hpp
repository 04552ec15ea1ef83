#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/data/labelled_rows.hpp"
#include "frontends/data/source.hpp"
#include "graph/base/tensor.hpp"

namespace lariat::data {

/// Reads an array of numbers that numpy.save wrote, versions 1 to 3, row-major or not, in either byte order,
/// as doubles: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Whole numbers of 64
/// bits are rounded where no double holds them. Throws UserError naming the file where it is damaged or holds
/// anything else.
Tensor read_npy(const std::string& file);
/// The same of what `bytes` hold; `file` stands for it in messages.
Tensor parse_npy(std::string_view bytes, const std::string& file);

/// The arrays of numbers in a file of numpy.savez, by name. Throws UserError naming the file.
std::map<std::string, Tensor> read_npz(const std::string& file);

/// Of what `bytes` hold, those of the names that `wanted` says yes to; and all names.
std::map<std::string, Tensor> parse_npz(std::string_view bytes, const std::string& file,
                                        const std::function<bool(const std::string& name)>& wanted);
std::vector<std::string> names_in_npz(std::string_view bytes, const std::string& file);

struct NpyElement;

/// An array of numbers in a file, of which rows are read one by one, by many threads at once.
class NpyRows {
 public:
  /// The `size` bytes of a file of numpy.save that begin at `at`; `name` stands for it in messages. Throws
  /// UserError where it is damaged, or lies by columns.
  NpyRows(std::shared_ptr<const RandomFile> file, uint64_t at, uint64_t size, const std::string& name);
  const Extents& extents() const { return extents_; }
  /// Of each row.
  int64_t width() const { return width_; }
  /// `count` elements of a row, from its element `first`.
  void read(int64_t row, float* to, int64_t first, int64_t count) const;
  /// The same; elements behind those of a row are the next one's.
  void read(int64_t row, double* to, int64_t first, int64_t count) const;

 private:
  std::shared_ptr<const RandomFile> file_;
  uint64_t begin_ = 0;
  Extents extents_;
  int64_t width_ = 0;
  bool swapped_ = false;
  const NpyElement* type_ = nullptr;
};
/// The arrays of these names in a file of numpy.savez. Throws UserError where one is compressed.
std::map<std::string, NpyRows> stored_npz(const std::string& file, const std::vector<std::string>& names);

/// A matrix [rows, columns] and its labels [rows] or [rows, 1], each from a file of numpy.save or
/// numpy.savez. In the latter the matrix is named X or data, or is the only one, or is what
/// scipy.sparse.save_npz writes of a CSR matrix; labels are named y, labels or target, or are the only array
/// of one dimension. Without `labels` they are looked for beside the matrix. Throws UserError where their
/// shapes do not fit or a number is not finite. With a `share`, of a matrix that lies in its file by rows and
/// is not packed only those that are kept are read as numbers; of others all are, and those are kept.
LabelledRows read_npy(const std::string& matrix, const std::string& labels, RowShare* share = nullptr);

/// Whether `bytes` begin as such a file does.
bool is_numpy(std::string_view bytes);

}  // namespace lariat::data
