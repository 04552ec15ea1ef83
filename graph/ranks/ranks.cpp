#include "graph/ranks/ranks.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

enum Tag { ending_tag = 1, pulse_tag, size_tag, text_tag };

// MPI counts in int.
constexpr size_t most_bytes = size_t{1} << 30;
constexpr auto pulse_period = std::chrono::milliseconds(200);
constexpr auto grace = std::chrono::milliseconds(500), farewell = std::chrono::milliseconds(2000);

void rest_between_looks(int64_t tries) {
  if (tries < 2000) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace

Ranks::Ranks(std::unique_ptr<Transport> transport, RanksOptions options)
    : transport_(std::move(transport)),
      options_(options),
      rank_(transport_->rank()),
      size_(transport_->size()),
      endings_(static_cast<size_t>(size_)) {
  if (size_ == 1) return;
  receive(Transport::anyone, ending_tag, &incoming_, sizeof incoming_, incoming_request_);
  if (!transport_->any_thread()) return;
  heard_ = looked_ = Clock::now();
  receive((rank_ + size_ - 1) % size_, pulse_tag, &pulse_in_, 1, pulse_in_request_);
  pulses_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!quit_) {
      pulse();
      wake_.wait_for(lock, pulse_period, [this] { return quit_; });
    }
  });
}

Ranks::~Ranks() {
  stop_pulses();
  if (!finished_) transport_->end(false);
}

void Ranks::stop_pulses() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  wake_.notify_all();
  if (pulses_.joinable()) pulses_.join();
}

// Called with the lock.
void Ranks::pulse() {
  try {
    const auto now = Clock::now();
    // This process itself was stopped for a while: others may have been too.
    if (now - looked_ > 5 * pulse_period) heard_ = now;
    looked_ = now;
    if (take_pulses()) heard_ = now;
    if (options_.pulses && over(pulse_out_request_)) {
      send((rank_ + 1) % size_, pulse_tag, &pulse_out_, 1, pulse_out_request_);
      ++pulses_sent_;
    }
    silent_ = std::chrono::duration<double>(now - heard_).count() > options_.limit_seconds;
    look_for_endings();
  } catch (const UserError&) {
    // Who waits for a message meets the same.
  }
}

// Called with the lock. Whether there were any.
bool Ranks::take_pulses() {
  const int64_t before = pulses_heard_;
  for (; over(pulse_in_request_); ++pulses_heard_)
    receive((rank_ + size_ - 1) % size_, pulse_tag, &pulse_in_, 1, pulse_in_request_);
  return pulses_heard_ > before;
}

void Ranks::send(int to, int tag, const void* data, size_t bytes, Requests& open) {
  const std::lock_guard lock(mutex_);
  const auto* begin = static_cast<const std::byte*>(data);
  for (size_t done = 0; done == 0 || done < bytes; done += most_bytes) {
    const size_t part = std::min(most_bytes, bytes - done);
    open.push_back(transport_->send(to, tag, begin + done, part));
    traffic_.messages += 1;
    traffic_.bytes += static_cast<int64_t>(part);
  }
}

void Ranks::receive(int from, int tag, void* data, size_t bytes, Requests& open) {
  const std::lock_guard lock(mutex_);
  auto* begin = static_cast<std::byte*>(data);
  for (size_t done = 0; done == 0 || done < bytes; done += most_bytes)
    open.push_back(transport_->receive(from, tag, begin + done, std::min(most_bytes, bytes - done)));
}

bool Ranks::over(Requests& open) {
  const std::lock_guard lock(mutex_);
  std::erase_if(open, [this](Transport::Request request) { return transport_->over(request); });
  return open.empty();
}

void Ranks::use(const std::function<void(Transport&)>& body) {
  const std::lock_guard lock(mutex_);
  body(*transport_);
}

void Ranks::look_for_endings() {
  while (size_ > 1 && over(incoming_request_)) {
    if (incoming_.kind == said) {
      heard_said_ = true;
    } else if (incoming_.kind == at_end) {
      if (!first_at_end_) first_at_end_.emplace(incoming_.rank, Clock::now());
      ++others_at_end_;
    } else {
      endings_[static_cast<size_t>(incoming_.rank)] = incoming_;
    }
    receive(Transport::anyone, ending_tag, &incoming_, sizeof incoming_, incoming_request_);
  }
}

std::string Ranks::silence() const {
  const int silent = (rank_ + size_ - 1) % size_;
  return fmt::format(
      "rank {} has shown no sign of life for {:g} s{}{}; see that its process and its host still run, and go "
      "on from the "
      "last checkpoint",
      silent, options_.limit_seconds, place_.empty() ? "" : ", at " + place_,
      waited_for_.empty() ? "" : ", while rank " + fmt::format("{}", rank_) + " waited for " + waited_for_);
}

void Ranks::throw_if_over(const std::string& what) {
  const std::lock_guard lock(mutex_);
  look_for_endings();
  for (const auto& ending : endings_)
    if (ending && !ended_) {
      told_ = true;
      throw_over(fmt::format("rank {} has ended: {}", ending->rank, ending->why.data()));
    }
  if (silent_ && !ended_) throw_over(silence());
  // What it has sent before is here soon; what comes not is nothing that it will send.
  if (first_at_end_ && !finished_ && Clock::now() - first_at_end_->second > farewell)
    throw_over(fmt::format(
        "rank {} is done, while rank {}{} waits for {}: they do not do the same; give every rank the "
        "same",
        first_at_end_->first, rank_, place_.empty() ? "" : ", at " + place_ + ",", what));
  if (options_.stop == nullptr || !options_.stop->load()) return;
  if (!stopped_) stopped_ = Clock::now();
  if (Clock::now() - *stopped_ > grace)
    throw_over(fmt::format("rank {} was told to end{} while it waited for {}; go on from the last checkpoint",
                           rank_, place_.empty() ? "" : ", at " + place_ + ",", what));
}

void Ranks::throw_over(std::string why) {
  why_over_ = std::move(why);
  throw UserError(why_over_);
}

void Ranks::wait(const std::function<bool()>& done, const std::string& what) {
  const auto begin = Clock::now();
  for (int64_t tries = 0; !done(); ++tries) {
    if (tries == 0) {
      const std::lock_guard lock(mutex_);
      waited_for_ = what;
    }
    if (tries % 16 == 0) throw_if_over(what);
    rest_between_looks(tries);
  }
  const std::lock_guard lock(mutex_);
  waited_for_.clear();
  traffic_.seconds_waited += std::chrono::duration<double>(Clock::now() - begin).count();
}

std::vector<std::string> Ranks::gather(const std::string& own, const std::string& what) {
  // What comes next from a rank, and for what.
  struct Head {
    uint64_t size = 0;
    std::array<char, 56> what = {};
  };
  struct Exchange {
    std::string own;
    std::vector<Head> heads;
    std::vector<std::string> all;
    Requests open;
  };
  const auto release = [](Exchange* exchange) {
    const bool open = !exchange->open.empty();
    std::shared_ptr<Exchange> owner(exchange);
    if (open) keep_until_exit(std::move(owner));
  };
  const std::unique_ptr<Exchange, decltype(release)> exchange(new Exchange, release);
  auto& [text, heads, all, open] = *exchange;
  text = own;
  heads.resize(static_cast<size_t>(size_));
  Head& own_head = heads[static_cast<size_t>(rank_)];
  own_head.size = own.size();
  std::copy_n(what.data(), std::min(what.size(), own_head.what.size() - 1), own_head.what.data());
  all.resize(heads.size());
  const auto others = [this](const auto& of_each) {
    for (int other = 0; other < size_; ++other)
      if (other != rank_) of_each(other, static_cast<size_t>(other));
  };
  others([&](int other, size_t i) {
    receive(other, size_tag, &exchange->heads[i], sizeof(Head), exchange->open);
    send(other, size_tag, &exchange->heads[static_cast<size_t>(rank_)], sizeof(Head), exchange->open);
  });
  wait([&] { return over(exchange->open); }, what);
  others([&](int other, size_t i) {
    const Head& head = exchange->heads[i];
    if (head.what != exchange->heads[static_cast<size_t>(rank_)].what)
      throw UserError(fmt::format(
          "rank {} waits for {}, but rank {} for {}: they do not do the same; give every rank the "
          "same",
          other, head.what.data(), rank_, what));
    exchange->all[i].resize(head.size);
    receive(other, text_tag, exchange->all[i].data(), head.size, exchange->open);
    send(other, text_tag, exchange->own.data(), exchange->own.size(), exchange->open);
  });
  wait([&] { return over(exchange->open); }, what);
  all[static_cast<size_t>(rank_)] = own;
  return all;
}

namespace {

// The first lines that two texts have not in common: "a and b".
std::string first_lines(const std::string& first, const std::string& second) {
  const auto differ = std::mismatch(first.begin(), first.end(), second.begin(), second.end());
  const auto line = [](const std::string& text, std::string::const_iterator at) {
    const auto place = static_cast<size_t>(at - text.begin());
    const size_t begin = place == 0 ? 0 : text.rfind('\n', place - 1) + 1;
    const std::string found = text.substr(begin, text.find('\n', place) - begin);
    constexpr size_t most = 80;
    return found.empty() ? "nothing" : found.size() <= most ? found : found.substr(0, most) + "…";
  };
  return fmt::format("{} and {}", line(second, differ.second), line(first, differ.first));
}

}  // namespace

void Ranks::agree(const std::vector<SharedFact>& facts) {
  if (size_ == 1) return;
  for (const SharedFact& fact : facts) {
    const std::vector<std::string> all = gather(fact.value, "the others to agree");
    for (size_t other = 1; other < all.size(); ++other) {
      if (all[other] == all[0]) continue;
      const std::string how = (fact.difference ? fact.difference : first_lines)(all[0], all[other]);
      if (!how.empty())
        throw UserError(fmt::format("rank {} has {} than rank 0: {}; give every rank the same", other,
                                    fact.differs, how));
    }
  }
}

void Ranks::refuse(const std::string& why) {
  const auto begin = Clock::now();
  // One that catches the error and goes on tells nobody.
  if (rank_ > 0) wait([&] { return Clock::now() - begin > farewell; }, "what rank 0 says");
  throw UserError(why);
}

void Ranks::at(std::string place) {
  const std::lock_guard lock(mutex_);
  place_ = std::move(place);
}
std::string Ranks::place() const {
  const std::lock_guard lock(mutex_);
  return place_;
}
std::string Ranks::why_over() const {
  const std::lock_guard lock(mutex_);
  return why_over_;
}
Traffic Ranks::traffic() const {
  const std::lock_guard lock(mutex_);
  return traffic_;
}

void Ranks::count_sums(int64_t bytes, int64_t dense_bytes) {
  const std::lock_guard lock(mutex_);
  traffic_.sum_bytes += bytes;
  traffic_.dense_bytes += dense_bytes;
}

bool Ranks::end_with(const std::string& why) {
  if (size_ == 1) return true;
  Ending own{rank_, of_itself, {}};
  std::copy_n(why.data(), std::min(why.size(), own.why.size() - 1), own.why.data());
  Requests open;
  try {
    {
      const std::lock_guard lock(mutex_);
      if (told_) own.kind = of_another;
      ended_ = true;
      for (int other = 0; other < size_; ++other)
        if (other != rank_) send(other, ending_tag, &own, sizeof own, open);
    }
    const auto all = [&] {
      const std::lock_guard lock(mutex_);
      look_for_endings();
      return over(open) && std::count_if(endings_.begin(), endings_.end(),
                                         [](const auto& ending) { return ending.has_value(); }) == size_ - 1;
    };
    const auto begin = Clock::now();
    // A launcher that tells a rank to end kills it soon; one that is silent will say nothing.
    const auto patience = told_to_stop() ? farewell / 10 : silent_ ? farewell / 5 : farewell;
    for (int64_t tries = 0; !(all_ended_ = all()) && Clock::now() - begin < patience; ++tries)
      rest_between_looks(tries);
  } catch (const UserError&) {
    return own.kind == of_itself;
  }
  if (own.kind != of_itself) return false;
  const std::lock_guard lock(mutex_);
  return std::none_of(endings_.begin(), endings_.begin() + rank_,
                      [](const auto& ending) { return ending && ending->kind == of_itself; });
}

void Ranks::leave(const std::string& why, const std::function<void(const std::string&)>& say) {
  const std::string at = place().empty() ? "" : ", at " + place();
  const std::string line =
      size_ == 1 || why.starts_with("rank ") ? why : fmt::format("rank {}{}: {}", rank_, at, why);
  const bool says = end_with(line);
  if (says) say(line);
  std::fflush(nullptr);
  // A launcher kills all once the first is gone: who says why is heard before.
  if (size_ > 1) tell_said(says);
  if (all_ended_) {
    // In order, for launchers that kill the others where one ends otherwise; but not for long.
    std::thread([] {
      std::this_thread::sleep_for(farewell);
      _exit(2);
    }).detach();
    stop_pulses();
    transport_->end(true);
  }
  _exit(2);
}

void Ranks::tell_said(bool says) {
  try {
    Ending word{rank_, said, {}};
    Requests open;
    if (says)
      for (int other = 0; other < size_; ++other)
        if (other != rank_) send(other, ending_tag, &word, sizeof word, open);
    const auto told = [&] {
      const std::lock_guard lock(mutex_);
      look_for_endings();
      return says ? over(open) : heard_said_;
    };
    const auto begin = Clock::now();
    for (int64_t tries = 0; !told() && Clock::now() - begin < grace; ++tries) rest_between_looks(tries);
  } catch (const UserError&) {
    // It has been said.
  }
}

void Ranks::finish() {
  if (finished_) return;
  finished_ = true;
  if (size_ > 1) {
    const auto word = std::make_shared<Ending>(Ending{rank_, at_end, {}});
    keep_until_exit(word);
    Requests open;
    for (int other = 0; other < size_; ++other)
      if (other != rank_) send(other, ending_tag, word.get(), sizeof *word, open);
    // MPI is ended where nothing is on its way: some libraries tell of what nobody received.
    const auto all_at_end = [&] {
      const std::lock_guard lock(mutex_);
      look_for_endings();
      return over(open) && others_at_end_ == size_ - 1;
    };
    try {
      const std::string what = "the others to be done";
      gather("", what);
      wait(all_at_end, what);
      stop_pulses();
      const auto sent = gather(fmt::format("{}", pulses_sent_), what);
      const int64_t before = std::stoll(sent[static_cast<size_t>((rank_ + size_ - 1) % size_)]);
      const auto all_heard = [&] {
        const std::lock_guard lock(mutex_);
        take_pulses();
        return pulses_heard_ == before;
      };
      if (before > 0) wait(all_heard, what);
    } catch (...) {
      finished_ = false;
      throw;
    }
  }
  stop_pulses();
  end_transport();
}

// MPI_Finalize may wait for ever: with UCX over TCP for a rank that no longer looks for messages, see
// openucx/ucx issue 8738.
void Ranks::end_transport() {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::jthread watch;
  if (options_.when_end_hangs)
    watch = std::jthread([&](const std::stop_token& ended) {
      std::unique_lock lock(mutex);
      wake.wait_for(lock, ended, std::chrono::duration<double>(options_.limit_seconds), [] { return false; });
      if (!ended.stop_requested()) options_.when_end_hangs();
    });
  transport_->end(true);
}

}  // namespace lariat
