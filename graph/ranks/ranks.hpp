#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>

#include "graph/ranks/transport.hpp"

namespace lariat {

struct RanksOptions {
  /// A rank that has shown no sign of life for so long is given up.
  double limit_seconds = 7;
  /// Whether this rank sends signs of life.
  bool pulses = true;
  /// Where it is true, a wait for others ends soon.
  const std::atomic<bool>* stop = nullptr;
  /// Called, by a thread of its own, where all ranks are done but the transport has not ended within
  /// `limit_seconds`: it may end the process, whose work is done.
  std::function<void()> when_end_hangs = {};
};

/// What was sent by this rank.
struct Traffic {
  int64_t messages = 0, bytes = 0;
  /// Of gradients, and what these would have been with all their zeros.
  int64_t sum_bytes = 0, dense_bytes = 0;
  /// In which it waited for others.
  double seconds_waited = 0;
};

/// What all ranks must have in common.
struct SharedFact {
  /// "another recipe"
  std::string differs;
  std::string value;
  /// How two of them differ, "": in nothing that counts; without it, any two that are not equal do, and the
  /// first lines that differ are shown.
  std::function<std::string(const std::string& of_rank_0, const std::string& of_other)> difference = {};
};

/// The ranks that compute one run together, as one of them sees them. Any thread may make calls. A wait ends
/// with a UserError, one line that names rank, step and what was waited for, where another rank ends, dies or
/// shows no sign of life.
class Ranks {
 public:
  explicit Ranks(std::unique_ptr<Transport> transport, RanksOptions options = {});
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  ~Ranks();

  int rank() const { return rank_; }
  int size() const { return size_; }
  std::string name() const { return transport_->name(); }

  using Requests = std::vector<Transport::Request>;
  /// Adds to `open`. The memory must stay until they are over.
  void send(int to, int tag, const void* data, size_t bytes, Requests& open);
  void receive(int from, int tag, void* data, size_t bytes, Requests& open);
  /// Takes out what is over; whether nothing is left.
  bool over(Requests& open);
  /// Calls of the transport itself, between which no other comes.
  void use(const std::function<void(Transport&)>& body);
  /// Until `done` says so; "waited for WHAT".
  void wait(const std::function<bool()>& done, const std::string& what);

  /// What every rank gives, by rank. Throws UserError where another rank gives something else than `what`.
  std::vector<std::string> gather(const std::string& own, const std::string& what);
  /// Throws UserError, the same on all ranks, that names the first rank for which one of the facts differs
  /// from rank 0's.
  void agree(const std::vector<SharedFact>& facts);
  /// Throws UserError for what is wrong on every rank alike: rank 0 at once, which says it, the others when
  /// they have heard so.
  [[noreturn]] void refuse(const std::string& why);
  /// Why a wait ended before its time, "" where none has.
  std::string why_over() const;
  /// What this rank is at, for messages: "step 12".
  void at(std::string place);
  std::string place() const;
  Traffic traffic() const;
  void count_sums(int64_t bytes, int64_t dense_bytes);
  /// Whether this rank was told to end, and whether all know that one was, since the same step.
  bool told_to_stop() const { return options_.stop != nullptr && options_.stop->load(); }
  bool stop_agreed() const { return stop_agreed_; }
  void agree_to_stop() { stop_agreed_ = true; }

  /// Tells the others that this rank ends and why, and learns of those that end too. Gives whether this rank
  /// is to say why: of several, one does.
  bool end_with(const std::string& why);
  /// Ends this process with status 2, as the others do then; one of them says why, by `say`, as a line that
  /// names its rank and place, such as "rank 2, at step 13: …".
  [[noreturn]] void leave(const std::string& why, const std::function<void(const std::string& line)>& say);
  /// Waits until all ranks come here, and ends in order.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  // A rank's last messages to all others: that it ends, of itself or because another does, and that it has
  // said why; or that it has come to the end of its work.
  enum Kind : int32_t { of_itself, of_another, said, at_end };
  struct Ending {
    int32_t rank = 0;
    Kind kind = of_itself;
    std::array<char, 1016> why = {};
  };

  void look_for_endings();
  void tell_said(bool says);
  void throw_if_over(const std::string& what);
  [[noreturn]] void throw_over(std::string why);
  void pulse();
  bool take_pulses();
  void stop_pulses();
  void end_transport();
  std::string silence() const;

  std::unique_ptr<Transport> transport_;
  const RanksOptions options_;
  const int rank_, size_;
  mutable std::recursive_mutex mutex_;
  Traffic traffic_;
  std::string place_, waited_for_, why_over_;
  Ending incoming_;
  Requests incoming_request_;
  std::vector<std::optional<Ending>> endings_;
  bool told_ = false, heard_said_ = false, ended_ = false, all_ended_ = false, finished_ = false;
  std::optional<Clock::time_point> stopped_;
  // The first rank that had come to the end of its work, and since when this one knows it.
  std::optional<std::pair<int, Clock::time_point>> first_at_end_;
  int others_at_end_ = 0;
  std::atomic<bool> stop_agreed_ = false;
  // Signs of life go to the next rank, and come from the one before.
  bool silent_ = false;
  Clock::time_point heard_, looked_;
  std::byte pulse_out_{}, pulse_in_{};
  int64_t pulses_sent_ = 0, pulses_heard_ = 0;
  Requests pulse_out_request_, pulse_in_request_;
  std::condition_variable_any wake_;
  bool quit_ = false;
  std::thread pulses_;
};

/// Memory of messages that may still arrive after a failure: it stays until the process ends.
void keep_until_exit(std::shared_ptr<void> memory);

/// The ranks that this process was started as one of, for what has no other way to know; nullptr: it is
/// alone.
const std::shared_ptr<Ranks>& ranks_of_process();
void set_ranks_of_process(std::shared_ptr<Ranks> ranks);

}  // namespace lariat
