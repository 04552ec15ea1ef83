// What messages say of names that are not known.
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::error_test {

TEST_CASE("errors: the nearest name is told, whatever its case, and none that has nothing in common") {
  const std::vector<std::string> known{"learning_rate", "Price", "w", "b", "momentum"};
  const auto nearest = [&](std::string_view wanted) { return nearest_name(wanted, known); };
  CHECK(nearest("learning_rat") == "learning_rate");
  CHECK(nearest("LEARNING_RATE") == "learning_rate");
  CHECK(nearest("PRICE") == "Price");
  CHECK(nearest("prise") == "Price");
  CHECK(nearest("W") == "w");
  CHECK(nearest("B") == "b");
  CHECK(nearest("q").empty());
  CHECK(nearest("xy").empty());
  CHECK(nearest("").empty());
  CHECK(nearest("w1") == "w");
  CHECK(did_you_mean("PRICE", known) == " Did you mean 'Price'?");
  CHECK(did_you_mean("q", {"x", "y"}) == " Known: x, y.");
  CHECK(did_you_mean("q", {}).empty());
}

}  // namespace lariat::error_test
