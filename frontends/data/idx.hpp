#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "frontends/data/dataset.hpp"

namespace lariat::data {

/// An array of bytes from an IDX file.
struct IdxArray {
  std::vector<int64_t> extents;
  std::vector<uint8_t> bytes;  ///< row-major
};

/// Reads an IDX file of unsigned bytes, plain or gzip. Throws UserError naming the file where it is missing,
/// is no IDX file, holds other elements, or is shorter or longer than its header says.
IdxArray read_idx(const std::string& file);

/// MNIST and its relatives: train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k-…, also spelled
/// train-images.idx3-ubyte, each plain or with .gz, in one folder. Pixels are scaled to [0, 1]; the classes
/// are "0", "1", … to the largest label of the training set. The last `validation_count` training images form
/// the validation split and are then left out of the training split. Where they are streamed, pixels are read
/// when they are needed; of packed images, from a temporary file.
Dataset load_idx(const std::string& folder, Split split, int64_t validation_count = 0, bool streamed = false);

/// The images of such a file, of which these are the bytes, as examples to predict. Throws UserError naming
/// the file where it holds none.
Dataset unlabelled_idx(std::string bytes, const std::string& file);

}  // namespace lariat::data
