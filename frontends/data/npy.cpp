#include "frontends/data/npy.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include "graph/error.hpp"

namespace lariat::data {

namespace {

[[noreturn]] void damaged(const std::string& file, const std::string& why) {
  throw UserError(fmt::format("{}: {}; save it again with numpy.save", file, why));
}

// The text after "'key':" in the header, a Python dictionary of three entries.
std::string_view entry(const std::string& file, std::string_view header, const char* key) {
  const size_t at = header.find(fmt::format("'{}':", key));
  if (at == header.npos) damaged(file, fmt::format("its header has no entry '{}'", key));
  header.remove_prefix(at + std::strlen(key) + 3);
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  return header;
}

Extents shape_of(const std::string& file, std::string_view text) {
  Extents extents;
  const std::string_view inside = text.substr(0, text.find(')'));
  for (const char *at = inside.data(), *end = at + inside.size(); at < end;) {
    int64_t extent = 0;
    const auto [rest, error] = std::from_chars(at, end, extent);
    if (error == std::errc{}) {
      extents.push_back(extent);
    } else if (*at != '(' && *at != ',' && *at != ' ') {
      damaged(file, fmt::format("its shape '{}' is none", inside));
    }
    at = error == std::errc{} ? rest : at + 1;
  }
  return extents;
}

template <class T>
void convert(const char* bytes, int64_t count, double* to) {
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, bytes + i * static_cast<int64_t>(sizeof value), sizeof value);
    to[i] = static_cast<double>(value);
  }
}

struct ElementType {
  std::string_view code;
  size_t size;
  void (*convert)(const char*, int64_t, double*);
};
constexpr ElementType element_types[] = {{"'<f8'", 8, convert<double>},  {"'<f4'", 4, convert<float>},
                                         {"'<i8'", 8, convert<int64_t>}, {"'<i4'", 4, convert<int32_t>},
                                         {"'<i2'", 2, convert<int16_t>}, {"'|i1'", 1, convert<int8_t>},
                                         {"'|u1'", 1, convert<uint8_t>}, {"'|b1'", 1, convert<uint8_t>}};

}  // namespace

Tensor read_npy(const std::string& file) {
  const std::string bytes = read_whole_file(file);
  // Magic, version, the header's length in two bytes (version 1) or four, the header, the elements.
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 12) damaged(file, "is no .npy file");
  const size_t wide = bytes[6] > 1 ? 4 : 2;
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, wide);
  const size_t start = 8 + wide + length;
  if (start > bytes.size()) damaged(file, "it ends within its header");
  const std::string_view header(bytes.data() + 8 + wide, length);
  const std::string_view type = entry(file, header, "descr");
  const bool by_columns = entry(file, header, "fortran_order").starts_with("True");
  const Extents extents = shape_of(file, entry(file, header, "shape"));
  for (const ElementType& known : element_types) {
    if (!type.starts_with(known.code)) continue;
    const int64_t count = element_count(extents);
    if (bytes.size() - start != static_cast<size_t>(count) * known.size)
      damaged(file, fmt::format("its header promises {} elements of {} bytes, and {} bytes follow", count,
                                known.size, bytes.size() - start));
    Tensor result(f64, extents);
    known.convert(bytes.data() + start, count, result.data<double>());
    if (!by_columns || extents.size() < 2) return result;
    if (extents.size() > 2) damaged(file, "it is no matrix, and column by column");
    Tensor rows(f64, extents);
    for (int64_t i = 0; i < extents[0]; ++i)
      for (int64_t j = 0; j < extents[1]; ++j)
        rows.data<double>()[i * extents[1] + j] = result.data<double>()[j * extents[0] + i];
    return rows;
  }
  damaged(file, fmt::format("it holds elements of type {}, which are no numbers in this machine's order",
                            type.substr(0, type.find(','))));
}

LabelledRows read_npy(const std::string& matrix, const std::string& labels) {
  const Tensor x = read_npy(matrix), y = read_npy(labels);
  if (x.extents().size() != 2 || x.count() == 0)
    throw UserError(fmt::format("{}: is {}; it must be a matrix [rows, columns]", matrix, text(x.extents())));
  const int64_t rows = x.extents()[0], columns = x.extents()[1];
  if (y.count() != rows || y.extents().empty() || y.extents()[0] != rows)
    throw UserError(fmt::format("{}: is {}, but {} has {} rows; there must be one label a row", labels,
                                text(y.extents()), matrix, rows));
  for (int64_t i = 0; i < x.count(); ++i)
    if (!std::isfinite(x.at(i)))
      throw UserError(fmt::format("{}: row {}, column {} is {}; every number must be finite", matrix,
                                  i / columns, i % columns, x.at(i)));
  for (int64_t i = 0; i < rows; ++i)
    if (!std::isfinite(y.at(i)))
      throw UserError(fmt::format("{}: the label of row {} is {}; it must be finite", labels, i, y.at(i)));
  LabelledRows result;
  result.rows = rows, result.columns = columns;
  result.values.assign(x.data<double>(), x.data<double>() + x.count());
  result.labels.assign(y.data<double>(), y.data<double>() + rows);
  for (int64_t i = 0; i < rows; ++i) result.places.push_back(i);
  result.file = labels;
  result.unit = "row";
  return result;
}

}  // namespace lariat::data
