#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <span>

#include "frontends/data/npy.hpp"
#include "frontends/data/option_table.hpp"
#include "frontends/data/source.hpp"
#include "frontends/data/zip.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

[[noreturn]] void no_archive(const std::string& file) {
  throw UserError(fmt::format("{}: is no archive that numpy.savez wrote; save it again with it", file));
}

// What an archive holds, by name and without ".npy".
using Members = std::map<std::string, std::string>;

std::string array_name(std::string_view member) {
  return std::string(member.ends_with(".npy") ? member.substr(0, member.size() - 4) : member);
}

// All, but not the one of the name `without`.
Members members_of(std::string_view bytes, const std::string& file, const std::string& without = {}) {
  Members members;
  const auto wanted = [&](std::string_view name) { return without.empty() || array_name(name) != without; };
  for (auto& [name, content] : read_zip(bytes, file, wanted))
    members.emplace(array_name(name), std::move(content));
  return members;
}

std::string member_name(const std::string& file, const std::string& member) {
  return fmt::format("{} ({})", file, shortened(member));
}

// The array of the first of these names that is there, or the only array of so many dimensions.
Tensor array_of(const Members& members, const std::string& file, std::initializer_list<const char*> names,
                size_t dimensions, const char* what) {
  for (const char* name : names)
    if (const auto found = members.find(name); found != members.end())
      return parse_npy(found->second, member_name(file, name));
  std::vector<std::string> known, fitting;
  std::optional<Tensor> array;
  for (const auto& [name, bytes] : members) {
    known.push_back(shortened(name));
    try {
      Tensor read = parse_npy(bytes, member_name(file, name));
      if (read.extents().size() != dimensions) continue;
      fitting.push_back(name);
      array = std::move(read);
    } catch (const UserError&) {
      continue;  // not of numbers
    }
  }
  if (fitting.size() == 1) return *array;
  throw UserError(
      fmt::format("{}: holds no array '{}' and {} of {} dimension{} that could be the {}; it holds {}", file,
                  *names.begin(), fitting.empty() ? "none" : "several", dimensions,
                  dimensions == 1 ? "" : "s", what, fmt::join(known, ", ")));
}

void check_finite(std::span<const double> values, const std::string& file, int64_t columns,
                  int64_t first_row = 0) {
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      throw UserError(fmt::format("{}: row {}, column {} is {}; every number must be finite", file,
                                  first_row + static_cast<int64_t>(i) / columns,
                                  static_cast<int64_t>(i) % columns, values[i]));
}

// What scipy.sparse.save_npz wrote.
void read_sparse(const Members& members, const std::string& file, LabelledRows& rows) {
  if (members.at("format").find("csr") == std::string::npos)
    throw UserError(fmt::format("{}: is a sparse matrix, but no CSR matrix; save matrix.tocsr()", file));
  const auto array = [&](const char* name) {
    const auto found = members.find(name);
    if (found == members.end())
      throw UserError(
          fmt::format("{}: has no array '{}'; save it again with scipy.sparse.save_npz", file, name));
    return parse_npy(found->second, member_name(file, name));
  };
  const Tensor values = array("data"), columns = array("indices"), starts = array("indptr"),
               shape = array("shape");
  const auto damaged = [&](bool wrong) {
    if (wrong)
      throw UserError(fmt::format("{}: contradicts itself; save it again with scipy.sparse.save_npz", file));
  };
  constexpr double most = std::numeric_limits<int32_t>::max();
  damaged(shape.count() != 2 || !(shape.at(0) >= 1 && shape.at(0) < most) ||
          !(shape.at(1) >= 1 && shape.at(1) <= most) || values.count() != columns.count() ||
          starts.count() != static_cast<int64_t>(shape.at(0)) + 1 || starts.at(0) != 0 ||
          starts.at(starts.count() - 1) != static_cast<double>(values.count()) ||
          static_cast<double>(values.count()) > most);
  check_finite(values.values<double>(), member_name(file, "data"), std::max<int64_t>(1, values.count()));
  rows.rows = static_cast<int64_t>(shape.at(0));
  rows.columns = static_cast<int64_t>(shape.at(1));
  rows.row_starts.push_back(0);
  std::vector<std::pair<int32_t, double>> row;
  for (int64_t i = 0; i < rows.rows; ++i) {
    damaged(!(starts.at(i + 1) >= starts.at(i)) || starts.at(i + 1) > static_cast<double>(values.count()));
    row.clear();
    for (auto at = static_cast<int64_t>(starts.at(i)); at < static_cast<int64_t>(starts.at(i + 1)); ++at) {
      damaged(!(columns.at(at) >= 0 && columns.at(at) < static_cast<double>(rows.columns)));
      row.emplace_back(static_cast<int32_t>(columns.at(at)), values.at(at));
    }
    std::sort(row.begin(), row.end());
    for (size_t k = 0; k < row.size(); ++k) {
      damaged(k > 0 && row[k].first == row[k - 1].first);
      rows.entry_columns.push_back(row[k].first);
      rows.values.push_back(row[k].second);
    }
    rows.row_starts.push_back(static_cast<int32_t>(rows.values.size()));
  }
}

}  // namespace

std::map<std::string, Tensor> read_npz(const std::string& file) {
  const std::string bytes = read_whole_file(file);
  if (!bytes.starts_with("PK")) no_archive(file);
  std::map<std::string, Tensor> arrays;
  for (const auto& [name, content] : members_of(bytes, file))
    arrays.emplace(name, parse_npy(content, member_name(file, name)));
  return arrays;
}

std::map<std::string, NpyRows> stored_npz(const std::string& file, const std::vector<std::string>& names) {
  std::map<std::string, NpyRows> arrays;
  const auto opened = std::make_shared<const RandomFile>(file);
  const MappedFile mapped(file);
  if (!mapped.bytes().starts_with("PK")) no_archive(file);
  for (const auto& [member, place] : zip_places(mapped.bytes(), file)) {
    const std::string name = array_name(member);
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    if (!place.plain)
      throw UserError(fmt::format("{}: is compressed, and cannot be streamed; save it with numpy.savez",
                                  member_name(file, name)));
    check_member(*opened, place);
    arrays.emplace(name, NpyRows(opened, place.at, place.size, member_name(file, name)));
  }
  return arrays;
}

std::vector<std::string> names_in_npz(std::string_view bytes, const std::string& file) {
  if (!bytes.starts_with("PK")) no_archive(file);
  std::vector<std::string> names;
  for (const auto& [member, place] : zip_places(bytes, file)) names.push_back(array_name(member));
  return names;
}

std::map<std::string, Tensor> parse_npz(std::string_view bytes, const std::string& file,
                                        const std::function<bool(const std::string& name)>& wanted) {
  if (!bytes.starts_with("PK")) no_archive(file);
  std::map<std::string, Tensor> arrays;
  for (const auto& [member, content] :
       read_zip(bytes, file, [&](std::string_view name) { return wanted(array_name(name)); }))
    arrays.emplace(array_name(member), parse_npy(content, member_name(file, array_name(member))));
  return arrays;
}

namespace {

// The labels of a matrix of so many rows: of the file `labels`, or, where there is none, of the archive that
// holds the matrix.
std::vector<double> labels_of(const std::string& matrix, const std::string& labels, const Members* beside,
                              int64_t rows) {
  const std::string& file = labels.empty() ? matrix : labels;
  const auto among = [&](const Members& members) {
    return array_of(members, file, {"y", "labels", "target"}, 1, "labels");
  };
  Tensor y;
  if (!labels.empty()) {
    const std::string content = read_whole_file(labels);
    const bool packed = !content.starts_with("\x93NUMPY") && is_numpy(content);
    y = packed ? among(members_of(content, labels)) : parse_npy(content, labels);
  } else if (beside != nullptr) {
    y = among(*beside);
  } else {
    throw UserError(
        fmt::format("{}: a matrix has no labels; name their file with --labels FILE.npy", matrix));
  }
  if (y.count() != rows || y.extents().empty() || y.extents()[0] != rows)
    throw UserError(fmt::format("{}: is {}, but {} has {} rows; there must be one label a row", file,
                                text(y.extents()), matrix, rows));
  for (int64_t i = 0; i < rows; ++i)
    if (!std::isfinite(y.at(i)))
      throw UserError(fmt::format("{}: the label of row {} is {}; it must be finite", file, i, y.at(i)));
  return {y.data<double>(), y.data<double>() + rows};
}

// A matrix that lies by rows in a file, as it is or in an archive, and the name that it has there.
struct MatrixInFile {
  NpyRows rows;
  std::string member;
};

// Nothing where there is none, for whatever reason: who reads all of the file finds which.
std::optional<MatrixInFile> matrix_in(const std::string& file) {
  try {
    const auto opened = std::make_shared<const RandomFile>(file);
    const MappedFile mapped(file);
    if (mapped.bytes().starts_with("\x93NUMPY")) {
      MatrixInFile matrix{NpyRows(opened, 0, opened->size(), file), {}};
      return matrix.rows.extents().size() == 2 ? std::optional(std::move(matrix)) : std::nullopt;
    }
    const std::map<std::string, ZipPlace> places = zip_places(mapped.bytes(), file);
    if (places.contains("indptr.npy")) return std::nullopt;
    for (const char* name : {"X", "x", "data"}) {
      const auto found = places.find(fmt::format("{}.npy", name));
      if (found == places.end()) continue;
      if (!found->second.plain) return std::nullopt;
      check_member(*opened, found->second);
      MatrixInFile matrix{NpyRows(opened, found->second.at, found->second.size, member_name(file, name)),
                          name};
      return matrix.rows.extents().size() == 2 ? std::optional(std::move(matrix)) : std::nullopt;
    }
  } catch (const UserError&) {
    return std::nullopt;
  }
  return std::nullopt;
}

// Those from `first` on, block by block.
void read_rows(const NpyRows& matrix, int64_t first, int64_t count, const std::string& file,
               LabelledRows& rows) {
  constexpr int64_t elements_at_once = int64_t{1} << 17;
  rows.values.resize(static_cast<size_t>(count * rows.columns));
  for (int64_t begin = 0, all = count * rows.columns; begin < all; begin += elements_at_once)
    matrix.read(first, rows.values.data() + begin, begin, std::min(elements_at_once, all - begin));
  check_finite(rows.values, file, rows.columns, first);
}

LabelledRows read_all(const std::string& matrix, const std::string& labels) {
  LabelledRows result;
  const std::string bytes = read_whole_file(matrix);
  const bool archive = !bytes.starts_with("\x93NUMPY") && is_numpy(bytes);
  const Members members = archive ? members_of(bytes, matrix) : Members{};
  if (members.contains("indptr") && members.contains("format")) {
    read_sparse(members, matrix, result);
  } else {
    const Tensor x =
        archive ? array_of(members, matrix, {"X", "x", "data"}, 2, "matrix") : parse_npy(bytes, matrix);
    if (x.extents().size() != 2 || x.count() == 0)
      throw UserError(
          fmt::format("{}: is {}; it must be a matrix [rows, columns]", matrix, text(x.extents())));
    result.rows = x.extents()[0], result.columns = x.extents()[1];
    check_finite(x.values<double>(), matrix, result.columns);
    result.values.assign(x.data<double>(), x.data<double>() + x.count());
  }
  result.labels =
      labels_of(matrix, labels, archive && !members.contains("indptr") ? &members : nullptr, result.rows);
  return result;
}

}  // namespace

LabelledRows read_npy(const std::string& matrix, const std::string& labels, RowShare* share) {
  const auto completed = [&](LabelledRows rows, int64_t first) {
    for (int64_t i = 0; i < rows.rows; ++i) rows.places.push_back(first + i);
    rows.file = labels.empty() ? matrix : labels;
    rows.unit = "row";
    return rows;
  };
  if (share == nullptr) return completed(read_all(matrix, labels), 0);
  share->hash = hash_of_file(matrix);
  if (!labels.empty()) share->hash ^= std::rotl(hash_of_file(labels), 1);
  const std::optional<MatrixInFile> lying = matrix_in(matrix);
  if (!lying || lying->rows.width() == 0) {
    const LabelledRows all = completed(read_all(matrix, labels), 0);
    share->rows = all.rows;
    const auto [first, count] = share->of(all.rows);
    return rows_between(all, first, count);
  }
  LabelledRows rows;
  share->rows = lying->rows.extents()[0];
  rows.columns = lying->rows.extents()[1];
  Members beside;
  const bool archive = !lying->member.empty();
  if (archive && labels.empty()) beside = members_of(MappedFile(matrix).bytes(), matrix, lying->member);
  const std::vector<double> all_labels = labels_of(matrix, labels, archive ? &beside : nullptr, share->rows);
  const auto [first, count] = share->of(share->rows);
  rows.rows = count;
  read_rows(lying->rows, first, count, matrix, rows);
  rows.labels.assign(all_labels.begin() + first, all_labels.begin() + first + count);
  return completed(std::move(rows), first);
}

}  // namespace lariat::data
