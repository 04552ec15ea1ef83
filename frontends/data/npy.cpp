#include "frontends/data/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "frontends/data/option_table.hpp"
#include "graph/base/error.hpp"

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
    } else if (*at != '(' && *at != ',' && *at != ' ' && *at != 'L') {
      damaged(file, fmt::format("its shape '{}' is none", shortened(inside)));
    }
    at = error == std::errc{} ? rest : at + 1;
  }
  return extents;
}

// IEEE 754 binary16.
double half(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 0   ? std::ldexp(fraction, -24)
                      : exponent < 31 ? std::ldexp(1024 + fraction, exponent - 25)
                      : fraction == 0 ? std::numeric_limits<double>::infinity()
                                      : std::numeric_limits<double>::quiet_NaN();
  return (bits & 0x8000) != 0 ? -size : size;
}

template <class T, double (*to_double)(T) = nullptr>
void convert(const char* bytes, int64_t count, bool swapped, double* to) {
  for (int64_t i = 0; i < count; ++i) {
    std::array<char, sizeof(T)> raw;
    std::memcpy(raw.data(), bytes + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    if (swapped) std::reverse(raw.begin(), raw.end());
    const T value = std::bit_cast<T>(raw);
    if constexpr (to_double != nullptr) {
      to[i] = to_double(value);
    } else {
      to[i] = static_cast<double>(value);
    }
  }
}

}  // namespace

struct NpyElement {
  std::string_view code;  // kind and bytes, behind the byte order
  void (*convert)(const char*, int64_t, bool, double*);
  size_t size() const { return static_cast<size_t>(code[1] - '0'); }
};

namespace {

constexpr NpyElement element_types[] = {
    {"f2", convert<uint16_t, half>}, {"f4", convert<float>},    {"f8", convert<double>},
    {"i1", convert<int8_t>},         {"i2", convert<int16_t>},  {"i4", convert<int32_t>},
    {"i8", convert<int64_t>},        {"u1", convert<uint8_t>},  {"u2", convert<uint16_t>},
    {"u4", convert<uint32_t>},       {"u8", convert<uint64_t>}, {"b1", convert<uint8_t>}};

// The same elements by rows, from a tensor whose first index runs fastest.
Tensor by_rows(const Tensor& columns) {
  const Extents& extents = columns.extents();
  if (extents.size() < 2) return columns;
  Tensor result(f64, extents);
  const double* const from = columns.data<double>();
  Extents index(extents.size(), 0);
  std::vector<int64_t> strides(extents.size(), 1);
  for (size_t axis = 1; axis < extents.size(); ++axis) strides[axis] = strides[axis - 1] * extents[axis - 1];
  int64_t place = 0;
  for (double& element : result.values<double>()) {
    element = from[place];
    for (size_t axis = extents.size(); axis-- > 0;) {
      place += strides[axis];
      if (++index[axis] < extents[axis]) break;
      place -= strides[axis] * extents[axis];
      index[axis] = 0;
    }
  }
  return result;
}

struct NpyLayout {
  const NpyElement* type = nullptr;
  bool swapped = false, by_columns = false;
  Extents extents;
  size_t start = 0;  // of the elements
};

// How elements of a type that is none of numbers, "'<U5'", become some.
std::string as_numbers(std::string_view type) {
  switch (type.starts_with('[') ? 'V' : type.size() > 2 ? type[2] : '?') {
    case 'U':
    case 'S':
    case 'T':
      return "number texts first, as classes are from 0: names, y = numpy.unique(labels, "
             "return_inverse=True)";
    case 'M':
    case 'm':
      return "save times as numbers, as (x - x.min()) / numpy.timedelta64(1, 'D')";
    case 'c':
      return "save its parts as numbers, as numpy.stack([x.real, x.imag], -1)";
    case 'V':
      return "save each of its fields as an array of its own";
    default:
      return "save its numbers as x.astype('f8')";
  }
}

// What a file of `size` bytes says of its elements, of which `bytes` holds the header at least.
NpyLayout layout_of(std::string_view bytes, uint64_t size, const std::string& file) {
  // Magic, version, the header's length in two bytes (version 1) or four, the header, the elements.
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 12) damaged(file, "is no .npy file");
  if (bytes[6] < 1 || bytes[6] > 3)
    damaged(file, fmt::format("has format version {}, but 1 to 3 are known", static_cast<int>(bytes[6])));
  const size_t wide = bytes[6] > 1 ? 4 : 2;
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, wide);
  NpyLayout layout;
  layout.start = 8 + wide + length;
  if (layout.start > bytes.size()) damaged(file, "it ends within its header");
  const std::string_view header(bytes.data() + 8 + wide, length);
  const std::string_view type = entry(file, header, "descr");
  const std::string_view order = entry(file, header, "fortran_order");
  layout.by_columns = order.starts_with("True");
  if (!layout.by_columns && !order.starts_with("False"))
    damaged(file, fmt::format("its fortran_order is {}, which is neither True nor False",
                              shortened(order.substr(0, order.find_first_of(",}")))));
  layout.extents = shape_of(file, entry(file, header, "shape"));
  // "'<f8'": byte order, kind, bytes.
  const std::string_view code =
      type.size() >= 5 && type[0] == '\'' && type[4] == '\'' ? type.substr(2, 2) : "";
  for (const NpyElement& known : element_types) {
    if (known.code != code || (type[1] == '|' ? known.size() != 1 : type[1] != '<' && type[1] != '>'))
      continue;
    int64_t count = 0;
    try {
      count = element_count(layout.extents);
    } catch (const UserError& error) {
      damaged(file, error.what());
    }
    if ((size - layout.start) / known.size() != static_cast<size_t>(count) ||
        (size - layout.start) % known.size() != 0)
      damaged(file, fmt::format("its header promises {} elements of {} bytes, and {} bytes follow", count,
                                known.size(), size - layout.start));
    layout.type = &known;
    layout.swapped = type[1] == '>';
    return layout;
  }
  throw UserError(fmt::format("{}: it holds elements of type {}, which are no numbers that can be read; {}",
                              file, shortened(type.substr(0, type.find(','))), as_numbers(type)));
}

}  // namespace

bool is_numpy(std::string_view bytes) {
  return bytes.starts_with("\x93NUMPY") || bytes.starts_with("PK\3\4");
}

Tensor read_npy(const std::string& file) { return parse_npy(read_whole_file(file), file); }

Tensor parse_npy(std::string_view bytes, const std::string& file) {
  const NpyLayout layout = layout_of(bytes, bytes.size(), file);
  Tensor result(f64, layout.extents);
  layout.type->convert(bytes.data() + layout.start, result.count(), layout.swapped, result.data<double>());
  return layout.by_columns ? by_rows(result) : result;
}

NpyRows::NpyRows(std::shared_ptr<const RandomFile> file, uint64_t at, uint64_t size, const std::string& name)
    : file_(std::move(file)), begin_(at) {
  constexpr uint64_t most_header = 1 << 16;
  std::string head(std::min(size, most_header), '\0');
  file_->read(at, head.data(), head.size());
  const NpyLayout layout = layout_of(head, size, name);
  if (layout.by_columns && layout.extents.size() > 1)
    throw UserError(
        fmt::format("{}: lies by columns, and cannot be streamed by rows; save "
                    "numpy.ascontiguousarray(…) of it",
                    name));
  begin_ += layout.start;
  extents_ = layout.extents;
  swapped_ = layout.swapped;
  type_ = layout.type;
  width_ = extents_.empty() || extents_[0] == 0 ? 0 : element_count(extents_) / extents_[0];
}

void NpyRows::read(int64_t row, double* to, int64_t first, int64_t count) const {
  std::string bytes(static_cast<size_t>(count) * type_->size(), '\0');
  file_->read(begin_ + static_cast<uint64_t>(row * width_ + first) * type_->size(), bytes.data(),
              bytes.size());
  type_->convert(bytes.data(), count, swapped_, to);
}

void NpyRows::read(int64_t row, float* to, int64_t first, int64_t count) const {
  std::vector<double> values(static_cast<size_t>(count));
  read(row, values.data(), first, count);
  std::transform(values.begin(), values.end(), to, [](double value) { return static_cast<float>(value); });
}

}  // namespace lariat::data
