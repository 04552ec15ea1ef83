#pragma once

#include <map>
#include <string>

#include "graph/base/tensor.hpp"

namespace lariat {

/// Data for the inputs of a graph, by name.
using Feeds = std::map<std::string, Tensor, std::less<>>;

/// How a file holds tensors: as they are, or, where that is shorter by a quarter, as the bytes that coded()
/// makes of them (docs/model_file.md).
enum class Packing { plain, coded };

/// A tensor as a file holds it.
struct StoredTensor {
  uint64_t bytes = 0;
  /// "f32", "f64" or "i32"; of a coded one "coded f32", "coded f16" or "coded int8".
  std::string form;
};
using StoredTensors = std::map<std::string, StoredTensor, std::less<>>;

/// Named tensors and notes beside them: everything a checkpoint holds. Parameters, optimizer slots and
/// random-number counters live here, outside the graph. A copy has tensors of its own; what set() takes and
/// get() gives shares its memory with the store, so writing to one writes to the other. One thread at a time
/// may change a store.
class Store {
 public:
  Store() = default;
  Store(const Store& other);
  Store& operator=(const Store& other) { return *this = Store(other); }
  Store(Store&&) = default;
  Store& operator=(Store&&) = default;

  /// Adds the tensor or replaces the one of that name. Throws UserError for "__metadata__", which the file
  /// format keeps for itself.
  void set(std::string name, Tensor tensor);
  /// Throws UserError with the nearest name.
  Tensor get(std::string_view name) const;
  /// nullptr where there is none.
  const Tensor* find(std::string_view name) const;
  /// Takes out every tensor whose name begins like that.
  void erase_all(std::string_view start);
  size_t size() const { return tensors_.size(); }
  bool empty() const { return tensors_.empty(); }
  /// Pairs of name and tensor, by name.
  auto begin() const { return tensors_.begin(); }
  auto end() const { return tensors_.end(); }

  std::map<std::string, std::string>& metadata() { return metadata_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  /// Depends on names, types and bits of all tensors; not on metadata.
  uint64_t hash() const;

  /// Writes a safetensors file (https://github.com/huggingface/safetensors), which appears complete or not at
  /// all. Every bit is kept in either packing. A file that is new has the permissions of `like`, where there
  /// is one. Throws UserError naming file and reason.
  void save(const std::string& file, Packing packing = Packing::plain, const std::string& like = {}) const;
  /// Reads what save() wrote, or any safetensors file of F32, F64 and I32 tensors, and says in `stored` how
  /// the file holds each. Throws UserError naming the file and what is wrong with it.
  static Store load(const std::string& file, StoredTensors* stored = nullptr);

 private:
  std::map<std::string, Tensor, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace lariat
