#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lariat {

/// Moves bytes between the ranks of a run: processes, or threads in tests. One thread at a time makes calls.
/// Between two ranks, messages of one tag arrive in the order in which they were sent.
class Transport {
 public:
  /// Of a message that is on its way; 0 is over.
  using Request = int64_t;
  static constexpr int anyone = -1;

  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// "Open MPI v4.1.4"
  virtual std::string name() const = 0;
  /// Whether other threads than the one that started it may make calls.
  virtual bool any_thread() const = 0;
  /// The memory must stay until the request is over. Throws UserError where the network fails.
  virtual Request send(int to, int tag, const void* data, size_t bytes) = 0;
  /// Of exactly so many bytes.
  virtual Request receive(int from, int tag, void* data, size_t bytes) = 0;
  /// Whether the request is over, which ends it.
  virtual bool over(Request request) = 0;
  /// No call comes later. In order: every rank does the same.
  virtual void end(bool in_order) = 0;
};

/// Ranks that are threads of this process, for tests.
std::vector<std::unique_ptr<Transport>> thread_transports(int size);

}  // namespace lariat
