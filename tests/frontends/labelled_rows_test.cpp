// Rows for linear models: LIBSVM text and numpy arrays, and what is refused in them.
#include "frontends/data/labelled_rows.hpp"

#include <fmt/format.h>

#include <limits>

#include "frontends/data/arrays.hpp"
#include "frontends/data/libsvm.hpp"
#include "frontends/data/npy.hpp"
#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/testing.hpp"

namespace lariat::labelled_rows_test {

using namespace lariat::data;
using namespace lariat::testing;

namespace {

LabelledRows read_text(const std::string& text) {
  const TemporaryFolder folder;
  write_file(folder / "rows", text);
  return read_libsvm(folder / "rows");
}

// What comes behind the file's name.
std::string refusal(const std::string& text) {
  const TemporaryFolder folder;
  write_file(folder / "rows", text);
  const std::string message = message_of<UserError>([&] { read_libsvm(folder / "rows"); });
  REQUIRE(message.starts_with((folder / "rows") + ": "));
  return message.substr((folder / "rows").size() + 2);
}

}  // namespace

TEST_CASE("libsvm: labels, entries, comments, blank lines and line ends of every kind") {
  const LabelledRows rows =
      read_text("+1 1:0.5 3:-2e-1\r\n# a comment\n\n-1.5\t2:7 # and one behind\n  0 10:1\n2 1:1 #x\n-1");
  CHECK(rows.rows == 5);
  CHECK(rows.columns == 10);
  CHECK(rows.labels == std::vector<double>{1, -1.5, 0, 2, -1});
  CHECK(rows.values == std::vector<double>{0.5, -0.2, 7, 1, 1});
  CHECK(rows.entry_columns == std::vector<int32_t>{0, 2, 1, 9, 0});
  CHECK(rows.row_starts == std::vector<int32_t>{0, 2, 3, 4, 5, 5});
  CHECK(rows.places == std::vector<int64_t>{1, 4, 5, 6, 7});
  CHECK(rows.place(1).ends_with("rows: line 4"));
}

TEST_CASE("libsvm: what is malformed is named with its line") {
  const std::string form = "; write 'label index:value …'";
  CHECK(refusal("1 1:1\nx 1:1\n") == "line 2: 'x' is no number" + form);
  CHECK(refusal("1 2:1 2:3\n") ==
        "line 1: '2:3' comes after index 2, but indices must ascend within a line" + form);
  CHECK(refusal("1 3:1 2:3\n") ==
        "line 1: '2:3' comes after index 3, but indices must ascend within a line" + form);
  CHECK(refusal("1 0:1\n") ==
        "line 1: '0:1' has the index 0, but indices begin at 1; where they begin at 0, say --zero-based" +
            form);
  CHECK(refusal("1 -1:1\n") == "line 1: '-1:1' is not index:value" + form);
  CHECK(refusal("1 5\n") == "line 1: '5' is not index:value" + form);
  CHECK(refusal("1 qid:3 1:1\n") == "line 1: 'qid:3' is not index:value" + form);
  CHECK(refusal("1 2:\n") == "line 1: '2:' has a value that is no number" + form);
  CHECK(refusal("1 2:1x\n") == "line 1: '2:1x' has a value that is no number" + form);
  CHECK(refusal("1 2: 1\n") == "line 1: '2:' has a value that is no number" + form);
  CHECK(refusal("1 2:nan\n") == "line 1: '2:nan' has a value that is not finite" + form);
  CHECK(refusal("1 2:-inf\n") == "line 1: '2:-inf' has a value that is not finite" + form);
  CHECK(refusal("nan 2:1\n") == "line 1: 'nan' has a label that is not finite" + form);
  CHECK(refusal("1 2:1e999\n") == "line 1: '2:1e999' has a value that no double can hold" + form);
  CHECK(refusal("1 99999999999:1\n") == "line 1: '99999999999:1' has an index above 2147483647" + form);
  CHECK(refusal("\n# nothing\n") == "holds no rows; each line should be 'label index:value …'");
  CHECK(refusal("") == "holds no rows; each line should be 'label index:value …'");
}

TEST_CASE("libsvm: files that cannot be read") {
  const TemporaryFolder folder;
  CHECK(message_of<UserError>([&] { read_libsvm(folder / "none"); }) ==
        (folder / "none") + ": there is no such file; check the path");
  CHECK(message_of<UserError>([&] { read_libsvm(folder.text()); }) ==
        folder.text() + ": is a folder; name a file");
}

TEST_CASE("rows: some of them, in another order") {
  const LabelledRows all = read_text("1 1:1\n2 1:2 3:3\n3\n4 2:5\n");
  const LabelledRows some = chosen_rows(all, {3, 1});
  CHECK(some.rows == 2);
  CHECK(some.columns == 3);
  CHECK(some.labels == std::vector<double>{4, 2});
  CHECK(some.values == std::vector<double>{5, 2, 3});
  CHECK(some.row_starts == std::vector<int32_t>{0, 1, 3});
  CHECK(some.places == std::vector<int64_t>{4, 2});
}

TEST_CASE("rows: a fingerprint tells apart what differs anywhere") {
  const LabelledRows rows = read_text("1 1:2 3:4\n-1 2:5\n");
  CHECK(rows.fingerprint().starts_with("2 rows of 3 columns (hash "));
  CHECK(rows.fingerprint() == read_text("1 1:2 3:4\n-1 2:5 # the same\n").fingerprint());
  for (const char* other :
       {"1 1:2 3:4\n1 2:5\n", "1 1:2 3:4\n-1 2:6\n", "1 2:2 3:4\n-1 2:5\n", "1 1:2\n-1 2:4 3:5\n"})
    CHECK(rows.fingerprint() != read_text(other).fingerprint());
  LabelledRows weighted = rows;
  weighted.weights = {1, 1};
  CHECK(rows.fingerprint() != weighted.fingerprint());
}

TEST_CASE("npy: matrices by rows and by columns, and labels of several types") {
  const TemporaryFolder folder;
  write_file(folder / "x.npy", npy_of<double>("<f8", "(2, 3)", {1, 2, 3, 4, 5, 6}));
  write_file(folder / "t.npy", npy_of<float>("<f4", "(2, 3)", {1, 4, 2, 5, 3, 6}, "True"));
  write_file(folder / "y.npy", npy_of<int64_t>("<i8", "(2,)", {-1, 1}));
  write_file(folder / "b.npy", npy_of<uint8_t>("|b1", "(2, 1)", {0, 1}));
  for (const char* name : {"x.npy", "t.npy"}) {
    const LabelledRows rows = read_npy(folder / name, folder / "y.npy");
    CHECK(rows.rows == 2);
    CHECK(rows.columns == 3);
    CHECK_FALSE(rows.sparse());
    CHECK(rows.values == std::vector<double>{1, 2, 3, 4, 5, 6});
    CHECK(rows.labels == std::vector<double>{-1, 1});
    CHECK(rows.place(1) == (folder / "y.npy") + ": row 1");
  }
  CHECK(read_npy(folder / "x.npy", folder / "b.npy").labels == std::vector<double>{0, 1});
  CHECK(chosen_rows(read_npy(folder / "x.npy", folder / "y.npy"), {1}).values ==
        std::vector<double>{4, 5, 6});
}

TEST_CASE("npz: the parts of a data set in one archive are refused with how they are saved") {
  const TemporaryFolder folder;
  const std::string x = npy_of<double>("<f8", "(2, 1)", {1, 2}), y = npy_of<double>("<f8", "(2,)", {1, 0});
  write_file(folder / "all.npz",
             zip({{"x_test.npy", x}, {"x_train.npy", x}, {"y_test.npy", y}, {"y_train.npy", y}}, false));
  CHECK(message_of<UserError>([&] { read_arrays(folder / "all.npz", true); }) ==
        (folder / "all.npz") +
            ": holds x_test, x_train, y_test, y_train: save each part of the data in a file of its own, as "
            "numpy.savez('train.npz', X=x_train, y=y_train) and test.npz in one folder");
}

TEST_CASE("npy: what is refused") {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& x, const std::string& y) {
    write_file(folder / "x", x);
    write_file(folder / "y", y);
    const std::string text = message_of<UserError>([&] { read_npy(folder / "x", folder / "y"); });
    REQUIRE(text.starts_with(folder.text()));
    return text.substr(folder.text().size() + 1);
  };
  const std::string x = npy_of<double>("<f8", "(2, 1)", {1, 2});
  const std::string y = npy_of<double>("<f8", "(2,)", {1, 2});
  const std::string again = "; save it again with numpy.save";
  CHECK(message("no array", y) == "x: is no .npy file" + again);
  CHECK(message(x.substr(0, 30), y) == "x: it ends within its header" + again);
  CHECK(message(x.substr(0, x.size() - 1), y) ==
        "x: its header promises 2 elements of 8 bytes, and 15 bytes follow" + again);
  CHECK(message(npy_with_header("{'descr': '<f8', 'fortran_order': Maybe, 'shape': (0, 0), }\n", ""), y) ==
        "x: its fortran_order is Maybe, which is neither True nor False" + again);
  CHECK(message(npy_with_header("{}\n        ", ""), y) == "x: its header has no entry 'descr'" + again);
  CHECK(message(npy("<c16", "(2, 1)", ""), y) ==
        "x: it holds elements of type '<c16', which are no numbers that can be read; save its parts as "
        "numbers, "
        "as numpy.stack([x.real, x.imag], -1)");
  for (const auto& [type, advice] :
       {std::pair<const char*, const char*>(
            "<U5",
            "number texts first, as classes are from 0: names, y = numpy.unique(labels, "
            "return_inverse=True)"),
        {"|S3",
         "number texts first, as classes are from 0: names, y = numpy.unique(labels, return_inverse=True)"},
        {"<M8", "save times as numbers, as (x - x.min()) / numpy.timedelta64(1, 'D')"},
        {"|V8", "save each of its fields as an array of its own"},
        {"|O", "save its numbers as x.astype('f8')"}})
    CHECK(message(npy(type, "(2, 1)", ""), y) ==
          fmt::format("x: it holds elements of type '{}', which are no numbers that can be read; {}", type,
                      advice));
  CHECK(message(y, y) == "x: is [2]; it must be a matrix [rows, columns]");
  CHECK(message(x, npy_of<double>("<f8", "(3,)", {1, 2, 3})).starts_with("y: is [3], but "));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(message(npy_of<double>("<f8", "(2, 1)", {1, nan}), y) ==
        "x: row 1, column 0 is nan; every number must be finite");
  CHECK(message(x, npy_of<double>("<f8", "(2,)", {nan, 1})) ==
        "y: the label of row 0 is nan; it must be finite");
}

TEST_CASE("shared rows: each share is read alone, and is what it is of the whole") {
  const TemporaryFolder folder;
  std::string text = "\xef\xbb\xbf# head\n\n";
  // Some megabytes, so that shares begin in other blocks, and one line that is longer than a block.
  for (int i = 0; i < 9000; ++i) {
    text += std::to_string(i % 2) + " ";
    for (int j = 1; j <= (i == 4000 ? 150000 : 20); ++j)
      text += std::to_string(j + i % 3) + ":" + std::to_string(i % 7) + ".25 ";
    text += i % 5 == 0 ? "# one\r\n\n \t\n#\n" : "\n";
  }
  write_file(folder / "rows", text);
  std::vector<double> numbers(3 * 700), labels(700);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<double>(i % 2);
  write_file(folder / "x.npy", npy_of("<f8", "(700, 3)", numbers));
  write_file(folder / "t.npy", npy_of("<f8", "(700, 3)", numbers, "True"));
  write_file(folder / "y.npy", npy_of("<f8", "(700,)", labels));
  const auto read = [&](const std::string& name, RowShare* share) {
    return name == "rows" ? read_libsvm(folder / name, false, share)
                          : read_npy(folder / name, folder / "y.npy", share);
  };
  for (const char* name : {"rows", "x.npy", "t.npy"}) {
    CAPTURE(name);
    const LabelledRows whole = read(name, nullptr);
    uint64_t hash = 0;
    for (const auto& [first, count] :
         {std::pair<int64_t, int64_t>{0, whole.rows}, {0, 1}, {whole.rows - 1, 1}, {17, 400}, {611, 88}}) {
      CAPTURE(first);
      RowShare share{[&, first = first, count = count](int64_t rows) {
        CHECK(rows == whole.rows);
        return std::pair(first, count);
      }};
      const LabelledRows some = read(name, &share), expected = rows_between(whole, first, count);
      CHECK(share.rows == whole.rows);
      CHECK((hash == 0 || hash == share.hash));
      hash = share.hash;
      CHECK(some.rows == expected.rows);
      CHECK(some.labels == expected.labels);
      CHECK(some.places == expected.places);
      CHECK(some.values == expected.values);
      CHECK(some.entry_columns == expected.entry_columns);
      CHECK(some.row_starts == expected.row_starts);
      CHECK(some.place(0) == expected.place(0));
    }
    // One number anywhere tells files apart.
    std::string bytes = read_file(folder / name);
    bytes[bytes.size() - 30] ^= 1;
    write_file(folder / "other", bytes);
    CHECK(hash_of_file(folder / "other") != hash_of_file(folder / name));
  }
  // What is wrong is said by who reads it.
  text += "1 1:x\n";
  write_file(folder / "rows", text);
  RowShare first{[](int64_t) { return std::pair(int64_t{0}, int64_t{10}); }};
  CHECK(read_libsvm(folder / "rows", false, &first).rows == 10);
  RowShare last{[](int64_t rows) { return std::pair(rows - 2, int64_t{2}); }};
  CHECK(message_of<UserError>([&] {
          read_libsvm(folder / "rows", false, &last);
        }).ends_with("'1:x' has a value that is no number; write 'label index:value …'"));
}

}  // namespace lariat::labelled_rows_test
