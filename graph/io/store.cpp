#include "graph/io/store.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <optional>
#include <system_error>

#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/base/random.hpp"
#include "graph/io/atomic_file.hpp"
#include "graph/io/input_file.hpp"
#include "graph/io/store_header.hpp"
#include "graph/io/tensor_coding.hpp"

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

void Store::save(const std::string& file, Packing packing, const std::string& like) const {
  const auto quoted = [&](const std::string& name) {
    try {
      return Json(name).dump();
    } catch (const Json::exception&) {
      throw UserError(fmt::format("cannot save '{}': a name or note in it is not valid UTF-8: {}", file,
                                  to_text(Json(name))));
    }
  };
  if (metadata_.contains(std::string(coding_note)))
    throw UserError(fmt::format("cannot save '{}': the note '{}' is the format's own; choose another name",
                                file, coding_note));
  std::map<std::string_view, std::string> codes;
  if (packing == Packing::coded)
    for (const auto& [name, tensor] : tensors_)
      if (std::optional<std::string> code = coded(tensor)) codes.emplace(name, std::move(*code));
  std::map<std::string, std::string> notes = metadata_;
  if (!codes.empty()) notes.emplace(coding_note, coding_text);
  std::string header;
  if (!notes.empty()) {
    for (const auto& [key, note] : notes)
      header += fmt::format("{}{}:{}", header.empty() ? "" : ",", quoted(key), quoted(note));
    header = fmt::format("\"{}\":{{{}}}", metadata_key, header);
  }
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors_) {
    const auto code = codes.find(name);
    const bool is_coded = code != codes.end();
    const uint64_t bytes = is_coded ? code->second.size() : tensor.bytes();
    header += fmt::format(
        "{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", header.empty() ? "" : ",",
        quoted(name), is_coded ? coded_name : format_name(tensor.dtype()),
        is_coded ? fmt::format("{}", bytes) : fmt::format("{}", fmt::join(tensor.extents(), ",")), offset,
        offset + bytes);
    offset += bytes;
  }
  header = "{" + header + "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  if (header.size() > max_header_bytes)
    throw UserError(
        fmt::format("cannot save '{}': its names and notes take {} bytes, the format allows {}; shorten them",
                    file, header.size(), max_header_bytes));
  const uint64_t length = header.size();
  AtomicFile out(file, like);
  out.write(&length, length_bytes);
  out.write(header);
  for (const auto& [name, tensor] : tensors_) {
    const auto code = codes.find(name);
    code == codes.end() ? out.write(tensor.view().data, tensor.bytes()) : out.write(code->second);
  }
  out.commit();
}

namespace {

class Loader {
 public:
  explicit Loader(const std::string& file) : file_(open(file)) {}

  Store load(StoredTensors* stored) {
    const std::string text = read_header();
    StoreHeader header = parse_store_header(text, file_.size() - length_bytes - text.size());
    Store store;
    header.metadata.erase(std::string(coding_note));
    store.metadata() = std::move(header.metadata);
    for (StoreHeader::Entry& entry : header.entries) {
      std::string form(name_of(entry.dtype));
      Tensor tensor = entry.coded ? read_coded(entry, form) : Tensor(entry.dtype, std::move(entry.extents));
      if (!entry.coded) read(tensor.view().data, tensor.bytes());
      if (stored != nullptr) stored->insert_or_assign(entry.name, StoredTensor{entry.bytes(), form});
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

  Tensor read_coded(const StoreHeader::Entry& entry, std::string& form) {
    std::string bytes(entry.bytes(), '\0');
    read(bytes.data(), bytes.size());
    NumberForm numbers{};
    Tensor tensor = decoded(bytes, entry.name, &numbers);
    form = fmt::format("coded {}", name_of(numbers));
    return tensor;
  }

  InputFile file_;
};

}  // namespace

Store Store::load(const std::string& file, StoredTensors* stored) {
  try {
    return Loader(file).load(stored);
  } catch (const UserError& error) {
    throw UserError(fmt::format("cannot load '{}': {}", file, error.what()));
  } catch (const std::bad_alloc&) {
    throw UserError(fmt::format("cannot load '{}': there is not enough memory for it", file));
  }
}

}  // namespace lariat
