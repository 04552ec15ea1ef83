#include "benchmarks/data.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>

#include "graph/base/random.hpp"

namespace lariat::benchmarks {

namespace {

// Of 123 binary features of a9a, 13.9 are set in a row.
constexpr float density = 0.113f;

template <class Put>
void each_unit(const std::string& name, int64_t count, const Put& put) {
  const uint64_t stream = hash_name(name);
  for (int64_t i = 0; i < count; i += 4) {
    const auto bits = random_bits(0, stream, static_cast<uint64_t>(i / 4));
    for (int64_t j = i; j < std::min(i + 4, count); ++j) put(j, to_unit(bits[j - i]));
  }
}

}  // namespace

std::vector<float> numbers(const std::string& name, int64_t count, double scale) {
  std::vector<float> result(count);
  each_unit(name, count, [&](int64_t i, float u) { result[i] = static_cast<float>(scale) * (2 * u - 1); });
  return result;
}

std::vector<int32_t> labels(const std::string& name, int64_t count, int64_t classes) {
  std::vector<int32_t> result(count);
  each_unit(name, count,
            [&](int64_t i, float u) { result[i] = static_cast<int32_t>(u * static_cast<float>(classes)); });
  return result;
}

double kernel_scale(int64_t inputs, int64_t outputs) {
  return std::sqrt(6.0 / static_cast<double>(inputs + outputs));
}

double covering_sum(std::span<const float> values) {
  const std::vector<float> factors = numbers("covering sum", static_cast<int64_t>(values.size()));
  return std::inner_product(values.begin(), values.end(), factors.begin(), 0.0, std::plus(),
                            [](double value, double factor) { return value * factor; });
}

std::string data_path(const std::string& name) {
  const char* folder = std::getenv("LARIAT_DATA");
  const std::filesystem::path path = std::filesystem::path(folder ? folder : "../shared/data") / name;
  return std::filesystem::exists(path) ? path.string() : "";
}

Rows a9a(int64_t rows, int64_t columns) {
  Rows result{std::vector<float>(rows * columns), std::vector<float>(rows)};
  std::ifstream file(data_path("libsvm/a9a"));
  std::string line;
  int64_t row = 0;
  for (; row < rows && std::getline(file, line); ++row) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    result.y[row] = word[0] == '+' ? 1 : 0;
    while (words >> word) {
      int64_t column = 0;
      std::from_chars(word.data(), word.data() + word.size(), column);
      if (column >= 1 && column <= columns) result.x[row * columns + column - 1] = 1;
    }
  }
  if (row == rows) return result;
  each_unit("a9a/x", rows * columns, [&](int64_t i, float u) { result.x[i] = u < density ? 1 : 0; });
  each_unit("a9a/y", rows, [&](int64_t i, float u) { result.y[i] = u < 0.24f ? 1 : 0; });
  return result;
}

}  // namespace lariat::benchmarks
