#include "graph/ranks/sum/tree_sum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "graph/base/error.hpp"
#include "graph/ranks/sum/sum_part.hpp"

namespace lariat {

namespace {

// From this many bytes on it is worth a message more to learn what is zero on all ranks, unless little was
// lately.
constexpr int64_t many_bytes = int64_t{1} << 18;
// Of a large tensor, what each rank adds up at a time: it stays in cache from its arrival to where it is
// taken.
constexpr int64_t bytes_of_part = int64_t{1} << 18;
constexpr size_t parts_on_their_way = 4;

struct KnownSums {
  std::mutex mutex;
  std::map<int64_t, TreeSum*> by_id;
  int64_t latest = 0;
};

KnownSums& known_sums() {
  static KnownSums all;
  return all;
}

int64_t enter_sum(TreeSum* sum) {
  const std::lock_guard lock(known_sums().mutex);
  known_sums().by_id[++known_sums().latest] = sum;
  return known_sums().latest;
}

void forget_sum(int64_t id) {
  const std::lock_guard lock(known_sums().mutex);
  known_sums().by_id.erase(id);
}

template <class T>
void add_elements(T* into, const T* other, int64_t count) {
  for (int64_t i = 0; i < count; ++i) into[i] += other[i];
}

TensorView elements_of(const TensorView& tensor, int64_t first, int64_t count) {
  auto* data = static_cast<std::byte*>(tensor.data) + static_cast<size_t>(first) * size_of(tensor.dtype);
  return {data, tensor.dtype, {count}};
}

}  // namespace

int64_t SumBucket::count() const {
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  return total;
}

std::string SumBucket::what() const {
  if (names.empty()) return "the loss";
  return names.size() == 1 ? names[0] : fmt::format("{} and {} more", names[0], names.size() - 1);
}

TreeSum::TreeSum(std::shared_ptr<Ranks> ranks, int64_t shards)
    : ranks_(std::move(ranks)),
      shards_(shards),
      id_(enter_sum(this)),
      rank_(ranks_ ? ranks_->rank() : 0),
      size_(ranks_ ? ranks_->size() : 1) {
  require(shards_ > 0, "there is a micro-shard");
  if (shards_ < size_) {
    forget_sum(id_);
    ranks_->refuse(
        fmt::format("micro_shards = {}: fewer than the {} ranks; start at most {} ranks, or cut batches into "
                    "more micro-shards",
                    shards_, size_, shards_));
  }
}

TreeSum::~TreeSum() {
  for (auto& state : states_)
    if (!state->open.empty()) keep_until_exit(std::move(state));
  if (scalars_ && !scalars_->open.empty()) keep_until_exit(std::move(scalars_));
  forget_sum(id_);
}

TreeSum* TreeSum::find(int64_t id) {
  if (id == 0) return nullptr;
  const std::lock_guard lock(known_sums().mutex);
  const auto found = known_sums().by_id.find(id);
  return found == known_sums().by_id.end() ? nullptr : found->second;
}

void TreeSum::set_buckets(std::vector<SumBucket> buckets) {
  buckets_.clear();
  states_.clear();
  for (SumBucket& bucket : buckets) {
    const auto element = static_cast<int64_t>(size_of(bucket.dtype));
    const int64_t most = size_ * bytes_of_part / element, total = bucket.count();
    const bool is_cut = bucket.counts.size() == 1 && total > most;
    std::vector<State*> parts;
    for (int64_t begin = 0; begin == 0 || (is_cut && begin < total); begin += most) {
      auto state = std::make_unique<State>();
      state->element = static_cast<size_t>(element);
      state->index = static_cast<int>(states_.size());
      state->bucket = bucket;
      if (is_cut) state->bucket.counts = {std::min(most, total - begin)};
      int64_t offset = 0;
      for (const int64_t count : state->bucket.counts) {
        state->offsets.push_back(offset);
        offset += count;
      }
      if (parts.size() >= parts_on_their_way) {
        state->earlier = parts[parts.size() - parts_on_their_way];
        state->received = state->earlier->received;
      }
      parts.push_back(state.get());
      states_.push_back(std::move(state));
    }
    buckets_.push_back({std::move(bucket), std::move(parts)});
  }
}

const SumBucket& TreeSum::bucket(size_t index) const { return buckets_.at(index).description; }

void TreeSum::begin(const std::vector<bool>& present) {
  require(static_cast<int64_t>(present.size()) == shards_, "there is a flag for each micro-shard");
  tree_.emplace(present, size_);
  own_.clear();
  const int64_t end = ShardTree::first_shard(shards_, size_, rank_ + 1);
  for (int64_t shard = ShardTree::first_shard(shards_, size_, rank_); shard < end; ++shard)
    if (present[static_cast<size_t>(shard)]) own_.push_back(shard);
  for (const auto& state : states_) {
    state->depth = 0;
    state->stage = State::Stage::adds;
    state->leaves_out = false;
    state->combined = nullptr;
    state->direct = nullptr;
    state->wanted = nullptr;
  }
  shard_.reset();
}

void TreeSum::end() { tree_.reset(); }

void TreeSum::add_shard(State& state, std::span<const TensorView> tensors) {
  const auto with = [&](auto zero) {
    using T = decltype(zero);
    const int64_t total = state.bucket.count();
    const auto at = [&](size_t place) { return reinterpret_cast<T*>(state.own[place].data()); };
    int merges = tree_->merges(*shard_);
    const bool onto_last = merges > 0;
    if (!onto_last) {
      if (state.own.size() == state.depth) state.own.emplace_back();
      room(state.own[state.depth++], static_cast<size_t>(total) * sizeof(T));
    }
    for (size_t i = 0; i < tensors.size(); ++i) {
      T* into = at(state.depth - 1) + state.offsets[i];
      const T* from = tensors[i].as<T>();
      if (onto_last) {
        add_elements(into, from, tensors[i].count());
      } else {
        std::copy_n(from, tensors[i].count(), into);
      }
    }
    for (merges -= onto_last ? 1 : 0; merges > 0; --merges, --state.depth)
      add_elements(at(state.depth - 2), at(state.depth - 1), total);
  };
  if (state.bucket.dtype == f64) {
    with(0.0);
  } else {
    with(0.0F);
  }
}

void TreeSum::give(int64_t bucket, std::span<const TensorView> tensors,
                   std::span<const TensorView> left_out) {
  if (!adds()) return;
  const std::vector<State*>& parts = buckets_.at(static_cast<size_t>(bucket)).parts;
  if (!shard_ || *shard_ == own_.back()) {
    // What has arrived meanwhile goes on while the backward pass does.
    const std::lock_guard lock(mutex_);
    for (const auto& other : states_) progress(*other);
  }
  if (parts.size() == 1) return give_part(*parts[0], tensors, left_out);
  int64_t begin = 0;
  for (State* part : parts) {
    const int64_t count = part->bucket.count();
    const TensorView values = elements_of(tensors[0], begin, count);
    if (left_out.empty()) {
      give_part(*part, {&values, 1}, {});
    } else {
      const TensorView not_sent = elements_of(left_out[0], begin, count);
      give_part(*part, {&values, 1}, {&not_sent, 1});
    }
    begin += count;
  }
}

void TreeSum::give_part(State& state, std::span<const TensorView> tensors,
                        std::span<const TensorView> left_out) {
  if (shard_ && own_.size() == 1 && tensors.size() == 1) {
    state.direct = tensors[0].as<const std::byte>();
    state.depth = 1;
  } else if (shard_) {
    add_shard(state, tensors);
  }
  if (shard_ && *shard_ != own_.back()) return;
  if (!left_out.empty()) state.kept.set(left_out);
  state.leaves_out = !left_out.empty() && state.kept.count() < state.bucket.count();
  state.travelling = state.leaves_out ? state.kept.count() : state.bucket.count();
  const std::lock_guard lock(mutex_);
  const bool is_large = state.bucket.count() * static_cast<int64_t>(state.element) >= many_bytes;
  if (size_ > 1 && is_large && !state.leaves_out && --state.steps_to_look < 0) {
    compare_zeros(state);
  } else {
    exchange(state);
  }
}

void TreeSum::take(int64_t bucket, int64_t tensor, const TensorView& into) {
  const std::vector<State*>& parts = buckets_.at(static_cast<size_t>(bucket)).parts;
  const auto each = [&](const auto& of_part) {
    int64_t begin = 0;
    for (State* part : parts) {
      of_part(*part, parts.size() == 1 ? into : elements_of(into, begin, part->bucket.count()));
      begin += part->bucket.count();
    }
  };
  {
    const std::lock_guard lock(mutex_);
    each([](State& part, const TensorView& view) {
      if (part.bucket.counts.size() == 1) part.wanted = view.as<std::byte>();
    });
  }
  each([&](State& part, const TensorView& view) { take_part(part, static_cast<size_t>(tensor), view); });
}

void TreeSum::take_part(State& state, size_t place, const TensorView& into) {
  const auto there = [&] {
    const std::lock_guard lock(mutex_);
    bool all = true;
    // Those before it too: what others wait for.
    for (const auto& other : states_) all = progress(*other) || other->index > state.index ? all : false;
    return all;
  };
  if (ranks_) {
    ranks_->wait(there, state.bucket.what());
  } else {
    there();
  }
  const auto copy = [&](auto zero) {
    using T = decltype(zero);
    T* out = into.as<T>();
    const int64_t count = state.bucket.counts[place], offset = state.offsets[place];
    const T* sum = reinterpret_cast<const T*>(state.whole());
    if (!state.leaves_out) {
      if (sum + offset != out) std::copy_n(sum + offset, count, out);
      return;
    }
    // Of one rank the sum has all elements, and may be where it is to be.
    size_ == 1 ? state.kept.clear_others(sum, offset, out, count)
               : state.kept.unpack(sum, offset, out, count);
  };
  if (state.bucket.dtype == f64) {
    copy(0.0);
  } else {
    copy(0.0F);
  }
}

std::vector<double> TreeSum::sum(const std::vector<std::vector<double>>& of_shards, size_t width) {
  require(tree_.has_value() && of_shards.size() == own_.size(), "there are numbers for each shard");
  scalars_ = std::make_unique<State>();
  State& state = *scalars_;
  state.bucket = {f64, {}, {static_cast<int64_t>(width)}};
  state.element = 8;
  state.index = static_cast<int>(states_.size());
  state.offsets = {0};
  for (size_t i = 0; i < own_.size(); ++i) {
    shard_ = own_[i];
    const Tensor numbers = Tensor::of<double>({static_cast<int64_t>(width)}, of_shards[i]);
    const TensorView view = numbers.view();
    add_shard(state, {&view, 1});
  }
  state.travelling = static_cast<int64_t>(width);
  {
    const std::lock_guard lock(mutex_);
    exchange(state);
  }
  const auto there = [&] {
    const std::lock_guard lock(mutex_);
    return progress(state);
  };
  if (ranks_) ranks_->wait(there, state.bucket.what());
  const auto* sum = reinterpret_cast<const double*>(state.whole());
  return {sum, sum + width};
}

}  // namespace lariat
