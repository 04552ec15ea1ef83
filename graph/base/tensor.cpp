#include "graph/base/tensor.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ostream>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

constexpr size_t cache_line = 64, large_page = size_t{2} << 20;

size_t rounded_up(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

[[noreturn]] void refuse_bytes(size_t bytes) {
  throw OutOfMemory(
      fmt::format("cannot allocate {} bytes; use a smaller batch or smaller dimensions", bytes));
}

// A mapping of its own goes back to the system with its owner, where the allocator might keep it. Large pages
// where the system has them: rows of a matrix may each lie in another page of the usual size.
std::shared_ptr<std::byte> map_bytes(size_t bytes) {
  const size_t size = rounded_up(bytes, large_page), reserved = size + large_page;
  void* mapped = reserved < bytes
                     ? MAP_FAILED
                     : mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) refuse_bytes(bytes);
  auto* const begin = static_cast<std::byte*>(mapped);
  auto* const aligned = begin + (large_page - reinterpret_cast<uintptr_t>(begin) % large_page) % large_page;
  if (aligned > begin) munmap(begin, static_cast<size_t>(aligned - begin));
  munmap(aligned + size, static_cast<size_t>(begin + reserved - (aligned + size)));
#ifdef MADV_HUGEPAGE
  // Advice: where it is not taken, everything works as without.
  madvise(aligned, size, MADV_HUGEPAGE);
#endif
  return {aligned, [size](std::byte* owned) { munmap(owned, size); }};
}

}  // namespace

std::shared_ptr<std::byte> allocate_bytes(size_t bytes) {
  if (bytes >= 2 * large_page) return map_bytes(bytes);
  auto* memory = static_cast<std::byte*>(
      std::aligned_alloc(cache_line, rounded_up(std::max<size_t>(bytes, 1), cache_line)));
  if (!memory) refuse_bytes(bytes);
  return {memory, [](std::byte* owned) { std::free(owned); }};
}

Tensor::Tensor(DType dtype, Extents extents) {
  const int64_t count = element_count(extents);
  if (count > INT64_MAX / 8)
    throw UserError(fmt::format("a tensor of shape {} cannot be allocated", text(extents)));
  view_ = {nullptr, dtype, std::move(extents)};
  memory_ = allocate_bytes(view_.bytes());
  view_.data = memory_.get();
  std::memset(view_.data, 0, view_.bytes());
}

Tensor Tensor::on(DType dtype, Extents extents, void* data, std::shared_ptr<void> owner) {
  if (!data && element_count(extents) > 0)
    throw UserError(
        fmt::format("a tensor of shape {} was asked for on elements at a null pointer; give it {} "
                    "elements of {}, or build Tensor({}, {})",
                    text(extents), element_count(extents), name_of(dtype), name_of(dtype), text(extents)));
  static const Tensor scalar;  // a copy allocates nothing
  Tensor result = scalar;
  result.view_ = {data, dtype, std::move(extents)};
  result.memory_ = {std::move(owner), static_cast<std::byte*>(data)};
  return result;
}

void Tensor::check_type(DType asked) const {
  if (asked != dtype())
    throw UserError(fmt::format("a tensor of {} is read as {}; use cast({}) or at(), which gives doubles",
                                name_of(dtype()), name_of(asked), name_of(asked)));
}

void Tensor::check_count(size_t given) const {
  if (given != static_cast<size_t>(count()))
    throw UserError(
        fmt::format("a tensor of shape {} takes {} values, {} given", text(extents()), count(), given));
}

Tensor Tensor::filled(DType dtype, Extents extents, double value) {
  if (dtype == i32 && !(value == std::trunc(value) && value >= INT32_MIN && value <= INT32_MAX))
    throw UserError(
        fmt::format("the number {} does not fit i32; use a whole number from {} to {}, or another dtype",
                    value, INT32_MIN, INT32_MAX));
  if (dtype == f32 && std::isfinite(value) && std::isinf(static_cast<float>(value)))
    throw UserError(
        fmt::format("the number {} does not fit f32; use f64, or infinity where it is meant", value));
  Tensor result(dtype, std::move(extents));
  with_type(dtype, [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(result.data<T>(), result.count(), static_cast<T>(value));
  });
  return result;
}

Tensor Tensor::scalar(double value, DType dtype) { return filled(dtype, {}, value); }

double Tensor::at(int64_t index) const {
  if (index < 0 || index >= count())
    throw UserError(fmt::format("element {} of a tensor of shape {} was asked for; it has {}", index,
                                text(extents()), count()));
  return with_type(dtype(),
                   [&](auto zero) { return static_cast<double>(view_.as<decltype(zero)>()[index]); });
}

double Tensor::item() const {
  if (count() != 1)
    throw UserError(fmt::format("a tensor of shape {} is not a single value", text(extents())));
  return at(0);
}

Tensor Tensor::clone() const {
  Tensor copy(dtype(), extents());
  std::memcpy(copy.view_.data, view_.data, bytes());
  return copy;
}

Tensor Tensor::cast(DType dtype) const {
  Tensor result(dtype, extents());
  with_type(this->dtype(), [&](auto from) {
    with_type(dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      std::transform(view_.as<From>(), view_.as<From>() + count(), result.view_.as<To>(),
                     [](From value) { return converted<To>(value); });
    });
  });
  return result;
}

namespace {

// The elements of one axis, `shown` of them where it is longer. One axis at a time, so as deep as the rank.
void append_elements(std::string& out, const Tensor& tensor, size_t axis, int64_t offset, int64_t shown) {
  if (axis == tensor.extents().size()) {
    with_type(tensor.dtype(),
              [&](auto zero) { out += fmt::format("{}", tensor.view().as<decltype(zero)>()[offset]); });
    return;
  }
  const int64_t extent = tensor.extents()[axis];
  const int64_t step = element_count(
      Extents(tensor.extents().begin() + static_cast<std::ptrdiff_t>(axis) + 1, tensor.extents().end()));
  out += '{';
  for (int64_t i = 0; i < extent; ++i) {
    if (i > 0) out += ", ";
    if (extent > shown && i == std::max<int64_t>(shown - 1, 1)) {
      out += "...";
      if (shown == 1) break;
      out += ", ";
      i = extent - 1;
    }
    append_elements(out, tensor, axis + 1, offset + i * step, shown);
  }
  out += '}';
}

}  // namespace

std::string text(const Tensor& tensor) {
  constexpr double longest = 40;
  const double rank = std::max<double>(1, static_cast<double>(tensor.extents().size()));
  std::string result = text(tensor.type()) + " ";
  append_elements(result, tensor, 0, 0,
                  std::min<int64_t>(6, static_cast<int64_t>(std::pow(longest, 1 / rank))));
  return result;
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) { return out << text(tensor); }

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.extents() == b.extents() &&
         std::memcmp(a.view().data, b.view().data, a.bytes()) == 0;
}

}  // namespace lariat
