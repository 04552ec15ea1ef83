// `lariat solve`: what it finds, what it writes, and what it refuses.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "graph/io/store.hpp"
#include "tests/support/files.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_solve_test {

using namespace lariat::testing;
using Json = nlohmann::json;

namespace {

const char* const six_rows = "+1 1:1 2:0.5\n-1 1:-1 3:1\n+1 1:2 2:-0.25\n-1 2:1 3:-0.5\n+1 1:0.5\n-1 3:2\n";

void check_refused(const std::vector<std::string>& arguments, const std::string& message) {
  const ProgramRun run = run_lariat(arguments);
  CHECK(run.status == 2);
  CHECK(run.err == "lariat" + message + "\n");
}

Json solved(std::vector<std::string> arguments, int status = 0) {
  arguments.insert(arguments.begin(), "solve");
  arguments.insert(arguments.end(), {"--quiet", "--json", "-"});
  const ProgramRun run = run_lariat(arguments);
  CAPTURE(run.err);
  CHECK(run.status == status);
  return Json::parse(run.out);
}

void check_ground_truth(const std::string& name, double optimum, int nonzeros) {
  const char* data = std::getenv("LARIAT_DATA");
  if (data == nullptr) return skip("LARIAT_DATA names no folder with the LIBSVM data sets");
  if (!have_lariat()) return;
  Json first;
  for (const char* threads : {"1", "2", "5"}) {
    const Json json = solved({"--data", std::string(data) + "/libsvm/" + name, "--threads", threads});
    const double objective = json["objective"], gap = json["relative_gap"];
    CHECK((objective - optimum) / optimum <= 1e-10);
    // The optimum is given to so many digits.
    CHECK((objective - optimum) / optimum >= -1e-12);
    CHECK(gap <= 1e-8);
    CHECK(json["converged"] == true);
    CHECK(json["method"] == "newton");
    if (nonzeros > 0) CHECK(json["nonzeros"] == nonzeros);
    if (first.is_null()) first = json;
    CHECK(json["objective"] == first["objective"]);
    CHECK(json["relative_gap"] == first["relative_gap"]);
  }
}

}  // namespace

TEST_CASE("solve: the optimum of a9a that liblinear finds") { check_ground_truth("a9a", 10558.723370627, 0); }

TEST_CASE("solve: the optimum of rcv1_small that liblinear finds, and its 41 weights") {
  check_ground_truth("rcv1_small", 580.794030185, 41);
}

TEST_CASE("cli: solve writes weights and figures") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "rows", six_rows);
  const Json json = solved({"--data", folder / "rows", "--penalty", "0.25*l1 + 0.125*l2", "--bias", "--out",
                            folder / "w.safetensors"});
  CHECK(json["rows"] == 6);
  CHECK(json["columns"] == 3);
  CHECK(json["entries"] == 10);
  CHECK(json["problem"] == "logistic loss + 0.25*l1 + 0.125*l2, with a bias");
  for (const char* key : {"objective", "relative_gap", "iterations", "seconds", "read_seconds",
                          "stationarity", "prox_residual", "bias", "gap", "smooth", "penalty"})
    CHECK(json[key].is_number());
  CHECK(json["certificate"].get<std::string>().starts_with("optimal to a relative duality gap of "));
  const lariat::Store store = lariat::Store::load(folder / "w.safetensors");
  CHECK(store.get("w").count() == 3);
  CHECK(store.get("b").item() == json["bias"].get<double>());

  // 0 and 1 are classes too; fista gets to the same place.
  std::string zeros = six_rows;
  for (size_t at; (at = zeros.find("\n-1 ")) != std::string::npos;) zeros.replace(at, 3, "\n0");
  write_file(folder / "zeros", zeros);
  const Json other = solved({"--data", folder / "zeros", "--penalty", "0.25*l1", "--penalty", "0.125*l2",
                             "--bias", "--method", "fista"});
  CHECK(other["method"] == "fista");
  CHECK(other["objective"].get<double>() == doctest::Approx(json["objective"].get<double>()).epsilon(1e-8));
}

TEST_CASE("cli: solve takes matrices of numpy") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  // ½(w − 3)² + ½(2w − 1)² + ½|w|:  5w − 5 + ½ = 0.
  write_file(folder / "x.npy", npy_of<double>("<f8", "(2, 1)", {1, 2}));
  write_file(folder / "y.npy", npy_of<double>("<f8", "(2,)", {3, 1}));
  const Json json = solved({"--data", folder / "x.npy", "--labels", folder / "y.npy", "--loss", "squared",
                            "--penalty", "0.5*l1", "--out", folder / "w"});
  CHECK(lariat::Store::load(folder / "w").get("w").at(0) == doctest::Approx(0.9).epsilon(1e-12));
  CHECK(json["bias"].is_null());
  check_refused(
      {"solve", "--data", folder / "x.npy"},
      ": " + (folder / "x.npy") + ": a matrix has no labels; name their file with --labels FILE.npy");
}

TEST_CASE("cli: solve says when every weight is zero") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  // ½(w − 3)²: the slope at zero is 3.
  write_file(folder / "rows", "3 1:1\n");
  const ProgramRun run =
      run_lariat({"solve", "--data", folder / "rows", "--loss", "squared", "--penalty", "4*l1", "--quiet"});
  CHECK(run.status == 0);
  CHECK(run.err ==
        "lariat: L201: every weight is zero, for the coefficient of l1, 4, is λ_max = 3 or more\n");
  CHECK(run.out.find("0 of 1 weights are not zero") != std::string::npos);
}

TEST_CASE("cli: solve that runs out of iterations ends with 1 and still writes its figures") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "rows", six_rows);
  const Json json =
      solved({"--data", folder / "rows", "--penalty", "0.1*l1", "--method", "fista", "--iterations", "2"}, 1);
  CHECK(json["converged"] == false);
  CHECK(json["iterations"] == 2);
}

TEST_CASE("cli: solve says where classes that are told apart leave no best solution") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string data = folder / "apart.svm";
  write_file(data, "0 1:1\n1 1:-1\n2 2:1\n0 1:2\n");
  const auto solved = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"solve", "--data", data, "--loss", "multinomial", "--quiet", "--penalty"};
    words.insert(words.end(), more.begin(), more.end());
    return run_lariat(words);
  };
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"0*l1"}, {"0*l2", "--bias"}, {"0*l1", "--mean"}}) {
    const ProgramRun run = solved(more);
    CHECK(run.status == 1);
    CHECK(contains(run.err, "for the weights fit every row: there is no best solution"));
  }
  CHECK(solved({"1e-6*l2"}).status == 0);
}

TEST_CASE("cli: solve finds the bias alone where all targets are alike, or says that none is best") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const auto solved = [&](const std::string& target, const std::string& loss, const std::string& penalty) {
    std::string rows;
    for (const char* row : {"1:0.3 2:-1", "1:-0.7 2:4", "1:2 2:0.1", "1:0.2"})
      rows += target + " " + row + "\n";
    write_file(folder / "rows", rows);
    return run_lariat({"solve", "--data", folder / "rows", "--bias", "--loss", loss, "--penalty", penalty});
  };
  for (const char* penalty : {"0.1*l1", "0.1*l2", "0.1*l1 + 0.2*l2", "0*l1"}) {
    CAPTURE(penalty);
    for (const char* loss : {"squared", "huber"})
      for (const char* target : {"0.1", "7", "-3e5", "0"}) {
        CAPTURE(target);
        const ProgramRun run = solved(target, loss, penalty);
        CHECK(run.status == 0);
        CHECK(contains(run.out, "optimal to a relative duality gap of 0.0e+00"));
      }
    for (const char* target : {"1", "-1"}) CHECK(solved(target, "hinge-squared", penalty).status == 0);
    const ProgramRun counts = solved("0", "poisson", penalty);
    CHECK(counts.status == 1);
    CHECK(
        contains(counts.err, std::string_view(penalty) == "0*l1"
                                 ? "add a penalty, or raise its coefficient\n"
                                 : "weights without a penalty, such as a bias, do so alone: penalise them or "
                                   "leave them out, and look whether all targets are alike\n"));
  }
}

TEST_CASE("cli: solve refuses bad input with one line") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string rows = folder / "rows";
  write_file(rows, six_rows);
  write_file(folder / "nan", "1 1:nan\n");
  write_file(folder / "three", "1 1:1\n2 1:1\n");
  write_file(folder / "both", "1 1:1\n0 1:1\n-1 1:2\n");
  write_file(folder / "bare", "1\n-1\n");
  check_refused({"solve"}, " solve: --data is missing. See lariat solve --help");
  check_refused({"solve", "--data", folder / "none"},
                ": " + (folder / "none") + ": there is no such file; check the path");
  check_refused({"solve", "--data", folder / "nan"},
                ": " + (folder / "nan") +
                    ": line 1: '1:nan' has a value that is not finite; write 'label index:value …'");
  check_refused({"solve", "--data", folder / "three"},
                ": " + (folder / "three") +
                    ": line 2: the label is 2, which the loss logistic does not take; labels must be -1 and "
                    "1, or 0 and 1; for others say --classes, such as --classes 1,2");
  check_refused({"solve", "--data", folder / "both", "--loss", "hinge-squared"},
                ": " + (folder / "both") +
                    ": line 3: the label is -1, which the loss hinge-squared does not take; labels must be "
                    "-1 and 1, or 0 and 1; for others say --classes, such as --classes 1,2");
  check_refused(
      {"solve", "--data", folder / "bare"},
      ": " + (folder / "bare") + ": no row has an entry; each line should be 'label index:value …'");
  check_refused({"solve", "--data", rows, "--penalty", "-1*l1"},
                ": L104: the coefficient of |x| on 'w' is -1; a penalty needs a coefficient of 0 or more");
  check_refused({"solve", "--data", rows, "--penalty", "l3"},
                " solve: --penalty: there is no penalty 'l3'. Did you mean 'l1'?");
  check_refused(
      {"solve", "--data", rows, "--penalty", "1.0 l1"},
      " solve: --penalty: '1.0 l1' cannot be read: write coefficient*name, such as 1.0*l1 + 0.5*l2");
  check_refused(
      {"solve", "--data", rows, "--penalty", "nan*l1"},
      " solve: --penalty: 'nan*l1' cannot be read: write coefficient*name, such as 1.0*l1 + 0.5*l2");
  check_refused({"solve", "--data", rows, "--penalty", "l1 l2"},
                " solve: --penalty: 'l1 l2' cannot be read: write coefficient*name, such as 1.0*l1 + 0.5*l2");
  check_refused({"solve", "--data", rows, "--penalty", " "},
                " solve: --penalty: it is empty: write coefficient*name, such as 1.0*l1 + 0.5*l2");
  check_refused({"solve", "--data", rows, "--loss", "logistik"},
                " solve: --loss = logistik: must be one of logistic, squared, hinge-squared, poisson, huber, "
                "multinomial. Did you mean 'logistic'?");
  check_refused({"solve", "--data", rows, "--method", "newtn"},
                " solve: --method = newtn: must be one of auto, newton, fista, proximal-gradient. Did you "
                "mean 'newton'?");
  check_refused({"solve", "--data", rows, "--tolerance", "0"},
                " solve: --tolerance = 0: must be a number above 0, at most 1");
  check_refused({"solve", "--data", rows, "--labels", rows},
                ": --labels " + rows + ": the labels of LIBSVM text stand in the text; leave --labels out");
  check_refused({"solve", "--data", rows, "--out", rows},
                ": '" + rows + "' is an input, and would be overwritten; choose another name");
}

TEST_CASE("cli: a model of rows with offsets is measured and predicts with offsets") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string rows = folder / "rows", offsets = folder / "offsets", model = folder / "m",
                    weights = folder / "weights";
  write_file(rows, "3 1:1\n5 1:2\n9 1:3\n");
  write_file(offsets, "1\n1\n4\n");
  write_file(weights, "1\n0\n0\n");
  // 3 - 1 = 2, 5 - 1 = 4 and 9 - 4 = 5 are near 2·x.
  const Json json = solved(
      {"--data", rows, "--loss", "squared", "--penalty", "0.001*l2", "--offset", offsets, "--out", model});
  CHECK(json["problem"] == "squared loss + 0.001*l2, with an offset");
  CHECK(contains(run_lariat({"inspect", model}).out, "with an offset"));
  const std::string without =
      ": " + rows +
      ": the model was fitted with an offset for each row, and these have none; give a "
      "file of them by --offset";
  check_refused({"evaluate", model, "--data", rows}, without);
  check_refused({"predict", model, rows}, without);
  const ProgramRun said = run_lariat({"predict", model, rows, "--offset", offsets});
  CHECK(said.status == 0);
  const double w = lariat::Store::load(model).get("w").at(0);
  CHECK(std::stod(said.out.substr(said.out.rfind(',') + 1)) == doctest::Approx(4 + 3 * w).epsilon(1e-12));
  const auto error = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"evaluate", model, "--data", rows, "--offset", offsets, "--json", "-"});
    return Json::parse(run_lariat(more).out)["metrics"]["mean-squared-error"].get<double>();
  };
  CHECK(error({"--weights", weights}) == doctest::Approx((3 - 1 - w) * (3 - 1 - w)).epsilon(1e-9));
  CHECK(error({}) > error({"--weights", weights}));
  write_file(folder / "none", "0\n0\n0\n");
  check_refused({"evaluate", model, "--data", rows, "--offset", offsets, "--weights", folder / "none"},
                ": --weights " + (folder / "none") + ": all are 0, so no row counts");
  write_file(folder / "two", "1\n2\n");
  check_refused(
      {"predict", model, rows, "--offset", folder / "two"},
      ": --offset " + (folder / "two") + ": has 2 numbers, but there are 3 rows; give one for each");
  solved({"--data", rows, "--loss", "squared", "--out", model, "--bias"});
  check_refused(
      {"predict", model, rows, "--offset", offsets},
      ": " + rows + ": the model was fitted without offsets, and these rows have some; leave --offset out");
  CHECK(solved({"--data", rows, "--loss", "squared", "--bias", "--offset", offsets})["problem"] ==
        "squared loss + 1*l1, with a bias and an offset");
}

TEST_CASE("cli: solve refuses what would have no effect, and says how attributes of penalties are apart") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string rows = folder / "rows";
  write_file(rows, six_rows);
  check_refused(
      {"solve", "--data", rows, "--loss", "squared", "--delta", "3"},
      ": --delta is where the loss huber goes from squared to linear, but the loss is squared; leave it "
      "out, or say --loss huber");
  CHECK(solved({"--data", rows, "--loss", "huber", "--delta", "3"})["converged"] == true);
  check_refused({"solve", "--data", rows, "--penalty", "within:low=0,high=0.2"},
                " solve: --penalty: 'low' must be a number; attributes are separated by colons, such as "
                "low=0:high=0.2");
  CHECK(solved({"--data", rows, "--penalty", "1*l1 + within:low=0:high=0.2"})["converged"] == true);
}

TEST_CASE("cli: solve reads what other programs write: a byte-order mark, indices from 0, labels 1 and 2") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "rows", six_rows);
  const Json plain = solved({"--data", folder / "rows"});
  write_file(folder / "bom", std::string("\xef\xbb\xbf") + six_rows);
  CHECK(solved({"--data", folder / "bom"})["objective"] == plain["objective"]);
  write_file(folder / "zero", "2 0:1 1:0.5\n1 0:-1 2:1\n2 0:2 1:-0.25\n1 1:1 2:-0.5\n2 0:0.5\n1 2:2\n");
  const Json zero = solved({"--data", folder / "zero", "--zero-based", "--classes", "1,2"});
  CHECK(zero["objective"] == plain["objective"]);
  CHECK(zero["columns"] == 3);
  check_refused({"solve", "--data", folder / "zero"},
                ": " + (folder / "zero") +
                    ": line 1: '0:1' has the index 0, but indices begin at 1; where they begin at 0, say "
                    "--zero-based; write 'label index:value …'");
  check_refused({"solve", "--data", folder / "zero", "--zero-based", "--classes", "1,3"},
                ": " + (folder / "zero") + ": line 1: the label is 2, which is none of the classes 1, 3");
  for (const char* classes : {"1", "1,1", "1,2,3", "a,b", "1,nan"})
    check_refused(
        {"solve", "--data", folder / "zero", "--classes", classes},
        " solve: --classes = " + std::string(classes) + ": must be two different labels, such as 1,2");
  check_refused({"solve", "--data", folder / "rows", "--loss", "squared", "--classes", "1,2"},
                ": --classes is about the labels of classes, but the loss squared takes numbers");
  // Bytes that are no text are shown as what they are, and end no message.
  write_file(folder / "utf16", std::string("\xff\xfe\x31\0 \0\x31\0:\0\x32\0", 12));
  check_refused(
      {"solve", "--data", folder / "utf16"},
      ": " + (folder / "utf16") + ": is UTF-16, and not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 FILE");
}

TEST_CASE("cli: solve keeps no place for columns that never occur") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  // ½(w − 1)² + 0.1|w| at one of two hundred million indices.
  write_file(folder / "rows", "1 200000000:1\n");
  const Json json = solved({"--data", folder / "rows", "--loss", "squared", "--penalty", "0.1*l1"});
  CHECK(json["columns"] == 200000000);
  CHECK(json["objective"].get<double>() == doctest::Approx(0.095).epsilon(1e-12));
  // What is written has a place for each.
  write_file(folder / "few", "1 5:1\n-1 2:1\n");
  solved({"--data", folder / "few", "--penalty", "0.01*l1", "--out", folder / "w"});
  const lariat::Tensor w = lariat::Store::load(folder / "w").get("w");
  CHECK(w.count() == 5);
  CHECK(w.at(1) < 0);
  CHECK(w.at(4) > 0);
  CHECK(w.at(0) + w.at(2) + w.at(3) == 0);
}

TEST_CASE("cli: columns without entries and the order of columns are what a penalty takes them for") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const auto objective = [&](const char* penalty, std::vector<std::string> more) {
    more.insert(more.begin(), {"--data", folder / "rows", "--loss", "squared", "--penalty", penalty});
    return solved(more)["objective"].get<double>();
  };
  write_file(folder / "rows", "1 1:1\n-1 1:-1\n1 1:2\n-1 10:1\n");
  write_file(folder / "groups", "1\n1\n1\n1\n2\n2\n2\n2\n2\n2\n");
  CHECK(objective("0.5*group", {"--groups", folder / "groups"}) == doctest::Approx(1.25).epsilon(1e-6));
  // Equal weights from the first place to the last cost nothing.
  write_file(folder / "rows", "1 1:1\n1 3:1\n1 8:1\n");
  CHECK(objective("0.1*absolute_differences:axis=0", {}) < 1e-6);
  CHECK(objective("0.1*absolute_differences:axis=0", {"--out", folder / "w"}) < 1e-6);
  const lariat::Tensor w = lariat::Store::load(folder / "w").get("w");
  REQUIRE(w.count() == 8);
  for (int64_t j = 0; j < 8; ++j) CHECK(w.at(j) == doctest::Approx(1).epsilon(1e-3));
  write_file(folder / "rows", "1 1:2 3:1\n2 2:1\n0 3:3\n-1 1:1 4:1\n");
  write_file(folder / "groups", "4\n1\n3\n2\n");
  CHECK(objective("0.1*group + 0.3*absolute_differences:axis=0", {"--groups", folder / "groups"}) ==
        doctest::Approx(objective("0.1*l1 + 0.3*absolute_differences:axis=0", {})).epsilon(1e-6));
}

TEST_CASE("cli: rows of one class have no best bias") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "rows", "1 1:1\n1 1:2\n1 2:1\n");
  for (const char* command : {"solve", "path"})
    check_refused({command, "--data", folder / "rows", "--loss", "logistic", "--bias"},
                  ": " + (folder / "rows") +
                      ": every row is of the class 1, so the loss falls for ever as the bias grows, and no "
                      "solution is best; leave the bias out, or give rows of both classes");
  // A margin of 1 is all that a squared hinge asks for.
  CHECK(solved({"--data", folder / "rows", "--loss", "hinge-squared", "--bias"})["objective"] ==
        doctest::Approx(0));
  CHECK(solved({"--data", folder / "rows"})["converged"] == true);
  write_file(folder / "few", "1 1:1\n-1 1:2\n-1 2:1\n-1 1:3\n");
  check_refused(
      {"path", "--data", folder / "few", "--bias", "--folds", "4", "--lambdas", "2", "--quiet"},
      ": " + (folder / "few") + ": " +
          "without fold 3 of 4 every row is of the class -1, so the loss falls for ever as the bias grows, "
          "and no solution is best; leave the bias out, or give rows of both classes");
}

TEST_CASE("cli: solve takes any convex op that is a penalty, and says what it cannot prove") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "rows", six_rows);
  const Json named = solved({"--data", folder / "rows", "--penalty", "0.25*abs_penalty"});
  CHECK(named["objective"] == solved({"--data", folder / "rows", "--penalty", "0.25*l1"})["objective"]);
  CHECK(named["method"] == "newton");
  const Json group = solved({"--data", folder / "rows", "--penalty", "0.25*norm2"});
  CHECK(group["method"] == "fista");
  CHECK(group["converged"] == true);
  CHECK(group["relative_gap"].is_null());
  CHECK(group["certificate"].get<std::string>().starts_with("stationary to "));
  CHECK(group["certificate"].get<std::string>().ends_with("has no conjugate here"));
  const ProgramRun path = run_lariat(
      {"path", "--data", folder / "rows", "--penalty", "norm2", "--lambdas", "4", "--quiet", "--json", "-"});
  CHECK(path.status == 0);
  const ProgramRun said =
      run_lariat({"path", "--data", folder / "rows", "--penalty", "norm2", "--lambdas", "4", "--quiet"});
  CHECK(contains(said.out, "\nstationary to "));
  CHECK(contains(said.out, ", not globally certified: the penalty 1 * ‖w‖₂ has no conjugate here\n"));
  CHECK_FALSE(contains(said.out, "inf"));
  // Bounds alone, whose prox takes no step.
  const Json bounded =
      solved({"--data", folder / "rows", "--loss", "squared", "--penalty", "within:low=-0.1:high=0.1"});
  CHECK(bounded["converged"] == true);
  CHECK(bounded["penalty"] == 0);
  const Json points = Json::parse(path.out)["points"];
  CHECK(points[0]["nonzeros"] == 0);
  CHECK(points[3]["nonzeros"] == 3);
  check_refused(
      {"solve", "--data", folder / "rows", "--penalty", "0.25*norm2", "--method", "newton"},
      ": L110: the method newton has no form for the penalty 0.25 * ‖w‖₂, which is not one of single "
      "weights; use fista");
}

}  // namespace lariat::cli_solve_test
