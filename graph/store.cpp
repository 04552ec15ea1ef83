#include "graph/store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "graph/atomic_file.hpp"
#include "graph/error.hpp"
#include "graph/random.hpp"

namespace lariat {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little,
              "safetensors files are little-endian, as is this code");

namespace {

constexpr std::string_view metadata_key = "__metadata__";
constexpr uint64_t length_bytes = 8;
constexpr uint64_t max_header_bytes = 100'000'000;

std::string_view format_name(DType dtype) { return dtype == f32 ? "F32" : dtype == f64 ? "F64" : "I32"; }

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
      return json(name).dump();
    } catch (const json::exception&) {
      throw UserError(fmt::format("cannot save '{}': a name or note in it is not valid UTF-8: {}", file,
                                  json(name).dump(-1, ' ', false, json::error_handler_t::replace)));
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

/// What the header says of one tensor; offsets count from the first byte after the header.
struct Entry {
  std::string name;
  DType dtype = f32;
  Extents extents;
  uint64_t begin = 0, end = 0;
};

class Loader {
 public:
  explicit Loader(const std::string& file) : file_(file) {}

  Store load() {
    open();
    const std::string header = read_header();
    const json root = parse_header(header);
    Store store;
    std::vector<Entry> entries;
    for (const auto& [name, value] : root.items()) {
      if (name == metadata_key) {
        store.metadata() = metadata_of(value);
      } else {
        entries.push_back(entry_of(name, value));
      }
    }
    // Empty tensors share their place with a neighbour: they come first.
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    check_places(entries, size_ - length_bytes - header.size());
    for (Entry& entry : entries) {
      Tensor tensor(entry.dtype, std::move(entry.extents));
      read(tensor.view().data, tensor.bytes());
      store.set(std::move(entry.name), std::move(tensor));
    }
    return store;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw UserError(fmt::format("cannot load '{}': {}", file_, what));
  }
  [[noreturn]] void damaged(std::string_view what) const {
    fail(fmt::format("{}; save the model again", what));
  }

  void open() {
    std::error_code error;
    const auto status = std::filesystem::status(file_, error);
    if (status.type() == std::filesystem::file_type::not_found) fail("there is no such file");
    if (error) fail(error.message());
    if (status.type() == std::filesystem::file_type::directory) fail("it is a folder; name a file in it");
    if (status.type() != std::filesystem::file_type::regular)
      fail("it is not a regular file; copy it to one first");
    size_ = std::filesystem::file_size(file_, error);
    if (error) fail(error.message());
    errno = 0;
    stream_.open(file_, std::ios::binary);
    if (!stream_) fail(std::generic_category().message(errno));
  }

  void read(void* data, uint64_t bytes) {
    if (!stream_.read(static_cast<char*>(data), static_cast<std::streamsize>(bytes)))
      damaged("it could not be read to its end");
  }

  std::string read_header() {
    if (size_ == 0) damaged("it is empty");
    std::string start(std::min<uint64_t>(size_, length_bytes + 1), '\0');
    read(start.data(), start.size());
    // Every safetensors header begins with a brace; a length alone cannot tell a foreign file.
    if (start.size() > length_bytes && start[length_bytes] != '{') {
      std::string bytes;
      for (size_t i = 0; i < 4; ++i) bytes += fmt::format(" {:02x}", static_cast<unsigned char>(start[i]));
      fail(fmt::format(
          "it is not a safetensors file (it begins with the bytes{}); name a file that Lariat saved", bytes));
    }
    if (start.size() <= length_bytes)
      damaged(fmt::format("it is truncated: a header takes more than {} bytes, the file has {}", length_bytes,
                          size_));
    uint64_t length = 0;
    std::copy_n(start.data(), length_bytes, reinterpret_cast<char*>(&length));
    if (length > max_header_bytes)
      damaged(fmt::format("its header claims {} bytes, the format allows {}", length, max_header_bytes));
    if (length > size_ - length_bytes)
      damaged(fmt::format("it is truncated: the header takes {} bytes, the file has {} after its first {}",
                          length, size_ - length_bytes, length_bytes));
    if (length == 0) damaged("its header claims 0 bytes");
    std::string header(length, '{');
    read(header.data() + 1, length - 1);
    return header;
  }

  // Refuses what a DOM would hide or choke on: keys that are given twice, and deep nesting.
  json parse_header(const std::string& header) const {
    std::vector<std::set<std::string>> keys;
    const auto check = [&](int depth, json::parse_event_t event, json& value) {
      if (depth > 3) damaged("its header is nested too deeply");
      if (event == json::parse_event_t::object_start) keys.resize(static_cast<size_t>(depth) + 1);
      if (event == json::parse_event_t::object_start) keys[depth].clear();
      if (event == json::parse_event_t::key && !keys[depth - 1].insert(value.get<std::string>()).second)
        damaged(fmt::format("its header names '{}' twice", value.get<std::string>()));
      return true;
    };
    try {
      return json::parse(header, check);
    } catch (const json::parse_error& error) {
      damaged(fmt::format("its header is not valid JSON at byte {}", error.byte));
    }
  }

  std::map<std::string, std::string> metadata_of(const json& value) const {
    std::map<std::string, std::string> result;
    if (!value.is_object()) damaged(fmt::format("'{}' is not a map of strings", metadata_key));
    for (const auto& [key, note] : value.items()) {
      if (!note.is_string())
        damaged(fmt::format("'{}' is not a map of strings: '{}' is {}", metadata_key, key, note.dump()));
      result.emplace(key, note.get<std::string>());
    }
    return result;
  }

  // The list of whole numbers ≥ 0 that `value` holds under `key`.
  std::vector<uint64_t> counts_of(const std::string& name, const json& value, const char* key) const {
    const auto found = value.find(key);
    if (found == value.end() || !found->is_array())
      damaged(fmt::format("tensor '{}' has no list '{}'", name, key));
    std::vector<uint64_t> result;
    for (const json& number : *found) {
      if (!number.is_number_unsigned() || number.get<uint64_t>() > INT64_MAX)
        damaged(fmt::format("tensor '{}' has '{}' {}, not whole numbers", name, key, found->dump()));
      result.push_back(number.get<uint64_t>());
    }
    return result;
  }

  Entry entry_of(const std::string& name, const json& value) const {
    if (!value.is_object())
      damaged(fmt::format("tensor '{}' is described by {}, not by an object", name, value.dump()));
    Entry entry;
    entry.name = name;
    const auto dtype = value.find("dtype");
    if (dtype == value.end() || !dtype->is_string()) damaged(fmt::format("tensor '{}' has no 'dtype'", name));
    const auto& written = dtype->get_ref<const std::string&>();
    const auto known =
        std::find_if(dtypes.begin(), dtypes.end(), [&](DType d) { return format_name(d) == written; });
    if (known == dtypes.end())
      fail(fmt::format("tensor '{}' is {}; Lariat reads F32, F64 and I32: convert it first", name, written));
    entry.dtype = *known;
    for (const uint64_t extent : counts_of(name, value, "shape"))
      entry.extents.push_back(static_cast<int64_t>(extent));
    const std::vector<uint64_t> offsets = counts_of(name, value, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1])
      damaged(fmt::format("tensor '{}' has data_offsets {}, not [begin, end]", name,
                          value["data_offsets"].dump()));
    entry.begin = offsets[0];
    entry.end = offsets[1];
    uint64_t bytes = 0;
    try {
      if (__builtin_mul_overflow(static_cast<uint64_t>(element_count(entry.extents)), size_of(entry.dtype),
                                 &bytes))
        throw UserError("the size exceeds what 64 bits can count");
    } catch (const UserError& error) {
      damaged(fmt::format("tensor '{}' has shape {}: {}", name, text(entry.extents), error.what()));
    }
    if (entry.end - entry.begin != bytes)
      damaged(fmt::format("tensor '{}' of type {}{} takes {} bytes, its data_offsets [{}, {}] hold {}", name,
                          name_of(entry.dtype), text(entry.extents), bytes, entry.begin, entry.end,
                          entry.end - entry.begin));
    return entry;
  }

  // The format wants every byte to belong to one tensor.
  void check_places(const std::vector<Entry>& entries, uint64_t available) const {
    uint64_t at = 0;
    for (const Entry& entry : entries) {
      if (entry.begin < at)
        damaged(fmt::format(
            "tensor '{}' begins at byte {} of the data, within the tensor before it, which ends at {}",
            entry.name, entry.begin, at));
      if (entry.begin > at)
        damaged(fmt::format("bytes {} to {} of the data, before tensor '{}', belong to no tensor", at,
                            entry.begin, entry.name));
      at = entry.end;
    }
    if (at > available)
      damaged(
          fmt::format("it is truncated: the header names {} bytes of data, the file has {}", at, available));
    if (at < available)
      damaged(fmt::format("{} bytes follow the {} bytes of data that the header names", available - at, at));
  }

  static constexpr std::array dtypes{f32, f64, i32};

  const std::string& file_;
  uint64_t size_ = 0;
  std::ifstream stream_;
};

}  // namespace

Store Store::load(const std::string& file) { return Loader(file).load(); }

}  // namespace lariat
