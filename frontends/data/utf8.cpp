#include "frontends/data/utf8.hpp"

#include <nlohmann/json.hpp>

namespace lariat::data {

bool is_utf8(std::string_view text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

}  // namespace lariat::data
