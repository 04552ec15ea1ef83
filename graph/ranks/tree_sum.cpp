#include "graph/ranks/tree_sum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "graph/base/error.hpp"
#include "graph/ranks/nonzero_blocks.hpp"

namespace lariat {

namespace {

// Below this many bytes everyone adds up everything, which takes one message where the other way takes two.
constexpr int64_t few_bytes = 32768;
// From this many bytes on it is worth a message more to learn what is zero on all ranks, unless little was
// lately.
constexpr int64_t many_bytes = int64_t{1} << 18;
constexpr int steps_between_looks = 16;
constexpr int first_tag = 16, tags = 3;

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

template <class T>
void add_elements(T* into, const T* other, int64_t count) {
  for (int64_t i = 0; i < count; ++i) into[i] += other[i];
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

// A bucket within a step. Memory is kept from step to step.
struct TreeSum::State {
  SumBucket bucket;
  int index = 0;
  size_t element = 4;  // bytes
  std::vector<int64_t> offsets;
  // Sums of this rank's shards, the last on top; then those of all ranks, of the elements that travel.
  std::vector<std::vector<std::byte>> own, sent;
  size_t depth = 0;
  // What was given, where that is this rank's only sum and in one piece: it stays until the sum is taken.
  const std::byte* direct = nullptr;
  std::vector<std::vector<std::byte>> received;
  std::vector<std::byte> result;
  // Which elements travel, where some are left out.
  std::vector<int32_t> kept;
  int64_t kept_count = 0;
  bool leaves_out = false, combined = false;
  int64_t travelling = 0;  // elements
  // Where this rank's sums are not 0, and those of the others.
  NonzeroBlocks nonzero;
  std::vector<std::vector<uint64_t>> others_nonzero;
  int steps_to_look = 0;
  enum class Stage { adds, compares, exchanges, gathers, done } stage = Stage::adds;
  Ranks::Requests open;

  bool scattered(int size) const {
    return size > 1 && travelling * static_cast<int64_t>(element) > few_bytes;
  }
  // Which of the elements that travel a rank adds up.
  int64_t begin_of(int rank, int size) const { return scattered(size) ? travelling * rank / size : 0; }
  int64_t end_of(int rank, int size) const {
    return scattered(size) ? travelling * (rank + 1) / size : travelling;
  }
  const std::byte* own_sum(size_t piece) const { return direct != nullptr ? direct : own[piece].data(); }
  // Of the elements that travel.
  const std::byte* own_part(size_t piece) const { return leaves_out ? sent[piece].data() : own_sum(piece); }
  const std::byte* whole() const { return combined ? result.data() : own_sum(0); }
};

TreeSum::TreeSum(std::shared_ptr<Ranks> ranks, int64_t shards)
    : ranks_(std::move(ranks)),
      shards_(shards),
      id_(enter_sum(this)),
      rank_(ranks_ ? ranks_->rank() : 0),
      size_(ranks_ ? ranks_->size() : 1) {
  if (shards_ < size_) {
    const std::lock_guard lock(known_sums().mutex);
    known_sums().by_id.erase(id_);
    throw UserError(
        fmt::format("micro_shards = {}: fewer than the {} ranks; start at most {} ranks, or cut batches into "
                    "more micro-shards",
                    shards_, size_, shards_));
  }
}

TreeSum::~TreeSum() {
  for (auto& state : states_)
    if (!state->open.empty()) keep_until_exit(std::move(state));
  if (scalars_ && !scalars_->open.empty()) keep_until_exit(std::move(scalars_));
  const std::lock_guard lock(known_sums().mutex);
  known_sums().by_id.erase(id_);
}

TreeSum* TreeSum::find(int64_t id) {
  if (id == 0) return nullptr;
  const std::lock_guard lock(known_sums().mutex);
  const auto found = known_sums().by_id.find(id);
  return found == known_sums().by_id.end() ? nullptr : found->second;
}

void TreeSum::set_buckets(std::vector<SumBucket> buckets) {
  states_.clear();
  for (SumBucket& bucket : buckets) {
    auto state = std::make_unique<State>();
    state->element = static_cast<size_t>(bucket.dtype == f64 ? 8 : 4);
    state->index = static_cast<int>(states_.size());
    int64_t offset = 0;
    for (const int64_t count : bucket.counts) {
      state->offsets.push_back(offset);
      offset += count;
    }
    state->bucket = std::move(bucket);
    states_.push_back(std::move(state));
  }
}

const SumBucket& TreeSum::bucket(size_t index) const { return states_.at(index)->bucket; }

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
    state->leaves_out = state->combined = false;
    state->direct = nullptr;
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
      state.own[state.depth++].resize(static_cast<size_t>(total) * sizeof(T));
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
  State& state = *states_.at(static_cast<size_t>(bucket));
  if (shard_ && own_.size() == 1 && tensors.size() == 1) {
    state.direct = tensors[0].as<const std::byte>();
    state.depth = 1;
  } else if (shard_) {
    add_shard(state, tensors);
  }
  if (shard_ && *shard_ != own_.back()) return;
  state.kept_count = 0;
  if (!left_out.empty()) state.kept.resize(static_cast<size_t>(state.bucket.count()));
  for (size_t i = 0; i < left_out.size(); ++i)
    with_type(left_out[i].dtype, [&](auto zero) {
      const auto* x = left_out[i].as<decltype(zero)>();
      const int64_t count = left_out[i].count();
      int32_t* next = state.kept.data() + state.kept_count;
      for (int64_t k = 0; k < count; ++k) {
        *next = static_cast<int32_t>(state.offsets[i] + k);
        next += x[k] == decltype(zero)(0);
      }
      state.kept_count = next - state.kept.data();
    });
  state.leaves_out = !left_out.empty() && state.kept_count < state.bucket.count();
  state.travelling = state.leaves_out ? state.kept_count : state.bucket.count();
  const std::lock_guard lock(mutex_);
  const bool is_large = state.bucket.count() * static_cast<int64_t>(state.element) >= many_bytes;
  if (size_ > 1 && is_large && !state.leaves_out && --state.steps_to_look < 0) {
    compare_zeros(state);
  } else {
    exchange(state);
  }
}

// All ranks learn where any of them has something. Called with the lock.
void TreeSum::compare_zeros(State& state) {
  state.nonzero = NonzeroBlocks(state.bucket.count());
  for (size_t piece = 0; piece < state.depth; ++piece) state.nonzero.add(state.own_sum(piece), state.element);
  state.others_nonzero.resize(static_cast<size_t>(size_));
  const int tag = first_tag + tags * state.index + 2;
  const size_t bytes = state.nonzero.bits().size() * sizeof(uint64_t);
  for (int other = 0; other < size_; ++other) {
    if (other == rank_) continue;
    auto& bits = state.others_nonzero[static_cast<size_t>(other)];
    bits.resize(state.nonzero.bits().size());
    ranks_->receive(other, tag, bits.data(), bytes, state.open);
    ranks_->send(other, tag, state.nonzero.bits().data(), bytes, state.open);
  }
  ranks_->count_sums(static_cast<int64_t>(bytes) * (size_ - 1), 0);
  state.stage = State::Stage::compares;
}

// What is zero on all ranks is left out, where it is worth packing the rest. Called with the lock.
void TreeSum::leave_zeros_out(State& state) {
  for (int other = 0; other < size_; ++other)
    if (other != rank_) state.nonzero.add(state.others_nonzero[static_cast<size_t>(other)]);
  const int64_t all = state.bucket.count(), count = state.nonzero.count();
  if (4 * count >= 3 * all) {
    state.steps_to_look = steps_between_looks;
    return;
  }
  state.kept.resize(static_cast<size_t>(all));
  state.kept_count = state.nonzero.write(state.kept.data()) - state.kept.data();
  state.leaves_out = true;
  state.travelling = count;
}

// This rank's sums go to the others. Called with the lock.
void TreeSum::exchange(State& state) {
  if (size_ == 1) {
    state.stage = State::Stage::done;
    return;
  }
  const size_t element = state.element;
  if (state.leaves_out) {
    state.sent.resize(std::max(state.sent.size(), state.depth));
    for (size_t piece = 0; piece < state.depth; ++piece) {
      state.sent[piece].resize(static_cast<size_t>(state.kept_count) * element);
      const auto pack = [&](auto zero) {
        using T = decltype(zero);
        const T* from = reinterpret_cast<const T*>(state.own_sum(piece));
        T* into = reinterpret_cast<T*>(state.sent[piece].data());
        const int32_t* kept = state.kept.data();
        for (int64_t k = 0; k < state.kept_count; ++k) into[k] = from[kept[k]];
      };
      element == 8 ? pack(0.0) : pack(0.0F);
    }
  }
  const int tag = first_tag + tags * state.index;
  state.received.resize(static_cast<size_t>(size_));
  const int64_t first = state.begin_of(rank_, size_), own_count = state.end_of(rank_, size_) - first;
  for (int other = 0; other < size_; ++other) {
    if (other == rank_) continue;
    auto& incoming = state.received[static_cast<size_t>(other)];
    const size_t each = static_cast<size_t>(own_count) * element;
    incoming.resize(each * static_cast<size_t>(tree_->pieces(other)));
    if (each > 0)
      for (int piece = 0; piece < tree_->pieces(other); ++piece)
        ranks_->receive(other, tag, incoming.data() + each * static_cast<size_t>(piece), each, state.open);
  }
  int64_t sent = 0;
  for (int step = 1; step < size_; ++step) {
    const int other = (rank_ + step) % size_;
    const auto begin = static_cast<size_t>(state.begin_of(other, size_)) * element;
    const auto end = static_cast<size_t>(state.end_of(other, size_)) * element;
    if (begin == end) continue;
    for (size_t piece = 0; piece < state.depth; ++piece) {
      ranks_->send(other, tag, state.own_part(piece) + begin, end - begin, state.open);
      sent += static_cast<int64_t>(end - begin);
    }
  }
  const auto share = [&](int64_t count) {
    return state.scattered(size_) ? count * (size_ - 1) / size_ : count * (size_ - 1);
  };
  ranks_->count_sums(sent, share(state.bucket.count()) * static_cast<int64_t>(state.depth * element));
  state.stage = State::Stage::exchanges;
  progress(state);
}

void TreeSum::combine(State& state) {
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    const int64_t first = state.begin_of(rank_, size_), count = state.end_of(rank_, size_) - first;
    std::vector<const T*> pieces;
    for (int rank = 0; rank < size_; ++rank)
      for (int piece = 0; piece < tree_->pieces(rank); ++piece) {
        const auto place = static_cast<size_t>(piece);
        pieces.push_back(rank == rank_
                             ? reinterpret_cast<const T*>(state.own_part(place)) + first
                             : reinterpret_cast<const T*>(state.received[static_cast<size_t>(rank)].data()) +
                                   count * piece);
      }
    state.result.resize(static_cast<size_t>(state.travelling) * sizeof(T));
    state.combined = true;
    tree_->sum(pieces, reinterpret_cast<T*>(state.result.data()) + first, count);
  };
  state.element == 8 ? run(0.0) : run(0.0F);
}

// Whether the bucket's sum is there. Called with the lock.
bool TreeSum::progress(State& state) {
  using Stage = State::Stage;
  if (state.stage == Stage::done) return true;
  if (state.stage == Stage::adds || !ranks_->over(state.open)) return false;
  if (state.stage == Stage::compares) {
    leave_zeros_out(state);
    exchange(state);
    return state.stage == Stage::done;
  }
  if (state.stage == Stage::exchanges) {
    combine(state);
    state.stage = Stage::done;
    if (!state.scattered(size_)) return true;
    const int tag = first_tag + tags * state.index + 1;
    int64_t sent = 0;
    for (int step = 1; step < size_; ++step) {
      const int other = (rank_ + step) % size_;
      const auto range = [&](int rank) {
        const auto begin = static_cast<size_t>(state.begin_of(rank, size_)) * state.element;
        return std::pair(state.result.data() + begin,
                         static_cast<size_t>(state.end_of(rank, size_)) * state.element - begin);
      };
      const auto [to, expected] = range(other);
      if (expected > 0) ranks_->receive(other, tag, to, expected, state.open);
      const auto [from, bytes] = range(rank_);
      if (bytes > 0) ranks_->send(other, tag, from, bytes, state.open);
      sent += static_cast<int64_t>(bytes);
    }
    ranks_->count_sums(sent,
                       state.bucket.count() * static_cast<int64_t>(state.element) * (size_ - 1) / size_);
    state.stage = Stage::gathers;
    return false;
  }
  state.stage = Stage::done;
  return true;
}

void TreeSum::take(int64_t bucket, int64_t tensor, const TensorView& into) {
  State& state = *states_.at(static_cast<size_t>(bucket));
  const auto there = [&] {
    const std::lock_guard lock(mutex_);
    bool all = true;
    // Those before it too: what others wait for.
    for (const auto& other : states_) all = progress(*other) || other->index > bucket ? all : false;
    return all;
  };
  if (ranks_) {
    ranks_->wait(there, state.bucket.what());
  } else {
    there();
  }
  const auto place = static_cast<size_t>(tensor);
  const auto copy = [&](auto zero) {
    using T = decltype(zero);
    T* out = into.as<T>();
    const int64_t count = state.bucket.counts[place], offset = state.offsets[place];
    const T* sum = reinterpret_cast<const T*>(state.whole());
    if (!state.leaves_out) {
      std::copy_n(sum + offset, count, out);
      return;
    }
    const auto kept_end = state.kept.begin() + state.kept_count;
    const auto begin = std::lower_bound(state.kept.begin(), kept_end, offset);
    const auto end = std::lower_bound(begin, kept_end, offset + count);
    // Of one rank the sum has all elements, and may be where it is to be; of several it has those that
    // travelled.
    int64_t next = 0;
    for (auto at = begin; at != end; ++at) {
      const int64_t element = *at - offset;
      std::fill(out + next, out + element, T(0));
      out[element] = size_ == 1 ? sum[*at] : sum[at - state.kept.begin()];
      next = element + 1;
    }
    std::fill(out + next, out + count, T(0));
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
