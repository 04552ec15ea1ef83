#include "tests/support/files.hpp"

#include <unistd.h>

#include <fstream>

#include "tests/support/testing.hpp"

namespace fs = std::filesystem;

namespace lariat::testing {

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "lariat-test-XXXXXX").string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code none;
  fs::remove_all(path_, none);
}

int64_t TemporaryFolder::entries() const {
  return std::distance(fs::directory_iterator(path_), fs::directory_iterator());
}

std::string read_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_file(const std::string& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

}  // namespace lariat::testing
