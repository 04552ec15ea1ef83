#pragma once

#include <memory>
#include <utility>

namespace lariat {

/// Throws UserError: `what` was asked after it had been moved to another.
[[noreturn]] void refuse_moved(const char* what);

/// What a class that can be moved is made of. T has a name, `what`, for the one line that an object left
/// behind answers with.
template <class T>
class Owned {
 public:
  Owned() = default;
  Owned(std::unique_ptr<T> owned) : owned_(std::move(owned)) {}

  T& operator*() const {
    if (!owned_) refuse_moved(T::what);
    return *owned_;
  }
  T* operator->() const { return &**this; }

 private:
  std::unique_ptr<T> owned_;
};

}  // namespace lariat
