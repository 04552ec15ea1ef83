#include "tests/support/toy_data.hpp"

#include "frontends/data/random.hpp"

namespace lariat::testing {

namespace {

std::vector<std::string> class_names(int classes) {
  std::vector<std::string> names;
  for (int i = 0; i < classes; ++i) names.push_back("class " + std::to_string(i));
  return names;
}

}  // namespace

data::Dataset points(int count, int classes, int dimensions, uint64_t seed) {
  data::Dataset dataset;
  dataset.sequences = false;
  dataset.classes = class_names(classes);
  for (int i = 0; i < count; ++i) {
    data::RandomStream random(seed, data::RandomPurpose::noise, static_cast<uint32_t>(i));
    data::Example example{"point " + std::to_string(i), i % classes, 1, dimensions,
                          std::vector<float>(static_cast<size_t>(dimensions))};
    for (int d = 0; d < dimensions; ++d)
      example.values[static_cast<size_t>(d)] =
          static_cast<float>(0.4 * random.normal() + (d == i % classes ? 2 : 0));
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

data::Dataset sequences(int count, int classes, int dimensions, int shortest, int longest, uint64_t seed) {
  data::Dataset dataset;
  dataset.classes = class_names(classes);
  for (int i = 0; i < count; ++i) {
    data::RandomStream random(seed, data::RandomPurpose::noise, static_cast<uint32_t>(i));
    const int frames =
        shortest + static_cast<int>(random.below(static_cast<uint32_t>(longest - shortest + 1)));
    data::Example example{"sequence " + std::to_string(i), i % classes, frames, dimensions, {}};
    for (int j = 0; j < frames * dimensions; ++j)
      example.values.push_back(
          static_cast<float>(0.5 * random.normal() + (j % dimensions == i % classes ? 1 : 0)));
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

}  // namespace lariat::testing
