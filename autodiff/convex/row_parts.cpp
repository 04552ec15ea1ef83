#include "autodiff/convex/row_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "graph/base/error.hpp"
#include "graph/ranks/mpi_transport.hpp"
#include "graph/ranks/sum/tree_sum.hpp"

namespace lariat {

struct RowParts::State {
  std::shared_ptr<Ranks> ranks;
  int64_t parts, rows, first_part, end_part;
  TreeSum tree;

  State(std::shared_ptr<Ranks> those, int64_t count, int64_t of_all)
      : ranks(those),
        parts(count),
        rows(of_all),
        first_part(ShardTree::first_shard(count, size(), rank())),
        end_part(ShardTree::first_shard(count, size(), rank() + 1)),
        tree(std::move(those), count) {}

  int size() const { return ranks ? ranks->size() : 1; }
  int rank() const { return ranks ? ranks->rank() : 0; }
  // In the numbering of all rows.
  int64_t begin_of(int64_t part) const { return part * rows / parts; }
  // What each of this rank's parts gives.
  std::vector<std::vector<double>> own(size_t width, const OfPart& of_part) const {
    std::vector<std::vector<double>> numbers;
    const int64_t first = begin_of(first_part);
    for (int64_t part = first_part; part < end_part; ++part)
      of_part(begin_of(part) - first, begin_of(part + 1) - first, numbers.emplace_back(width));
    return numbers;
  }
};

RowParts::RowParts(std::shared_ptr<Ranks> ranks, int64_t parts, int64_t rows) {
  if (parts < 1 || parts > rows)
    throw UserError(fmt::format("{} rows cannot be cut into {} parts; take 1 to {}", rows, parts, rows));
  if (ranks && ranks->size() > parts)
    throw UserError(fmt::format("{} ranks share {} parts of the rows; take as many parts, or fewer ranks",
                                ranks->size(), parts));
  state_ = std::make_shared<State>(std::move(ranks), parts, rows);
}

void RowParts::check_known() const {
  if (is_one()) refuse_alone("the solver");
}

int64_t RowParts::first_row() const { return state_ ? state_->begin_of(state_->first_part) : 0; }

int64_t RowParts::own_rows() const {
  require(state_ != nullptr, "rows are cut into parts");
  return state_->begin_of(state_->end_part) - first_row();
}

int64_t RowParts::all_rows(int64_t here) const { return state_ ? state_->rows : here; }

std::vector<double> RowParts::sum(int64_t here, size_t width, const OfPart& of_part) const {
  if (!state_) {
    std::vector<double> sums(width);
    of_part(0, here, sums);
    return sums;
  }
  if (width == 0) return {};
  const std::vector<std::vector<double>> own = state_->own(width, of_part);
  state_->tree.begin(std::vector<bool>(static_cast<size_t>(state_->parts), true));
  std::vector<double> sums = state_->tree.sum(own, width);
  state_->tree.end();
  return sums;
}

std::vector<double> RowParts::gather(int64_t here, size_t width, const OfPart& of_part) const {
  if (!state_) return sum(here, width, of_part);
  std::string bytes;
  for (const std::vector<double>& numbers : state_->own(width, of_part))
    bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
  std::vector<double> all;
  const auto add = [&](const std::string& some) {
    const size_t before = all.size();
    all.resize(before + some.size() / sizeof(double));
    std::memcpy(all.data() + before, some.data(), some.size());
  };
  if (!state_->ranks) {
    add(bytes);
  } else {
    for (const std::string& of_rank : state_->ranks->gather(bytes, "sums over the others' rows"))
      add(of_rank);
  }
  return all;
}

double RowParts::sum(int64_t here, const std::function<double(int64_t)>& of_row) const {
  return sum(here, 1, [&](int64_t begin, int64_t end, std::span<double> to) {
    for (int64_t row = begin; row < end; ++row) to[0] += of_row(row);
  })[0];
}

double RowParts::largest(double own) const {
  if (!state_) return own;
  const std::vector<double> all = gather(0, 1, [&](int64_t, int64_t, std::span<double> to) { to[0] = own; });
  return *std::max_element(all.begin(), all.end());
}

}  // namespace lariat
