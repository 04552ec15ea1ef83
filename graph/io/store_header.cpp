#include "graph/io/store_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <unordered_set>

#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

std::string_view format_name(DType dtype) { return dtype == f32 ? "F32" : dtype == f64 ? "F64" : "I32"; }

void damaged_store(std::string_view what) { throw UserError(fmt::format("{}; save the model again", what)); }

namespace {

constexpr std::array dtypes{f32, f64, i32};
constexpr size_t most_shown = 80;

// The text as a message shows it: what a damaged file holds may be long.
std::string shown(std::string_view text) {
  if (text.size() <= most_shown) return std::string(text);
  // Not within a character of UTF-8.
  size_t end = most_shown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

// What a member that should be a list of whole numbers ≥ 0 holds.
struct Counts {
  bool is_list = false, whole = true;
  std::vector<uint64_t> numbers;
  std::string written;  // the start of it, as JSON

  void add(std::optional<uint64_t> number, std::string_view text) {
    if (number && *number <= INT64_MAX) {
      // One more than may be there is enough to know.
      if (numbers.size() <= most_dimensions) numbers.push_back(*number);
    } else {
      whole = false;
    }
    if (written.size() <= most_shown) written += fmt::format("{}{}", written.empty() ? "" : ",", shown(text));
  }
  std::string text() const { return shown("[" + written + "]"); }
};

[[noreturn]] void unreadable(std::string_view tensor, std::string_view dtype) {
  throw UserError(fmt::format("tensor '{}' is {}; Lariat reads F32, F64 and I32: convert it first",
                              shown(tensor), shown(dtype)));
}

// Builds the header from what the parser meets; it never holds more than one tensor's description.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  StoreHeader header;

  bool null() override { return value("null"); }
  bool boolean(bool value_) override { return value(value_ ? "true" : "false"); }
  bool number_integer(number_integer_t number) override { return value(fmt::format("{}", number)); }
  bool number_unsigned(number_unsigned_t number) override { return value(fmt::format("{}", number), number); }
  bool number_float(number_float_t, const string_t& text) override { return value(text); }
  bool binary(binary_t&) override { return value("binary"); }

  bool string(string_t& text) override {
    if (depth_ == 2 && in_metadata_) {
      header.metadata.emplace(key_, std::move(text));
      return true;
    }
    if (depth_ == 2 && !in_metadata_ && key_ == "dtype") {
      dtype_ = std::move(text);
      return true;
    }
    return value(Json(shown(text)).dump());
  }

  bool start_object(std::size_t) override {
    open("an object");
    if (depth_ == 2) begin_tensor();
    return true;
  }
  bool end_object() override {
    if (depth_-- == 2 && !in_metadata_) end_tensor();
    return true;
  }
  bool start_array(std::size_t) override {
    open("a list");
    if (Counts* counts = depth_ == 3 ? counts_of_key() : nullptr) counts->is_list = true;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }

  bool key(string_t& text) override {
    if (depth_ == 1) {
      if (!names_.insert(text).second) twice(text);
      name_ = std::move(text);
      in_metadata_ = name_ == metadata_key;
    } else if (depth_ == 2) {
      if (!(in_metadata_ ? !header.metadata.contains(text) : keys_.insert(text).second)) twice(text);
      key_ = std::move(text);
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string& last, const Json::exception& error) override {
    if (const auto* syntax = dynamic_cast<const Json::parse_error*>(&error))
      damaged_store(fmt::format("its header is not valid JSON at byte {}", syntax->byte));
    damaged_store(
        fmt::format("its header has '{}', which is no number, before byte {}", shown(last), position));
  }

 private:
  [[noreturn]] static void twice(const std::string& name) {
    damaged_store(fmt::format("its header names '{}' twice", shown(name)));
  }

  // A list or an object begins where `depth_` others are open.
  void open(const char* what) {
    if (depth_ == 0 && what != std::string_view("an object"))
      damaged_store("its header is a list, not an object");
    if (depth_ == 1 && what != std::string_view("an object")) not_described(what);
    if (depth_ == 2 && in_metadata_) not_a_note(what);
    if (depth_ == 3) damaged_store("its header is nested too deeply");
    ++depth_;
  }

  [[noreturn]] void not_described(std::string_view what) const {
    if (in_metadata_) damaged_store(fmt::format("'{}' is not a map of strings", metadata_key));
    damaged_store(fmt::format("tensor '{}' is described by {}, not by an object", shown(name_), shown(what)));
  }
  [[noreturn]] void not_a_note(std::string_view what) const {
    damaged_store(
        fmt::format("'{}' is not a map of strings: '{}' is {}", metadata_key, shown(key_), shown(what)));
  }

  // Anything but a list, an object or a string that is expected.
  bool value(std::string_view text, std::optional<uint64_t> number = std::nullopt) {
    if (depth_ == 0) damaged_store(fmt::format("its header is {}, not an object", shown(text)));
    if (depth_ == 1) not_described(text);
    if (depth_ == 2 && in_metadata_) not_a_note(text);
    if (Counts* counts = depth_ == 3 ? counts_of_key() : nullptr) counts->add(number, text);
    return true;
  }

  Counts* counts_of_key() { return key_ == "shape" ? &shape_ : key_ == "data_offsets" ? &offsets_ : nullptr; }

  void begin_tensor() {
    keys_.clear();
    dtype_.reset();
    shape_ = offsets_ = {};
    if (!in_metadata_ && header.entries.size() == most_tensors)
      damaged_store(fmt::format("it names more than {} tensors", most_tensors));
  }

  void check(const Counts& counts, const char* key) const {
    if (!counts.is_list) damaged_store(fmt::format("tensor '{}' has no list '{}'", shown(name_), key));
    if (!counts.whole)
      damaged_store(
          fmt::format("tensor '{}' has '{}' {}, not whole numbers", shown(name_), key, counts.text()));
  }

  void end_tensor() {
    const std::string name = shown(name_);
    if (!dtype_) damaged_store(fmt::format("tensor '{}' has no 'dtype'", name));
    const auto known =
        std::find_if(dtypes.begin(), dtypes.end(), [&](DType d) { return format_name(d) == *dtype_; });
    const bool coded = *dtype_ == coded_name;
    if (known == dtypes.end() && !coded) unreadable(name_, *dtype_);
    check(shape_, "shape");
    if (shape_.numbers.size() > most_dimensions)
      damaged_store(fmt::format("tensor '{}' has more than {} dimensions", name, most_dimensions));
    check(offsets_, "data_offsets");
    if (offsets_.numbers.size() != 2 || offsets_.numbers[0] > offsets_.numbers[1])
      damaged_store(fmt::format("tensor '{}' has data_offsets {}, not [begin, end]", name, offsets_.text()));
    StoreHeader::Entry entry;
    entry.coded = coded;
    if (!coded) entry.dtype = *known;
    entry.extents.assign(shape_.numbers.begin(), shape_.numbers.end());
    entry.begin = offsets_.numbers[0];
    entry.end = offsets_.numbers[1];
    uint64_t bytes = 0;
    try {
      if (__builtin_mul_overflow(static_cast<uint64_t>(element_count(entry.extents)),
                                 coded ? 1 : size_of(entry.dtype), &bytes))
        throw UserError("the size exceeds what 64 bits can count");
    } catch (const UserError& error) {
      damaged_store(
          fmt::format("tensor '{}' has shape {}: {}", name, shown(text(entry.extents)), error.what()));
    }
    if (entry.bytes() != bytes)
      damaged_store(fmt::format("tensor '{}' of type {}{} takes {} bytes, its data_offsets [{}, {}] hold {}",
                                name, coded ? "u8" : name_of(entry.dtype), shown(text(entry.extents)), bytes,
                                entry.begin, entry.end, entry.bytes()));
    entry.name = std::move(name_);
    header.entries.push_back(std::move(entry));
  }

  size_t depth_ = 0;  // of open lists and objects
  bool in_metadata_ = false;
  std::string name_, key_;  // at depths 1 and 2
  std::unordered_set<std::string> names_;
  // Of the tensor that is being read.
  std::set<std::string> keys_;
  std::optional<std::string> dtype_;
  Counts shape_, offsets_;
};

// Bytes are coded tensors where the file says so.
void check_coding(const StoreHeader& header) {
  const auto coded = std::find_if(header.entries.begin(), header.entries.end(),
                                  [](const StoreHeader::Entry& entry) { return entry.coded; });
  const auto note = header.metadata.find(std::string(coding_note));
  if (note == header.metadata.end()) {
    if (coded != header.entries.end()) unreadable(coded->name, coded_name);
  } else if (note->second != coding_text) {
    throw UserError(
        fmt::format("its tensors are coded as '{}', this program reads '{}'; use the Lariat that wrote it",
                    shown(note->second), coding_text));
  }
}

// The format wants every byte to belong to one tensor.
void check_places(const std::vector<StoreHeader::Entry>& entries, uint64_t available) {
  uint64_t at = 0;
  for (const StoreHeader::Entry& entry : entries) {
    if (entry.begin < at)
      damaged_store(fmt::format(
          "tensor '{}' begins at byte {} of the data, within the tensor before it, which ends at {}",
          shown(entry.name), entry.begin, at));
    if (entry.begin > at)
      damaged_store(fmt::format("bytes {} to {} of the data, before tensor '{}', belong to no tensor", at,
                                entry.begin, shown(entry.name)));
    at = entry.end;
  }
  if (at > available)
    damaged_store(
        fmt::format("it is truncated: the header names {} bytes of data, the file has {}", at, available));
  if (at < available)
    damaged_store(
        fmt::format("{} bytes follow the {} bytes of data that the header names", available - at, at));
}

}  // namespace

StoreHeader parse_store_header(std::string_view text, uint64_t data_bytes) {
  // The parser takes a zero byte for the end.
  if (const size_t zero = text.find('\0'); zero != text.npos)
    damaged_store(fmt::format("its header is not valid JSON at byte {}", zero + 1));
  HeaderReader reader;
  Json::sax_parse(text, &reader);
  std::vector<StoreHeader::Entry>& entries = reader.header.entries;
  // Empty tensors share their place with a neighbour: they come first.
  std::sort(entries.begin(), entries.end(), [](const StoreHeader::Entry& a, const StoreHeader::Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_places(entries, data_bytes);
  check_coding(reader.header);
  return std::move(reader.header);
}

}  // namespace lariat
