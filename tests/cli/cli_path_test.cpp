// `lariat path`: the same solutions as `lariat solve` gives one by one, cross-validation, files, refusals.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graph/base/random.hpp"
#include "graph/io/store.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_path_test {

using namespace lariat::testing;
using Json = nlohmann::json;

namespace {

// Of twelve columns the first three tell the label.
std::string rows_text(int rows, bool classes) {
  uint64_t counter = 0;
  const auto uniform = [&] { return lariat::random_bits(9, 2, counter++)[0] * 0x1p-32 - 0.5; };
  std::string text;
  for (int r = 0; r < rows; ++r) {
    std::string entries;
    double z = 0.3 * uniform();
    for (int j = 0; j < 12; ++j) {
      const double x = uniform();
      z += j < 3 ? (3 - j) * x : 0;
      entries += fmt::format(" {}:{:.6f}", j + 1, x);
    }
    text += (classes ? std::string(z > 0 ? "1" : "-1") : fmt::format("{:.6f}", 2 + z)) + entries + "\n";
  }
  return text;
}

Json run_path(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "path");
  arguments.insert(arguments.end(), {"--quiet", "--json", "-"});
  const ProgramRun run = run_lariat(arguments);
  CAPTURE(run.err);
  REQUIRE(run.status == 0);
  return Json::parse(run.out);
}

int64_t lines_of(const std::string& file) {
  const std::string text = read_file(file);
  return std::count(text.begin(), text.end(), '\n');
}

}  // namespace

TEST_CASE("cli: a path gives what solve gives for each of its lambdas") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string rows = folder / "rows";
  for (const std::string loss : {"logistic", "squared", "hinge-squared"})
    for (const bool bias : {false, true}) {
      CAPTURE(loss);
      write_file(rows, rows_text(80, loss != "squared"));
      std::vector<std::string> problem{"--data", rows, "--loss", loss, "--penalty", "1*l1 + 0.01*l2"};
      if (bias) problem.emplace_back("--bias");
      std::vector<std::string> arguments = problem;
      arguments.insert(arguments.end(), {"--lambdas", "9", "--ratio", "0.01"});
      const Json path = run_path(arguments);
      CHECK(path["points"].size() == 9);
      CHECK(path["points"][0]["nonzeros"] == 0);
      CHECK(path["points"][8]["nonzeros"] > 2);
      CHECK(path["points"][0]["lambda"] == path["largest_lambda"]);
      CHECK(path["largest_relative_gap"] <= 1e-6);
      CHECK(path["points"][8]["lambda"].get<double>() ==
            doctest::Approx(0.01 * path["largest_lambda"].get<double>()));
      for (const Json& point : path["points"]) {
        const double lambda = point["lambda"];
        std::vector<std::string> one{
            "solve",   "--data", rows, "--loss",    loss,
            "--quiet", "--json", "-",  "--penalty", fmt::format("{}*l1 + {}*l2", lambda, 0.01 * lambda)};
        if (bias) one.emplace_back("--bias");
        const Json solved = Json::parse(run_lariat(one).out);
        CHECK(point["objective"].get<double>() ==
              doctest::Approx(solved["objective"].get<double>()).epsilon(2e-6));
      }
    }
}

TEST_CASE("cli: cross-validation finds the columns that matter, by the seed and whatever the threads") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "rows", rows_text(120, false));
  const std::vector<std::string> arguments{"--data", folder / "rows", "--loss", "squared",
                                           "--bias", "--lambdas",     "30",     "--folds",
                                           "5",      "--seed",        "7"};
  std::vector<std::string> files = arguments;
  files.insert(files.end(), {"--table", folder / "t.csv", "--coefficients", folder / "c.csv", "--report",
                             folder / "r.html", "--out", folder / "w", "--threads", "2"});
  const Json first = run_path(files);
  std::vector<std::string> serial = arguments;
  serial.insert(serial.end(), {"--threads", "1"});
  const Json second = run_path(serial);
  CHECK(first["points"] == second["points"]);
  CHECK(first["score"] == "mean-squared-error");
  const Json &best = first["best"], &sparse = first["one_standard_error"];
  CHECK(sparse["lambda"] >= best["lambda"]);
  CHECK(sparse["nonzeros"] <= best["nonzeros"]);
  CHECK(sparse["nonzeros"] >= 3);
  CHECK(sparse["score"].get<double>() <= best["score"].get<double>() + best["standard_error"].get<double>());
  // The labels' noise is uniform of width 0.3: variance 0.0075.
  CHECK(best["score"].get<double>() < 0.02);
  CHECK(first["points"][0]["score"].get<double>() > 0.5);
  int64_t nonzeros = 0;
  for (const Json& point : first["points"]) {
    CHECK(point["score"].get<double>() >= best["score"].get<double>());
    nonzeros += point["nonzeros"].get<int64_t>();
  }
  CHECK(read_file(folder / "t.csv")
            .starts_with(
                "lambda,objective,relative_gap,nonzeros,iterations,mean-squared-error,standard_error\n"));
  CHECK(lines_of(folder / "t.csv") == 31);
  CHECK(read_file(folder / "c.csv").starts_with("lambda,index,weight\n"));
  CHECK(lines_of(folder / "c.csv") == 1 + 30 + nonzeros);
  CHECK(lariat::Store::load(folder / "w").get("b").item() == doctest::Approx(2).epsilon(0.1));
  const std::string page = read_file(folder / "r.html");
  for (const char* part : {"Score on rows left out", "Weights", "How many weights are not zero",
                           "<path class=\"line\"", "mean-squared-error", ">λ</text>"})
    CHECK(page.find(part) != std::string::npos);
  CHECK(page.find("nan") == std::string::npos);

  std::vector<std::string> other = arguments;
  other.back() = "8";
  CHECK(run_path(other)["best"]["score"] != best["score"]);
}

TEST_CASE("cli: a path of classes is scored by deviance or accuracy") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "rows", rows_text(90, true));
  const Json deviance = run_path({"--data", folder / "rows", "--lambdas", "10", "--folds", "3"});
  CHECK(deviance["score"] == "deviance");
  CHECK(deviance["points"][0]["score"].get<double>() == doctest::Approx(2 * std::log(2)));
  CHECK(deviance["best"]["score"].get<double>() < 1);
  const Json accuracy =
      run_path({"--data", folder / "rows", "--lambdas", "10", "--folds", "3", "--score", "accuracy"});
  CHECK(accuracy["best"]["score"].get<double>() > 0.85);
  CHECK(accuracy["best"]["score"].get<double>() <= 1);
  const ProgramRun run = run_lariat({"path", "--data", folder / "rows", "--lambdas", "10", "--folds", "3"});
  CHECK(run.status == 0);
  CHECK(run.out.find("best deviance at λ = ") != std::string::npos);
  CHECK(run.out.find("40 solutions in ") != std::string::npos);
  CHECK(run.err.find("λ 40/40") != std::string::npos);
}

TEST_CASE("cli: path refuses bad input with one line") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string rows = folder / "rows";
  write_file(rows, "1 1:1\n-1 2:1\n1 1:2\n");
  const auto check = [&](std::vector<std::string> arguments, const std::string& message) {
    arguments.insert(arguments.begin(), {"path", "--data", rows});
    const ProgramRun run = run_lariat(arguments);
    CHECK(run.status == 2);
    CHECK(run.err == "lariat" + message + "\n");
  };
  check({"--ratio", "1.5"}, " path: --ratio = 1.5: must be a number above 0, below 1");
  check({"--lambdas", "0"}, " path: --lambdas = 0: must be an integer from 1 to 100000");
  check({"--folds", "1"}, " path: --folds = 1: must be an integer from 2 to 1000");
  check({"--folds", "4"}, ": folds = 4: there are only 3 rows");
  check({"--score", "r2"}, ": score = r2: the loss logistic is scored by deviance or accuracy or auc");
  check({"--penalty", "l2"}, ": a path needs a penalty that makes weights zero; add l1 to it");
  check({"--table", "x", "--report", "x"}, ": 'x' is asked for twice; give each output its own name");
  write_file(folder / "flat", "1 1:0\n1 2:0\n");
  const ProgramRun run = run_lariat({"path", "--data", folder / "flat"});
  CHECK(run.status == 2);
  CHECK(run.err ==
        "lariat: no column has anything to do with the labels, so every weight is zero at any λ\n");
}

TEST_CASE("cli: path and solve say the tolerance that they take") {
  if (!have_lariat()) return;
  for (const auto& [command, tolerance] : {std::pair("path", "1e-6"), std::pair("solve", "1e-8")}) {
    std::string help = run_lariat({command, "--help"}).out;
    const size_t at = help.find("the relative duality gap to reach");
    REQUIRE(at != std::string::npos);
    help = help.substr(at, help.find("--method", at) - at);
    CHECK_MESSAGE(contains(help, tolerance), help);
  }
}

}  // namespace lariat::cli_path_test
