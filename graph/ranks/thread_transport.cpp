#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <tuple>

#include "graph/base/error.hpp"
#include "graph/ranks/transport.hpp"

namespace lariat {

namespace {

// What was sent and not yet received.
struct Mailboxes {
  std::mutex mutex;
  std::map<std::tuple<int, int, int>, std::deque<std::vector<std::byte>>> messages;  // by to, tag, from
};

class ThreadTransport final : public Transport {
 public:
  ThreadTransport(std::shared_ptr<Mailboxes> mailboxes, int rank, int size)
      : mailboxes_(std::move(mailboxes)), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string name() const override { return "threads of one process"; }
  bool any_thread() const override { return true; }

  Request send(int to, int tag, const void* data, size_t bytes) override {
    const auto* begin = static_cast<const std::byte*>(data);
    const std::lock_guard lock(mailboxes_->mutex);
    mailboxes_->messages[{to, tag, rank_}].emplace_back(begin, begin + bytes);
    return 0;
  }

  Request receive(int from, int tag, void* data, size_t bytes) override {
    open_[++latest_] = {from, tag, data, bytes};
    return latest_;
  }

  bool over(Request request) override {
    if (request == 0) return true;
    const Receive& open = open_.at(request);
    // Messages come in the order in which they were asked for, as MPI has it.
    for (const auto& [earlier, other] : open_) {
      if (earlier == request) break;
      if (other.tag == open.tag && (other.from == open.from || other.from == anyone || open.from == anyone))
        return false;
    }
    const std::lock_guard lock(mailboxes_->mutex);
    for (int from = 0; from < size_; ++from) {
      if (open.from != anyone && open.from != from) continue;
      const auto found = mailboxes_->messages.find({rank_, open.tag, from});
      if (found == mailboxes_->messages.end() || found->second.empty()) continue;
      const std::vector<std::byte>& message = found->second.front();
      if (message.size() != open.bytes)
        throw UserError(
            "a rank sent another number of bytes than was expected; start the same program on all");
      if (!message.empty()) std::memcpy(open.data, message.data(), message.size());
      found->second.pop_front();
      open_.erase(request);
      return true;
    }
    return false;
  }

  void end(bool in_order) override {
    open_.clear();
    if (!in_order) return;
    const std::lock_guard lock(mailboxes_->mutex);
    for (const auto& [way, waiting] : mailboxes_->messages)
      require(std::get<0>(way) != rank_ || waiting.empty(), "all that was sent to a rank was received");
  }

 private:
  struct Receive {
    int from, tag;
    void* data;
    size_t bytes;
  };
  std::shared_ptr<Mailboxes> mailboxes_;
  const int rank_, size_;
  std::map<Request, Receive> open_;
  Request latest_ = 0;
};

}  // namespace

std::vector<std::unique_ptr<Transport>> thread_transports(int size) {
  const auto mailboxes = std::make_shared<Mailboxes>();
  std::vector<std::unique_ptr<Transport>> result;
  for (int rank = 0; rank < size; ++rank)
    result.push_back(std::make_unique<ThreadTransport>(mailboxes, rank, size));
  return result;
}

}  // namespace lariat
