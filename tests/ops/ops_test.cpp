// Generated from the records: every op of the registry, through its own samples and rejects.
#include "autodiff/check/gradcheck.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/registry.hpp"
#include "tests/support/testing.hpp"

namespace lariat::ops_test {

TEST_CASE("every op passes gradcheck through its samples") {
  int64_t checks = 0;
  for (const OpDef* op : registry().all()) {
    if (op->plugin) continue;  // of another test
    const GradcheckResult result = gradcheck(*op);
    CAPTURE(op->name);
    CAPTURE(result.detail);
    CAPTURE(result.worst_error);
    CHECK(result.passed);
    CHECK(result.checks == result.expected_checks);
    if (op->vjp && !op->traits.stops_gradient) CHECK(result.checks > 0);
    checks += result.checks;
  }
  CHECK(checks > 1000);
}

TEST_CASE("every op refuses what its record says, with that message") {
  int refused = 0;
  for (const OpDef* op : registry().all()) {
    for (const Reject& reject : op->rejects) {
      Graph graph;
      std::vector<Value> inputs;
      for (size_t i = 0; i < reject.inputs.size(); ++i)
        inputs.push_back(
            graph.input("x" + std::to_string(i), reject.inputs[i].shape, reject.inputs[i].dtype));
      const std::string message =
          testing::message_of<UserError>([&] { graph.add(*op, inputs, reject.attributes, "node"); });
      CAPTURE(op->name);
      CAPTURE(message);
      CHECK(message.starts_with("[" + op->name + "] 'node' built at ops_test.cpp:"));
      CHECK(message.ends_with(": " + reject.message));
      ++refused;
    }
  }
  CHECK(refused > 20);
}

TEST_CASE("every record documents itself") {
  for (const OpDef* op : registry().all()) {
    CAPTURE(op->name);
    CHECK_FALSE(op->doc.empty());
    for (const AttributeSpec& attribute : op->attributes) CHECK_FALSE(attribute.doc.empty());
  }
}

}  // namespace lariat::ops_test
