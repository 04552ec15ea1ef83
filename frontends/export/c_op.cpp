#include "frontends/export/c_op.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "graph/base/error.hpp"
#include "ops/kernels/axes.hpp"

namespace lariat::to_c {

const std::map<std::string, COp>& all_c_ops() {
  static const std::map<std::string, COp> all = [] {
    std::map<std::string, COp> result;
    for (const auto& family : {c_ops::elementwise(), c_ops::product(), c_ops::window(), c_ops::recurrent(),
                               c_ops::shape(), c_ops::reduction(), c_ops::sequence()})
      for (const COp& op : family) require(result.emplace(op.op, op).second, "an op is written in C once");
    return result;
  }();
  return all;
}

const COp* find_c_op(const std::string& name) {
  const auto found = all_c_ops().find(name);
  return found == all_c_ops().end() ? nullptr : &found->second;
}

TimeUse along(const Node& node, const Graph& graph, int64_t axis) {
  const Shape& shape = graph.type(node.inputs[0]).shape;
  return {checked_axis(axis, shape) >= 2 ? TimeUse::frame : TimeUse::whole};
}

int64_t beside_axis(const Node& node, const Graph& graph, const std::vector<bool>&, int64_t axis) {
  const int64_t along = checked_axis(node.attributes.get<int64_t>("axis"), graph.type(node.inputs[0]).shape);
  return along == axis ? -1 : axis;
}

int64_t beside_last(const Node& node, const Graph& graph, const std::vector<bool>&, int64_t axis) {
  return axis + 1 == std::ssize(graph.type(node.inputs[0]).shape) ? -1 : axis;
}

void CBlock::line(std::string_view text) {
  text_ += std::string(static_cast<size_t>(2 * depth_), ' ') + std::string(text) + "\n";
  if (text.ends_with("{")) ++depth_;
}

std::string CBlock::loop(int64_t count) {
  if (count == 1) {
    open_.push_back(false);
    return "0";
  }
  const std::string name = fmt::format("i{}", loops_++);
  line("{");
  line(fmt::format("int32_t {};", name));
  line(fmt::format("for ({0} = 0; {0} < {1}; ++{0}) {{", name, count));
  open_.push_back(true);
  return name;
}

void CBlock::end() {
  if (open_.back())
    for (int i = 0; i < 2; ++i) close();
  open_.pop_back();
  if (open_.empty()) loops_ = 0;
}

std::string CBlock::pointer(const CValue& value) {
  if (!value.constant) return value.pointer;
  if (value.dtype == i32) return unit.constant(value.constant->values<int32_t>());
  return unit.constant(std::span<const float>(value.constant->values<float>()));
}

std::string CBlock::element(const CValue& value, const std::string& index) {
  if (value.constant && value.count() == 1)
    return value.dtype == i32 ? literal(int64_t{value.constant->data<int32_t>()[0]})
                              : literal(value.constant->data<float>()[0]);
  if (value.constant)
    if (const QuantisedVector* vector = quantisation.vector(*value.constant))
      return fmt::format("(float){}[{}] * {}", unit.constant(std::span<const int16_t>(vector->levels)), index,
                         literal(vector->step));
  const std::string at = pointer(value);
  // (p + 4)[i] reads better as p[4 + i].
  return at.find_first_of(" &") == at.npos ? fmt::format("{}[{}]", at, index)
                                           : fmt::format("({})[{}]", at, index);
}

void CBlock::close() {
  --depth_;
  line("}");
}

void CBlock::clear(const std::string& y, int64_t count) {
  line(fmt::format("{}({}, {});", unit.helper("clear"), y, count));
}

void CBlock::copy(const std::string& y, const CValue& value, const std::string& offset, int64_t count) {
  const auto moved = [&](const std::string& at) { return offset.empty() ? at : at + " + " + offset; };
  if (value.dtype == i32) {
    line(fmt::format("{}({}, {}, {});", unit.helper("copy_integers"), y, moved(pointer(value)), count));
    return;
  }
  const QuantisedVector* vector = value.constant ? quantisation.vector(*value.constant) : nullptr;
  if (vector) {
    line(fmt::format("{}({}, {}, {}, {});", unit.helper("copy_levels"), y,
                     moved(unit.constant(std::span<const int16_t>(vector->levels))), literal(vector->step),
                     count));
    return;
  }
  const std::string from = moved(pointer(value));
  if (from != y) line(fmt::format("{}({}, {}, {});", unit.helper("copy"), y, from, count));
}

void CBlock::refuse_if(const std::string& condition) {
  line(fmt::format("if ({}) return -1;", condition));
  refuses_ = true;
}

namespace {

// A row's weights that are not 0; between two of them at most 255 columns, or zeros fill in.
template <class T>
struct SparseRows {
  std::vector<uint32_t> counts;
  std::vector<uint8_t> gaps;
  std::vector<T> values;

  SparseRows(const std::vector<T>& rows, int64_t columns) {
    for (size_t row = 0; row < rows.size(); row += static_cast<size_t>(columns)) {
      size_t at = 0;
      const size_t before = values.size();
      for (size_t column = 0; column < static_cast<size_t>(columns); ++column) {
        if (rows[row + column] == T{}) continue;
        for (; column - at > 255; at += 255) {
          gaps.push_back(255);
          values.push_back(T{});
        }
        gaps.push_back(static_cast<uint8_t>(column - at));
        values.push_back(rows[row + column]);
        at = column;
      }
      counts.push_back(static_cast<uint32_t>(values.size() - before));
    }
  }

  size_t longest() const { return *std::max_element(counts.begin(), counts.end()); }
  size_t bytes() const { return counts.size() * (longest() > 255 ? 2 : 1) + values.size() * (1 + sizeof(T)); }
};

// The tensor's elements by channel.
template <class T>
std::vector<T> by_channel(const T* elements, const Extents& extents, int64_t axis) {
  const auto [outer, channels, inner] = blocks_around(extents, axis);
  std::vector<T> rows;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i) rows.push_back(elements[(o * channels + c) * inner + i]);
  return rows;
}

}  // namespace

void CBlock::product(const CValue& w, int64_t axis, const std::string& x, const std::string& y) {
  const Tensor& tensor = *w.constant;
  const int64_t channels = blocks_around(w.extents, axis).extent;
  if (tensor.count() == 0) return;
  const int64_t columns = tensor.count() / channels;
  const QuantisedMatrix* levels = quantisation.matrix(tensor);
  if (levels && levels->axis != axis) levels = nullptr;
  const auto write = [&](const auto& rows, const std::string& suffix, const std::string& scales) {
    using T = typename std::decay_t<decltype(rows)>::value_type;
    // Nothing is added: y stays.
    if (std::all_of(rows.begin(), rows.end(), [](T weight) { return weight == T{}; })) return;
    const SparseRows<T> sparse(rows, columns);
    const auto counted = sparse.longest() < 65536 && columns > 1;
    if (!counted || sparse.bytes() >= rows.size() * sizeof(T)) {
      line(fmt::format("{}({}, {}, {}{}, {}, {});", unit.helper("dense_product" + suffix), x,
                       unit.constant(std::span<const T>(rows)), scales, y, channels, columns));
      return;
    }
    const bool many = sparse.longest() > 255;
    const std::vector<uint8_t> bytes(sparse.counts.begin(), sparse.counts.end());
    const std::vector<uint16_t> words(sparse.counts.begin(), sparse.counts.end());
    const std::string counts = many ? unit.constant(std::span<const uint16_t>(words))
                                    : unit.constant(std::span<const uint8_t>(bytes));
    line(fmt::format("{}({}, {}, {}, {}, {}{}, {});",
                     unit.helper("sparse_product" + suffix + (many ? "_long" : "")), x, counts,
                     unit.constant(std::span<const uint8_t>(sparse.gaps)),
                     unit.constant(std::span<const T>(sparse.values)), scales, y, channels));
  };
  if (!levels) {
    const float* values = tensor.data<float>();
    write(by_channel(values, w.extents, axis), "", "");
    return;
  }
  const std::string scales =
      fmt::format("{}, {}, ", unit.constant(std::span<const uint8_t>(levels->codes)), levels->base);
  write(by_channel(levels->levels.data(), w.extents, axis), "_int8", scales);
}

}  // namespace lariat::to_c
