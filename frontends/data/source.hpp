#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/data/dataset.hpp"

namespace lariat::data {

/// A file that is read at any place, by many threads at once. Every failure throws UserError naming it.
class RandomFile {
 public:
  explicit RandomFile(std::string file);
  RandomFile(const RandomFile&) = delete;
  RandomFile& operator=(const RandomFile&) = delete;
  ~RandomFile();

  /// A file without a name, in the folder that TMPDIR names, else in /var/tmp: it is gone with the object,
  /// and with the process however that ends.
  static std::shared_ptr<RandomFile> temporary();
  /// The file itself, or, where gzip packed it, a temporary one that holds it unpacked.
  static std::shared_ptr<const RandomFile> unpacked(const std::string& file);

  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }
  void read(uint64_t at, void* to, size_t bytes) const;
  /// Of a temporary file, by one thread. Where the bytes begin.
  uint64_t append(const void* from, size_t bytes);

 private:
  friend class MappedFile;
  RandomFile(std::string name, int descriptor) : name_(std::move(name)), descriptor_(descriptor) {}

  std::string name_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

/// The bytes of a file that the system brings into memory as they are looked at. Throws as RandomFile does.
class MappedFile {
 public:
  explicit MappedFile(const std::string& file);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::string_view bytes() const { return bytes_; }
  /// What lies before `place` need not stay in memory.
  void forget(const char* place) const;

 private:
  std::string_view bytes_;
};

/// Calls `take` with where a block begins, and its bytes, of all of a file that need not fit into memory.
/// Throws UserError naming the file where it cannot be read, or is none.
void each_block(const std::string& file,
                const std::function<void(uint64_t begin, std::string_view bytes)>& take);

/// A number that stands for all bytes of a file.
uint64_t hash_of_file(const std::string& file);

/// Values of examples in a temporary file.
class KeptValues : public Source, public std::enable_shared_from_this<KeptValues> {
 public:
  /// Of a shared one: moves the values of an example into the file.
  void keep(Example& example);
  void read(int64_t number, std::span<float> values) const override;

 private:
  struct Place {
    uint64_t at = 0;
    size_t count = 0;
  };
  std::shared_ptr<RandomFile> file_ = RandomFile::temporary();
  std::vector<Place> places_;
};

}  // namespace lariat::data
