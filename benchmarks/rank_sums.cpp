// The sum of gradients over ranks beside MPI's own: run under mpirun, it prints one JSON object of times and
// bytes.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "graph/base/error.hpp"
#include "graph/ranks/mpi_transport.hpp"
#include "graph/ranks/sum/tree_sum.hpp"

namespace lariat {

namespace {

using Clock = std::chrono::steady_clock;

double median(std::vector<double> times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

// One bucket of floats, each rank one micro-shard.
class Sum {
 public:
  Sum(const std::shared_ptr<Ranks>& ranks, int64_t count)
      : ranks_(ranks), sum_(ranks, ranks->size()), present_(static_cast<size_t>(ranks->size()), true) {
    sum_.set_buckets({{f32, {"values"}, {count}}});
  }
  void run(const TensorView& values, std::span<const TensorView> left_out) {
    sum_.begin(present_);
    sum_.at_shard(ranks_->rank());
    sum_.give(0, {&values, 1}, left_out);
    sum_.take(0, 0, values);
    sum_.end();
  }

 private:
  std::shared_ptr<Ranks> ranks_;
  TreeSum sum_;
  std::vector<bool> present_;
};

void measure(int rounds) {
  const MpiStart start = mpi_start();
  if (start.module.empty()) throw UserError("rank_sums: start it by mpirun");
  const auto ranks = std::make_shared<Ranks>(mpi_transport(start), RanksOptions{.limit_seconds = 60});
  std::string rows;
  for (const int64_t count : {256, 4096, 65536, 262144, 1048576, 4194304}) {
    Tensor values(f32, {count}), left_out(f32, {count});
    for (int64_t i = 0; i < count; ++i) {
      left_out.data<float>()[i] = i % 50 == 0 ? 0.0F : 1.0F;  // 98% stay zero
    }
    Sum sum(ranks, count);
    const TensorView view = values.view(), zeros = left_out.view();
    std::vector<double> ours, theirs, sparse;
    const auto timed = [&](std::vector<double>& times, const auto& body) {
      std::fill_n(values.data<float>(), count, 1.0F);
      ranks->gather("", "the others");
      const auto begin = Clock::now();
      body();
      times.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    };
    const auto all_reduce = [&] {
      ranks->use([&](Transport& mpi) { mpi_all_reduce(mpi, values.data<float>(), static_cast<int>(count)); });
    };
    const int64_t begin = ranks->traffic().sum_bytes;
    for (int round = 0; round < rounds; ++round) {
      // Each goes first in turn: the first finds the values in cache.
      if (round % 2 == 0) timed(theirs, all_reduce);
      timed(ours, [&] { sum.run(view, {}); });
      if (round % 2 == 1) timed(theirs, all_reduce);
    }
    const int64_t between = ranks->traffic().sum_bytes;
    for (int round = 0; round < rounds; ++round) timed(sparse, [&] { sum.run(view, {&zeros, 1}); });
    const int64_t sent = (between - begin) / rounds,
                  sent_sparse = (ranks->traffic().sum_bytes - between) / rounds;
    rows += fmt::format(
        "{}{{\"bytes\": {}, \"sum\": {:.9f}, \"mpi\": {:.9f}, \"sparse\": {:.9f}, \"sent\": {}, "
        "\"sent_sparse\": {}}}",
        rows.empty() ? "" : ", ", 4 * count, median(ours), median(theirs), median(sparse), sent, sent_sparse);
  }
  if (ranks->rank() == 0)
    fmt::print("{{\"mpi\": \"{}\", \"ranks\": {}, \"rounds\": {}, \"sums\": [{}]}}\n", ranks->name(),
               ranks->size(), rounds, rows);
  ranks->finish();
}

}  // namespace

}  // namespace lariat

int main(int count, char** words) {
  try {
    lariat::measure(count > 1 ? std::atoi(words[1]) : 200);
  } catch (const lariat::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
