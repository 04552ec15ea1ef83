#pragma once

#include "frontends/data/labelled_rows.hpp"

namespace lariat::data {

/// Reads LIBSVM text: one row a line, "label index:value index:value …", with indices from 1, or 0 where
/// `zero_based`, ascending, and "# comment" to the end of a line (Chang and Lin 2011, LIBSVM). The number of
/// columns is the largest index, or one more. A byte-order mark is passed over. Throws UserError with file,
/// line and the token where a line is malformed, a number is not finite, or there are no rows. With a `share`
/// only the rows that are kept are read as numbers, and the columns are those of these.
LabelledRows read_libsvm(const std::string& file, bool zero_based = false, RowShare* share = nullptr);

}  // namespace lariat::data
