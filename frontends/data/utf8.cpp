#include "frontends/data/utf8.hpp"

#include "graph/base/json.hpp"

namespace lariat::data {

bool is_utf8(std::string_view text) {
  try {
    static_cast<void>(Json(text).dump());
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

}  // namespace lariat::data
