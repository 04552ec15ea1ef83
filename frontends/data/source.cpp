#include "frontends/data/source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <cerrno>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/io/input_file.hpp"
#include "graph/io/system_call.hpp"

namespace lariat::data {

namespace {

constexpr size_t largest_call = size_t{1} << 30;  // Linux moves at most 2 GiB in one call

std::string temporary_folder() {
  const char* named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/var/tmp";
}

[[noreturn]] void fail_temporary(const std::string& folder, int error_number) {
  throw UserError(
      fmt::format("'{}': a temporary file for the data cannot be written ({}); set TMPDIR to a folder "
                  "with more room",
                  folder, std::strerror(error_number)));
}

[[noreturn]] void fail_reading(const std::string& file, int error_number) {
  throw UserError(
      fmt::format("{}: {}", file, reason_of(std::system_error(error_number, std::generic_category()))));
}

}  // namespace

RandomFile::RandomFile(std::string file) : name_(std::move(file)) {
  descriptor_ = uninterrupted([&] { return open(name_.c_str(), O_RDONLY | O_CLOEXEC); });
  if (descriptor_ < 0) fail_reading(name_, errno);
  struct stat status = {};
  const bool known = fstat(descriptor_, &status) == 0;
  if (known && S_ISREG(status.st_mode)) {
    size_ = static_cast<uint64_t>(status.st_size);
    return;
  }
  close(descriptor_);
  if (known && S_ISDIR(status.st_mode)) fail_reading(name_, EISDIR);
  throw UserError(fmt::format("{}: is no regular file, and cannot be streamed; copy it to one", name_));
}

RandomFile::~RandomFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

std::shared_ptr<RandomFile> RandomFile::temporary() {
  const std::string folder = temporary_folder();
  int descriptor = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
    std::string name = folder + "/lariat-XXXXXX";
    descriptor = mkostemp(name.data(), O_CLOEXEC);
    if (descriptor >= 0) unlink(name.c_str());
  }
  if (descriptor < 0) fail_temporary(folder, errno);
  return std::shared_ptr<RandomFile>(new RandomFile(folder, descriptor));
}

std::shared_ptr<const RandomFile> RandomFile::unpacked(const std::string& file) {
  auto plain = std::make_shared<const RandomFile>(file);
  std::array<unsigned char, 2> magic = {};
  if (plain->size() >= magic.size()) plain->read(0, magic.data(), magic.size());
  if (magic[0] != 0x1f || magic[1] != 0x8b) return plain;
  const std::shared_ptr<RandomFile> result = temporary();
  result->name_ = file;
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> packed(gzopen(file.c_str(), "rbe"), gzclose);
  if (!packed) fail_reading(file, errno);
  std::vector<char> block(size_t{1} << 20);
  while (true) {
    const int count = gzread(packed.get(), block.data(), static_cast<unsigned>(block.size()));
    if (count > 0) result->append(block.data(), static_cast<size_t>(count));
    if (count == static_cast<int>(block.size())) continue;
    int status = Z_OK;
    const char* why = gzerror(packed.get(), &status);
    if (status == Z_OK) return result;
    throw UserError(fmt::format("{}: damaged: {}; copy it again", file,
                                status == Z_BUF_ERROR ? "it ends too early" : why));
  }
}

void RandomFile::read(uint64_t at, void* to, size_t bytes) const {
  auto* next = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t count = uninterrupted(
        [&] { return pread(descriptor_, next, std::min(bytes, largest_call), static_cast<off_t>(at)); });
    if (count < 0) fail_reading(name_, errno);
    if (count == 0)
      throw UserError(fmt::format("{}: became shorter while it was read; leave it as it is", name_));
    next += count;
    at += static_cast<uint64_t>(count);
    bytes -= static_cast<size_t>(count);
  }
}

uint64_t RandomFile::append(const void* from, size_t bytes) {
  const uint64_t begin = size_;
  const auto* next = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t count = uninterrupted(
        [&] { return pwrite(descriptor_, next, std::min(bytes, largest_call), static_cast<off_t>(size_)); });
    if (count <= 0) fail_temporary(temporary_folder(), count == 0 ? ENOSPC : errno);
    next += count;
    size_ += static_cast<uint64_t>(count);
    bytes -= static_cast<size_t>(count);
  }
  return begin;
}

MappedFile::MappedFile(const std::string& file) {
  const RandomFile opened(file);
  if (opened.size() == 0) return;
  void* mapped = mmap(nullptr, opened.size(), PROT_READ, MAP_PRIVATE, opened.descriptor_, 0);
  if (mapped == MAP_FAILED) fail_reading(file, errno);
  bytes_ = {static_cast<const char*>(mapped), opened.size()};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

void MappedFile::forget(const char* place) const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t whole = static_cast<size_t>(place - bytes_.data()) / page * page;
  if (whole > 0) madvise(const_cast<char*>(bytes_.data()), whole, MADV_DONTNEED);
}

void KeptValues::keep(Example& example) {
  places_.push_back(
      {file_->append(example.values.data(), example.values.size() * sizeof(float)), example.values.size()});
  example.number = static_cast<int64_t>(places_.size()) - 1;
  example.stored = shared_from_this();
  example.values = {};
}

void KeptValues::read(int64_t number, std::span<float> values) const {
  const Place& place = places_.at(static_cast<size_t>(number));
  require(place.count == values.size(), "as many values are read as were kept");
  file_->read(place.at, values.data(), values.size_bytes());
}

void each_block(const std::string& file,
                const std::function<void(uint64_t begin, std::string_view bytes)>& take) {
  constexpr uint64_t block_bytes = uint64_t{1} << 20;
  const RandomFile opened(file);
  std::string block;
  for (uint64_t at = 0; at < opened.size(); at += block.size()) {
    block.resize(std::min(block_bytes, opened.size() - at));
    opened.read(at, block.data(), block.size());
    take(at, block);
  }
}

uint64_t hash_of_file(const std::string& file) {
  uint64_t hash = 0;
  each_block(file,
             [&](uint64_t, std::string_view bytes) { hash = hash_words(bytes.data(), bytes.size(), hash); });
  return hash;
}

}  // namespace lariat::data
