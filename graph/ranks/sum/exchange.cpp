#include <algorithm>

#include "graph/ranks/sum/sum_part.hpp"

namespace lariat {

namespace {

constexpr int steps_between_looks = 16;
constexpr int first_tag = 16, tags = 3;

}  // namespace

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
  state.kept.set(state.nonzero, all);
  state.leaves_out = true;
  state.travelling = count;
}

// This rank's sums go to the others. Called with the lock.
void TreeSum::exchange(State& state) {
  if (size_ == 1) {
    state.stage = State::Stage::done;
    return;
  }
  if (state.earlier != nullptr && state.earlier->stage != State::Stage::done) {
    state.stage = State::Stage::waits;
    return;
  }
  const size_t element = state.element;
  if (state.leaves_out) {
    state.sent.resize(std::max(state.sent.size(), state.depth));
    for (size_t piece = 0; piece < state.depth; ++piece) {
      const auto pack = [&](auto zero) {
        using T = decltype(zero);
        std::byte* packed = room(state.sent[piece], static_cast<size_t>(state.travelling) * sizeof(T));
        state.kept.pack(reinterpret_cast<const T*>(state.own_sum(piece)), reinterpret_cast<T*>(packed));
      };
      element == 8 ? pack(0.0) : pack(0.0F);
    }
  }
  const int tag = first_tag + tags * state.index;
  state.received->resize(static_cast<size_t>(size_));
  const int64_t first = state.begin_of(rank_, size_), own_count = state.end_of(rank_, size_) - first;
  for (int other = 0; other < size_; ++other) {
    if (other == rank_) continue;
    auto& incoming = (*state.received)[static_cast<size_t>(other)];
    const size_t each = static_cast<size_t>(own_count) * element;
    room(incoming, each * static_cast<size_t>(tree_->pieces(other)));
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
}

void TreeSum::combine(State& state) {
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    const int64_t first = state.begin_of(rank_, size_), count = state.end_of(rank_, size_) - first;
    std::vector<const T*> pieces;
    for (int rank = 0; rank < size_; ++rank)
      for (int piece = 0; piece < tree_->pieces(rank); ++piece) {
        const auto place = static_cast<size_t>(piece);
        pieces.push_back(
            rank == rank_ ? reinterpret_cast<const T*>(state.own_part(place)) + first
                          : reinterpret_cast<const T*>((*state.received)[static_cast<size_t>(rank)].data()) +
                                count * piece);
      }
    // What this rank has sent is its own again: the sum takes its place, but not that of what belongs to
    // others.
    const bool in_place = state.depth > 0 && (state.leaves_out || state.direct == nullptr);
    state.combined = state.wanted != nullptr && !state.leaves_out ? state.wanted
                     : !in_place ? room(state.result, static_cast<size_t>(state.travelling) * sizeof(T))
                     : state.leaves_out ? state.sent[0].data()
                                        : state.own[0].data();
    tree_->sum(pieces, reinterpret_cast<T*>(state.combined) + first, count);
  };
  state.element == 8 ? run(0.0) : run(0.0F);
}

// Whether the bucket's sum is there. Called with the lock.
bool TreeSum::progress(State& state) {
  using Stage = State::Stage;
  if (state.stage == Stage::done) return true;
  if (state.stage == Stage::waits) {
    exchange(state);
    return state.stage == Stage::done;
  }
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
    const std::span<std::byte> own = state.range_of(rank_, size_);
    int64_t sent = 0;
    for (int step = 1; step < size_; ++step) {
      const int other = (rank_ + step) % size_;
      const std::span<std::byte> range = state.range_of(other, size_);
      std::byte* to = state.gathers_apart()
                          ? room((*state.received)[static_cast<size_t>(other)], range.size())
                          : range.data();
      if (!range.empty()) ranks_->receive(other, tag, to, range.size(), state.open);
      if (!own.empty()) ranks_->send(other, tag, own.data(), own.size(), state.open);
      sent += static_cast<int64_t>(own.size());
    }
    ranks_->count_sums(sent,
                       state.bucket.count() * static_cast<int64_t>(state.element) * (size_ - 1) / size_);
    state.stage = Stage::gathers;
    return false;
  }
  for (int other = 0; other < size_ && state.gathers_apart(); ++other) {
    const std::span<std::byte> range = state.range_of(other, size_);
    if (other != rank_)
      std::copy_n((*state.received)[static_cast<size_t>(other)].data(), range.size(), range.data());
  }
  state.stage = Stage::done;
  return true;
}

}  // namespace lariat
