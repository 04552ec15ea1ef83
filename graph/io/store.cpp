#include "graph/io/store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>

#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/base/random.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/io/input_file.hpp"
#include "graph/io/store_header.hpp"

namespace lariat {

static_assert(std::endian::native == std::endian::little,
              "safetensors files are little-endian, as is this code");

namespace {

constexpr uint64_t length_bytes = 8;
constexpr uint64_t max_header_bytes = 100'000'000;

}  // namespace

Store::Store(const Store& other) : metadata_(other.metadata_) {
  for (const auto& [name, tensor] : other.tensors_) tensors_.emplace(name, tensor.clone());
}

void Store::set(std::string name, Tensor tensor) {
  if (name == metadata_key)
    throw UserError(fmt::format("a tensor cannot be named '{}'; choose another name", metadata_key));
  tensors_.insert_or_assign(std::move(name), std::move(tensor));
}

const Tensor* Store::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

Tensor Store::get(std::string_view name) const {
  if (const Tensor* tensor = find(name)) return *tensor;
  if (tensors_.empty()) throw UserError(fmt::format("the store has no tensor '{}'; it is empty", name));
  std::vector<std::string> known;
  for (const auto& [other, tensor] : tensors_) known.push_back(other);
  const std::string nearest = nearest_name(name, known);
  // A model's full list of names is no message.
  if (nearest.empty() && known.size() > 10)
    throw UserError(fmt::format("the store has no tensor '{}' among its {}", name, known.size()));
  throw UserError(fmt::format("the store has no tensor '{}'.{}", name, did_you_mean(name, known)));
}

void Store::erase_all(std::string_view start) {
  std::erase_if(tensors_, [&](const auto& entry) { return entry.first.starts_with(start); });
}

uint64_t Store::hash() const {
  uint64_t hash = hash_name("store");
  for (const auto& [name, tensor] : tensors_) {
    // The terminating zeros keep ("ab", …) and ("a", "b…") apart.
    const std::string type = text(tensor.type());
    hash = hash_bytes(name.c_str(), name.size() + 1, hash);
    hash = hash_bytes(type.c_str(), type.size() + 1, hash);
    hash = hash_bytes(tensor.view().data, tensor.bytes(), hash);
  }
  return hash;
}

void Store::save(const std::string& file) const {
  const auto quoted = [&](const std::string& name) {
    try {
      return Json(name).dump();
    } catch (const Json::exception&) {
      throw UserError(fmt::format("cannot save '{}': a name or note in it is not valid UTF-8: {}", file,
                                  to_text(Json(name))));
    }
  };
  std::string header;
  if (!metadata_.empty()) {
    for (const auto& [key, note] : metadata_)
      header += fmt::format("{}{}:{}", header.empty() ? "" : ",", quoted(key), quoted(note));
    header = fmt::format("\"{}\":{{{}}}", metadata_key, header);
  }
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors_) {
    std::string shape;
    for (const int64_t extent : tensor.extents())
      shape += fmt::format("{}{}", shape.empty() ? "" : ",", extent);
    header += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          header.empty() ? "" : ",", quoted(name), format_name(tensor.dtype()), shape, offset,
                          offset + tensor.bytes());
    offset += tensor.bytes();
  }
  header = "{" + header + "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  if (header.size() > max_header_bytes)
    throw UserError(
        fmt::format("cannot save '{}': its names and notes take {} bytes, the format allows {}; shorten them",
                    file, header.size(), max_header_bytes));
  const uint64_t length = header.size();
  AtomicFile out(file);
  out.write(&length, length_bytes);
  out.write(header);
  for (const auto& [name, tensor] : tensors_) out.write(tensor.view().data, tensor.bytes());
  out.commit();
}

namespace {

class Loader {
 public:
  explicit Loader(const std::string& file) : file_(open(file)) {}

  Store load() {
    const std::string text = read_header();
    StoreHeader header = parse_store_header(text, file_.size() - length_bytes - text.size());
    Store store;
    store.metadata() = std::move(header.metadata);
    for (StoreHeader::Entry& entry : header.entries) {
      Tensor tensor(entry.dtype, std::move(entry.extents));
      read(tensor.view().data, tensor.bytes());
      store.set(std::move(entry.name), std::move(tensor));
    }
    return store;
  }

 private:
  static InputFile open(const std::string& file) {
    try {
      return InputFile(file);
    } catch (const std::system_error& error) {
      switch (error.code().value()) {
        case ENOENT:
        case ENOTDIR:
          throw UserError("there is no such file");
        case EISDIR:
          throw UserError("it is a folder; name a file in it");
        default:
          throw UserError(error.code().message());
      }
    }
  }

  void read(void* data, uint64_t bytes) {
    try {
      file_.read(data, bytes);
    } catch (const std::system_error&) {
      damaged_store("it could not be read to its end");
    }
  }

  std::string read_header() {
    const uint64_t size = file_.size();
    if (size == 0) damaged_store("it is empty");
    std::string start(std::min<uint64_t>(size, length_bytes + 1), '\0');
    read(start.data(), start.size());
    // Every safetensors header begins with a brace; a length alone cannot tell a foreign file.
    if (start.size() > length_bytes && start[length_bytes] != '{') {
      std::string bytes;
      for (size_t i = 0; i < 4; ++i) bytes += fmt::format(" {:02x}", static_cast<unsigned char>(start[i]));
      throw UserError(fmt::format(
          "it is not a safetensors file (it begins with the bytes{}); name a file that Lariat saved", bytes));
    }
    if (start.size() <= length_bytes)
      damaged_store(fmt::format("it is truncated: a header takes more than {} bytes, the file has {}",
                                length_bytes, size));
    uint64_t length = 0;
    std::copy_n(start.data(), length_bytes, reinterpret_cast<char*>(&length));
    if (length > max_header_bytes)
      damaged_store(
          fmt::format("its header claims {} bytes, the format allows {}", length, max_header_bytes));
    if (length > size - length_bytes)
      damaged_store(
          fmt::format("it is truncated: the header takes {} bytes, the file has {} after its first {}",
                      length, size - length_bytes, length_bytes));
    if (length == 0) damaged_store("its header claims 0 bytes");
    std::string header(length, '{');
    read(header.data() + 1, length - 1);
    return header;
  }

  InputFile file_;
};

}  // namespace

Store Store::load(const std::string& file) {
  try {
    return Loader(file).load();
  } catch (const UserError& error) {
    throw UserError(fmt::format("cannot load '{}': {}", file, error.what()));
  } catch (const std::bad_alloc&) {
    throw UserError(fmt::format("cannot load '{}': there is not enough memory for it", file));
  }
}

}  // namespace lariat
