#pragma once

#include <optional>

#include "frontends/data/dataset.hpp"
#include "graph/base/tensor.hpp"

namespace lariat::data {

/// Examples from arrays: features [rows, …], flattened, or sequences where they are [rows, time, dimensions].
/// Targets [rows] of whole numbers become labels where `classes`, and the classes are "0", "1", … to the
/// largest; so do, for each frame, those of [rows, time] that are not one-hot, or of [rows, time, 1]. Else
/// they are numbers [rows] or [rows, width], or [rows, time, width] by frame. `name` stands for the arrays in
/// messages. Throws UserError where shapes do not fit together.
Dataset dataset_of_arrays(const Tensor& features, const std::optional<Tensor>& targets, bool classes,
                          const std::string& name = "the arrays");

/// The same of a file of numpy.savez, or a folder of X.npy and y.npy, that holds X and y, and perhaps
/// `weights` [rows], and where X are sequences `lengths` [rows], of how many frames each is. In place of X
/// there may be arrays of other names, which become the dataset's columns: all [rows, …], or sequences of as
/// many frames, and beside them [rows, width], which holds for all frames of its row. In place of y there may
/// be y_NAME, the target NAME, or NAME_0, NAME_1, … where it is several numbers; those among `class_targets`
/// are classes, counted from 0. Where they are streamed, what is not y or weights is read when it is needed,
/// and must not be compressed.
Dataset read_arrays(const std::string& file, bool classes, const std::vector<std::string>& class_targets = {},
                    bool streamed = false);

/// The same where y [rows, most] holds sequences of symbols, whole numbers from 1, padded with 0 at the end;
/// the dataset's classes are "1", "2", … to the largest.
Dataset read_sequences(const std::string& file, bool streamed = false);
/// And of arrays [rows, time, dimensions], of which each row has `lengths` [rows] frames; without these all.
Dataset dataset_of_sequences(const Tensor& features, const std::optional<Tensor>& lengths,
                             const Tensor& symbols, const std::string& name = "the arrays");

/// Gives each example of a dataset of sequences its row of such `symbols`, and the dataset its classes.
void add_symbols(Dataset& dataset, const Tensor& symbols, const std::string& name);

/// Whether y of such a file is a number for each row, from 0 to 1, and not always one of the two.
bool has_shares(const std::string& file);

/// Examples to predict from what numpy.save or numpy.savez wrote: an array, or such an archive, of which what
/// is to be learned is not looked at.
Dataset unlabelled_arrays(std::string bytes, const std::string& name);

/// The columns side by side. Throws UserError where they are not of as many rows and frames.
Tensor joined_columns(const std::vector<std::pair<std::string, Tensor>>& arrays, std::vector<Column>& columns,
                      const std::string& name);

}  // namespace lariat::data
