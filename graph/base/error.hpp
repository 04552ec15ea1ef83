#pragma once

#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lariat {

/// Everything Lariat throws but want of memory. The message is one line, ready to be shown.
class Error : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The input is wrong: names the thing, the values and the next step. Command-line exit status 2.
class UserError final : public Error {
  using Error::Error;
};

/// The input was right but the job did not succeed (diverged, mismatch). Command-line exit status 1.
class JobError final : public Error {
  using Error::Error;
};

/// A fault in Lariat itself: an invariant does not hold.
class InternalError final : public Error {
  using Error::Error;
};

/// Memory that was asked for is refused. No Error, as nothing is wrong with the input, and who asks whether
/// it is must not take this for an answer.
class OutOfMemory final : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string message)
      : message_(std::make_shared<const std::string>(std::move(message))) {}
  const char* what() const noexcept override { return message_->c_str(); }

 private:
  std::shared_ptr<const std::string> message_;
};

/// Throws InternalError naming `what` unless `condition` holds.
void require(bool condition, std::string_view what);

/// Throws UserError "WHAT is an empty function; give it one" where `function`, of a user, holds none.
template <class Function>
void require_function(const Function& function, const char* what) {
  if (!function) throw UserError(std::string(what) + " is an empty function; give it one");
}

/// The member of `known` closest to `wanted` by edit distance, or "" where nothing is close.
std::string nearest_name(std::string_view wanted, std::span<const std::string> known);

/// " Did you mean 'nearest'?", or " Known: a, b, c." where nothing is close. Starts with a space.
std::string did_you_mean(std::string_view wanted, const std::vector<std::string>& known);

}  // namespace lariat
