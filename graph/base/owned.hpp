#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace lariat {

/// Throws UserError: `what` was asked after it had been moved to another.
[[noreturn]] void refuse_moved(const char* what);

/// A word as an argument of a template.
template <size_t size>
struct Word {
  char text[size] = {};
  constexpr Word(const char (&word)[size]) {
    for (size_t i = 0; i < size; ++i) text[i] = word[i];
  }
};

/// What a class that can be moved is made of. `what` is what the class is called in the one line that an
/// object left behind answers with.
template <class T, Word what>
class Owned {
 public:
  Owned() = default;
  Owned(std::unique_ptr<T> owned) : owned_(std::move(owned)) {}

  T& operator*() const {
    if (!owned_) refuse_moved(what.text);
    return *owned_;
  }
  T* operator->() const { return &**this; }

 private:
  std::unique_ptr<T> owned_;
};

}  // namespace lariat
