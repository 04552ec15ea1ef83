// Tables of text, what their columns become, and arrays.
#include <fmt/format.h>

#include "frontends/tables/csv.hpp"

#include "frontends/data/arrays.hpp"
#include "frontends/data/foreign_names.hpp"
#include "frontends/tables/columns.hpp"
#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::csv_test {

using lariat::testing::message_of;
using namespace data;

namespace {

using Rows = std::vector<std::vector<std::string>>;

TextTable table_of(const std::string& text) { return parse_csv(text, "a.csv"); }
std::string refused(const std::string& text) {
  return message_of<UserError>([&] { table_of(text); });
}

const std::string houses =
    "area,colour,rooms,price\n"
    "10,red,2,5\n"
    "20,blue,,7\n"
    "30,,4,9\n"
    "40,red,6,\n";

std::string refused_columns(const std::string& text, const ColumnOptions& options) {
  return message_of<UserError>([&] { columns_of(table_of(text), options); });
}

}  // namespace

TEST_CASE("csv: quotes, separators, line ends and empty lines") {
  const TextTable table = table_of(
      "\xEF\xBB\xBF"
      "a,b\r\n\r\n1,\"x, \"\"y\"\"\nz\"\r\n\n , 3 \n\"\",4");
  CHECK(table.names == std::vector<std::string>{"a", "b"});
  CHECK(table.rows == Rows{{"1", "x, \"y\"\nz"}, {"", "3"}, {"", "4"}});
  CHECK(table.lines == std::vector<int64_t>{3, 6, 7});
  CHECK(table.place(1) == "a.csv: line 6");
  CHECK(table_of("a\tb\n1,5\t2\n").rows == Rows{{"1,5", "2"}});
  CHECK(table_of("a;b\n1,5;2\n").rows == Rows{{"1,5", "2"}});
  CHECK(table_of("\"a, b, c\";d\n1;2\n").names == std::vector<std::string>{"a, b, c", "d"});
  CHECK(table_of("a,\"b;c;d;e\"\n1,2\n").names == std::vector<std::string>{"a", "b;c;d;e"});
  CHECK(table_of("only\n7\n").rows == Rows{{"7"}});
  CHECK(is_missing(""));
  CHECK(is_missing("NA"));
  CHECK_FALSE(is_missing("0"));
}

TEST_CASE("csv: what is none is refused by file and line") {
  CHECK(refused("") == "a.csv: is empty; its first line names columns");
  CHECK(refused("a,b\n") == "a.csv: has no rows below its line of names");
  CHECK(refused("a,b\n1,2\n\n3\n") == "a.csv: line 4: has 1 field, but the first line names 2 columns");
  CHECK(refused("a,b\n1,2,3\n") == "a.csv: line 2: has 3 fields, but the first line names 2 columns");
  CHECK(refused("a,\n1,2\n") == "a.csv: line 1: column 2 has no name; the first line names every column");
  CHECK(refused("a,a\n1,2\n") ==
        "a.csv: line 1: names the column 'a' twice; the first line gives every column a name of its own");
  CHECK(refused("0.5;1\n1;2\n") ==
        "a.csv: line 1: '0.5' is a number where a column should be named; write a line of names above the "
        "data, such "
        "as x1;x2;y");
  CHECK(table_of("0,1\n1,2\n").names == std::vector<std::string>{"0", "1"});
  CHECK(refused(std::string("RIFF\0x,\xff\n1,2\n", 13)) ==
        "a.csv: is no table of text; give CSV, whose first line names columns");
  CHECK(refused("\xff\n1\n") == "a.csv: line 1: the name '\xff' is not UTF-8, in which models are saved");
  CHECK(refused("a,b\n1,\"2\n") ==
        "a.csv: line 2: a quote begins there that does not end; write \"\" for a quote in a field");
  CHECK(refused("a,b\n\"1\"x,2\n") ==
        "a.csv: line 2: has text behind a closing quote; put all of the field in quotes");
  // What is no text in UTF-8 says what it is, and how it becomes that.
  CHECK(refused(std::string("\x1f\x8b\x08", 3)) ==
        "a.csv: is packed by gzip, and no text; unpack it first: gunzip FILE");
  CHECK(refused("BZh91") == "a.csv: is packed by bzip2, and no text; unpack it first: bunzip2 FILE");
  CHECK(refused("\xfd\x37\x7a\x58\x5a") == "a.csv: is packed by xz, and no text; unpack it first: unxz FILE");
  CHECK(refused("PK\x03\x04") ==
        "a.csv: is a zip archive, as workbooks are, and no text; unpack it, or save the sheet as CSV");
  CHECK(refused("\xd0\xcf\x11\xe0") == "a.csv: is a workbook, and no text; save the sheet as CSV");
  CHECK(refused(std::string("\xff\xfe"
                            "a\0,\0",
                            6)) ==
        "a.csv: is UTF-16, and not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 FILE");
  CHECK(refused(std::string("\xfe\xff\0a", 4)) ==
        "a.csv: is UTF-16, and not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 FILE");
  CHECK(refused("a,b\r1,2\r") ==
        "a.csv: its lines end by carriage returns alone; convert it: tr '\\r' '\\n' < FILE > NEW");
  CHECK(message_of<UserError>([] { read_csv("none.csv"); }) ==
        "none.csv: there is no such file; check the path");
}

TEST_CASE(
    "columns: numbers are standardised, categories become ones, what is missing is the mean or nothing") {
  const TextTable table = table_of(houses);
  const Columns columns = columns_of(table, {.targets = {"price"}});
  REQUIRE(columns.features.size() == 3);
  CHECK(columns.dimensions() == 4);
  CHECK(columns.features[1].values == std::vector<std::string>{"blue", "red"});
  CHECK(columns.features[2].mean == 4);
  const Dataset dataset = dataset_of(table, columns);
  REQUIRE(dataset.examples.size() == 3);
  CHECK(dataset.skipped == std::vector<std::string>{"a.csv: line 5: has no 'price'"});
  CHECK(dataset.targets == Targets{1, false, {"price"}});
  const float step = static_cast<float>(15 / std::sqrt(125.0));  // (25 - 10)/deviation of 10, 20, 30, 40
  CHECK(dataset.examples[0].values[0] == doctest::Approx(-step));
  CHECK(dataset.examples[0].values[1] == 0);
  CHECK(dataset.examples[0].values[2] == 1);
  CHECK(dataset.examples[1].values[3] == 0);
  CHECK(dataset.examples[2].values[1] == 0);
  CHECK(dataset.examples[2].values[2] == 0);
  CHECK(dataset.examples[2].targets == std::vector<float>{9});
  CHECK(dataset.examples[2].source == "a.csv: line 4");
  // As they are: missing numbers are still the mean.
  const Dataset plain = dataset_of(table, columns_of(table, {.targets = {"price"}, .standardize = false}));
  CHECK(plain.examples[1].values == std::vector<float>{20, 1, 0, 4});
  // The same by what was saved, and without targets.
  const Columns again = columns_from_json(to_json(columns));
  const Dataset read = dataset_of(table_of("rooms,colour,area\n2,red,10\n"), again, false);
  CHECK(read.examples[0].values == dataset.examples[0].values);
}

TEST_CASE("columns: classes, categories by name, chosen features and weights") {
  const TextTable table = table_of("size,kind,n,w\n10,2,1,1\n9,1,2,3\n1,10,3,1\n");
  const Columns columns =
      columns_of(table, {.targets = {"kind"}, .categories = {"n"}, .weight = "w", .classes = true});
  CHECK(columns.classes == std::vector<std::string>{"1", "2", "10"});
  CHECK(columns.dimensions() == 4);
  const Dataset dataset = dataset_of(table, columns);
  CHECK(dataset.examples[0].label == 1);
  CHECK(dataset.examples[2].label == 2);
  CHECK(dataset.examples[1].weight == 3);
  CHECK(dataset.targets.width == 0);
  const Columns chosen = columns_of(table, {.targets = {"kind", "w"}, .features = {"n"}});
  CHECK(chosen.dimensions() == 1);
  CHECK(dataset_of(table, chosen).examples[1].targets == std::vector<float>{1, 3});
}

TEST_CASE("columns: decimal commas are numbers between semicolons") {
  const TextTable table = table_of("size;price;kind\n1,5;10;a\n2.5;-2,25;b\n;3;a\n");
  const Columns columns = columns_of(table, {.targets = {"price"}, .standardize = false});
  CHECK(columns.features[0].mean == 2);
  const Dataset dataset = dataset_of(table, columns);
  CHECK(dataset.examples[1].values == std::vector<float>{2.5, 0, 1});
  CHECK(dataset.examples[1].targets == std::vector<float>{-2.25});
  CHECK(number_in("1,5") == std::nullopt);
  CHECK(number_in("1,5", true) == 1.5);
  CHECK(number_in("1.000,5", true) == std::nullopt);
  CHECK(number_in("1,000,5", true) == std::nullopt);
  CHECK(refused_columns("size,price\n\"1,5\",10\n2,3\n", {.targets = {"price"}}) ==
        "a.csv: column 'size' holds numbers such as '1,5'; write them as 1430.5, or have them for "
        "categories, by "
        "[data] categories = [\"size\"]");
}

TEST_CASE("columns: a number that may be two, a thousand times one another, is refused or said") {
  const auto refused_table = [](const std::string& text, const std::string& target = "y") {
    return refused_columns(text, {.targets = {target}});
  };
  // Where the column itself has the other mark, and where another one has it.
  CHECK(
      refused_table("x;y\n7.063;1\n966,86;2\n") ==
      "a.csv: line 2: column 'x' is '7.063', but it has decimal commas: write 7063 where that is meant, else "
      "7.0630");
  CHECK(
      refused_table("x;y\n221.460;6238,71\n10.712;19773,60\n") ==
      "a.csv: line 2: column 'x' is '221.460', but column 'y' has decimal commas: write 221460 where that is "
      "meant, else 221.4600");
  CHECK(refused_table("x;y\n0,5;1.500\n1,5;2.500\n") ==
        "a.csv: line 2: column 'y' is '1.500', but column 'x' has decimal commas: write 1500 where that is "
        "meant, else 1.5000");
  CHECK(
      refused_table("x;y\n1.500;1\n1,500;1\n") ==
      "a.csv: line 2: column 'x' is '1.500', but it has decimal commas: write 1500 where that is meant, else "
      "1.5000");
  CHECK(refused_table("x;y\n1,500;7.25\n2,500;8.5\n") ==
        "a.csv: line 2: column 'x' is '1,500', but column 'y' has decimal points: write 1500 where that is "
        "meant, else 1,5000");
  CHECK(refused_columns("x;y;w\n1;2;3.000\n2,5;2;1\n", {.targets = {"y"}, .weight = "w"})
            .starts_with("a.csv: line 2: column 'w' is '3.000', but column 'x' has decimal commas"));
  // A mark that cannot stand between thousands says what the column's others are; categories are no numbers.
  CHECK(columns_of(table_of("x;y\n48.137;1,5\n11.5;2,5\n"), {.targets = {"y"}}).notices.empty());
  CHECK(columns_of(table_of("x;y\n0.137;1,5\n0.500;2,5\n"), {.targets = {"y"}}).notices.empty());
  CHECK(columns_of(table_of("x;y\n1.500;1,5\n2.500;2,5\n"), {.targets = {"y"}, .categories = {"x"}})
            .dimensions() == 2);
  CHECK(columns_of(table_of("x,y\n1.500,1\n2.250,2\n"), {.targets = {"y"}}).notices.empty());
  const Columns doubtful = columns_of(table_of("x;y\n12.500;1\n1.500;2\n"), {.targets = {"y"}});
  REQUIRE(doubtful.notices.size() == 1);
  CHECK(
      doubtful.notices[0] ==
      "a.csv: line 2: column 'x' is '12.500', and no number of the file says whether its mark stands between "
      "thousands; it is read as a decimal one: write 12500 where that is meant");
  CHECK(columns_of(table_of("x,y\n12.500,1\n1.500,2\n"), {.targets = {"y"}}).notices.empty());
}

TEST_CASE("columns: other rows are read as the training rows write numbers, or refused") {
  const Columns commas = columns_from_json(to_json(
      columns_of(table_of("x;z;y\n966,86;5;1\n7,5;6;2\n"), {.targets = {"y"}, .standardize = false})));
  const auto row = [&](const std::string& text) {
    return message_of<UserError>([&] { dataset_of(table_of(text), commas, false); });
  };
  CHECK(
      row("x;z\n7.063;1\n") ==
      "a.csv: line 2: column 'x' is '7.063', but it has decimal commas: write 7063 where that is meant, else "
      "7.0630");
  CHECK(row("x,z\n7.063,1\n").starts_with("a.csv: line 2: column 'x' is '7.063', but it has decimal commas"));
  CHECK(row("x;z\n1;7.063\n") ==
        "a.csv: line 2: column 'z' is '7.063', but column 'x' has decimal commas: write 7063 where that is "
        "meant, else 7.0630");
  const auto read = [&](const std::string& text) {
    return dataset_of(table_of(text), commas, false).examples[0].values[0];
  };
  CHECK(read("x;z\n7,063;1\n") == 7.063F);
  CHECK(read("x;z\n7.0630;1\n") == 7.063F);
  CHECK(read("x;z\n7063;1\n") == 7063);
  const Columns points = columns_of(table_of("x,y\n1.5,1\n2.25,2\n"), {.targets = {"y"}});
  CHECK(
      message_of<UserError>([&] { dataset_of(table_of("x;y\n1,500;2\n"), points); }) ==
      "a.csv: line 2: column 'x' is '1,500', but it has decimal points: write 1500 where that is meant, else "
      "1,5000");
  CHECK(message_of<UserError>([] {
          columns_from_json(R"({"features": [], "targets": [], "classes": [], "weight": "",
                                "number_forms": {"x": ["0;0"]}})");
        }) == "the columns that a model was trained on are damaged; save it again");
}

TEST_CASE("columns: numbers with their thousands apart are refused among others, whatever is between") {
  for (const char* number : {"1 234", "1'234", "1_234", "1.234.567", "1.234,5", "1,234.5", "-12 345,75",
                             "1\xC2\xA0"
                             "234",
                             "1\xE2\x80\xAF"
                             "234",
                             "1\xE2\x80\x99"
                             "234",
                             "1,234,567"}) {
    CAPTURE(number);
    CHECK(has_thousands(number));
    CHECK(refused_columns(fmt::format("x;y\n5;1\n{};2\n", number), {.targets = {"y"}}) ==
          fmt::format(
              "a.csv: line 3: column 'x' is '{}', a number with its thousands apart; write it as 1430.5, "
              "or have the column for categories, by [data] categories = [\"x\"]",
              number));
    CHECK(refused_columns(fmt::format("x;y\n{};1\n", number), {.targets = {"y"}}) ==
          fmt::format("a.csv: column 'x' holds numbers such as '{}'; write them as 1430.5, or have them for "
                      "categories, by [data] categories = [\"x\"]",
                      number));
    const TextTable table = table_of(fmt::format("x;y\n1;{}\n", number));
    CHECK(message_of<UserError>([&] { dataset_of(table, columns_of(table, {.targets = {"y"}})); }) ==
          fmt::format("a.csv: line 2: column 'y' is '{}', which is no finite number; write it as 1430.5",
                      number));
  }
  for (const char* text :
       {"1234", "1.234", "1,234", "12 34", "1 2345", "1 234 56", "1 234'567", "030 123 456", "a 123", ""})
    CHECK_FALSE(has_thousands(text));
}

TEST_CASE("columns: what does not fit is refused by file, line and column") {
  CHECK(refused_columns(houses, {}) ==
        "a.csv: which column is to be learned? Name it as target: area, colour, rooms, price");
  CHECK(refused_columns(houses, {.targets = {"prize"}}) ==
        "a.csv: has no column 'prize'. Did you mean 'price'?");
  CHECK(refused_columns(houses, {.targets = {"price"}, .features = {"price"}}) ==
        "a.csv: the column 'price' is a target or a weight, and cannot be a feature");
  CHECK(refused_columns("a\n1\n", {.targets = {"a"}}) ==
        "a.csv: has no features; it needs columns beside its targets");
  std::string names = "name,x\n";
  for (int i = 0; i < 60; ++i) names += "person" + std::to_string(i) + ",1\n";
  CHECK(
      refused_columns(names, {.targets = {"x"}}) ==
      "a.csv: column 'name' is no number and has 60 different values in 60 rows, such as 'person0'; leave it "
      "out, by [data] ignore = [\"name\"]");
  std::string many = "who,day,name,sold,x\n", sold = "sold,x\n";
  for (int i = 0; i < 60; ++i) {
    many += fmt::format("p{},2020-{},n{},{}000,1\n", i, i, i, i + 1);
    sold += fmt::format("\"{},000\",1\n", i % 4 + 1);
  }
  CHECK(
      refused_columns(many, {.targets = {"x"}}) ==
      "a.csv: column 'who' is no number and has 60 different values in 60 rows, such as 'p0', nor are 'day', "
      "'name'; leave them out, by [data] ignore = [\"who\", \"day\", \"name\"]");
  CHECK(refused_columns(many, {.targets = {"x"}, .ignored = {"who"}}) ==
        "a.csv: column 'day' is no number and has 60 different values in 60 rows, such as '2020-0', nor is "
        "'name'; "
        "leave them out, by [data] ignore = [\"day\", \"name\"]");
  CHECK(refused_columns(sold, {.targets = {"x"}}) ==
        "a.csv: column 'sold' holds numbers such as '1,000'; write them as 1430.5, or have them for "
        "categories, by "
        "[data] categories = [\"sold\"]");
  CHECK(columns_of(table_of(sold), {.targets = {"x"}, .categories = {"sold"}}).dimensions() == 4);
  CHECK(
      columns_of(table_of(many), {.targets = {"sold"}, .ignored = {"who", "day", "name"}}).features.size() ==
      1);
  CHECK(refused_columns(many, {.targets = {"x"}, .ignored = {"whom"}}) ==
        "a.csv: has no column 'whom'. Did you mean 'who'?");
  CHECK(refused_columns(many, {.targets = {"x"}, .ignored = {"x"}}) ==
        "a.csv: the column 'x' is ignored, and a target or a weight; name it once");
  CHECK(refused_columns(many, {.targets = {"x"}, .features = {"who"}, .ignored = {"who"}}) ==
        "a.csv: the column 'who' is ignored, and a feature; name it once");
  CHECK(refused_columns(many, {.targets = {"who"}, .classes = true, .ignored = {"day", "name"}}) ==
        "a.csv: column 'who' has 60 different values in 60 rows, such as 'p0', which are no classes; learn "
        "another "
        "column, or numbers by mean_squared_error");
  CHECK(refused_columns(houses, {.targets = {"price"}, .categories = {"price"}}) ==
        "a.csv: the column 'price' is a category, and a target, whose loss says what it is; leave it out of "
        "categories");
  CHECK(
      refused_columns(houses, {.targets = {"price"}, .features = {"area"}, .categories = {"rooms"}}) ==
      "a.csv: the column 'rooms' is a category, but no feature; leave it out of categories, or name it as a "
      "feature");
  CHECK(refused_columns(houses, {.targets = {"price"}, .features = {"area", "rooms", "area"}}) ==
        "a.csv: the column 'area' is twice in features; name it once");
  CHECK(refused_columns(houses, {.targets = {"price", "price"}}) ==
        "a.csv: the column 'price' is twice in target; name it once");
  CHECK(refused_columns(houses, {.targets = {"price"}, .weight = "price"}) ==
        "a.csv: the column 'price' is a target, and the weight; name it once");
  const Columns columns = columns_of(table_of(houses), {.targets = {"price"}});
  const auto refused_rows = [&](const std::string& rows) {
    return message_of<UserError>([&] { dataset_of(table_of("area,colour,rooms,price\n" + rows), columns); });
  };
  CHECK(refused_rows("1,red,2,3\n1,rod,2,3\n") ==
        "a.csv: line 3: column 'colour' is 'rod', which training never saw. Did you mean 'red'? Leave "
        "it empty, which is none of these, train on rows that have it too, or leave the row out");
  CHECK(refused_rows("wide,red,2,3\n") ==
        "a.csv: line 2: column 'area' is 'wide', which is no finite number");
  CHECK(refused_rows("1,red,2,inf\n") ==
        "a.csv: line 2: column 'price' is 'inf', which is no finite number; "
        "classes are learned by a loss of theirs, such as softmax_cross_entropy");
  CHECK(message_of<UserError>([] { columns_from_json("{}"); }) ==
        "the columns that a model was trained on are damaged; save it again");
}

TEST_CASE("arrays: rows, sequences, labels and numbers") {
  const Tensor rows = Tensor::of<double>({2, 3}, {1, 2, 3, 4, 5, 6}),
               labels = Tensor::of<double>({2}, {2, 0});
  const Dataset classes = dataset_of_arrays(rows, labels, true);
  CHECK(classes.classes == std::vector<std::string>{"0", "1", "2"});
  CHECK(classes.examples[0].label == 2);
  CHECK(classes.examples[1].values == std::vector<float>{4, 5, 6});
  CHECK_FALSE(classes.sequences);
  const Dataset numbers = dataset_of_arrays(rows, labels, false);
  CHECK(numbers.targets.width == 1);
  CHECK(numbers.examples[0].targets == std::vector<float>{2});
  const Tensor frames(f64, {2, 5, 3}), by_frame(f64, {2, 5, 4});
  const Dataset sequences = dataset_of_arrays(frames, by_frame, true, "x");
  CHECK(sequences.sequences);
  CHECK(sequences.examples[1].frames == 5);
  CHECK(sequences.targets == Targets{4, true, {}});
  // A class for each frame, as [rows, time] or [rows, time, 1].
  for (const Extents& shape : {Extents{2, 5}, Extents{2, 5, 1}}) {
    const Dataset labelled =
        dataset_of_arrays(frames, Tensor::of<double>(shape, {0, 1, 2, 0, 0, 1, 1, 1, 1, 1}), true, "x");
    CHECK(labelled.targets == Targets{1, true, {}});
    CHECK(labelled.classes == std::vector<std::string>{"0", "1", "2"});
    CHECK(labelled.examples[0].targets == std::vector<float>{0, 1, 2, 0, 0});
  }
  const Tensor one_hot = Tensor::of<double>({2, 5}, {0, 1, 0, 0, 0, 0, 0, 0, 0, 1});
  CHECK(dataset_of_arrays(frames, one_hot, true, "x").targets == Targets{5, false, {}});
  const auto refused = [](const Tensor& x, const Tensor& y, bool classes) {
    return message_of<UserError>([&] { dataset_of_arrays(x, y, classes, "x"); });
  };
  CHECK(refused(labels, labels, true) == "x: is [2]; features are [rows, columns] or [rows, time, columns]");
  CHECK(refused(rows, Tensor(f64, {3}), true) ==
        "x: targets are [3], but there are 2 rows; there must be some for each");
  CHECK(refused(rows, Tensor::of<double>({2}, {0, 1.5}), true) ==
        "x: the label of row 1 is 1.5; classes are whole numbers from 0 to 65535");
  CHECK(refused(frames, Tensor::of<double>({2, 5, 1}, {0, 0, 0, 0, 0, 0, 0, 0, -1, 0}), true) ==
        "x: the label of row 1 is -1; classes are whole numbers from 0 to 65535");
  CHECK(refused(rows, Tensor::of<double>({2}, {-1, 1}), true) ==
        "x: the labels are -1 and 1, but classes are counted from 0; write 0 for -1");
  CHECK(refused(rows, Tensor::of<double>({2}, {0, 1e7}), true) ==
        "x: the label of row 1 is 10000000; classes are whole numbers from 0 to 65535");
  CHECK(refused(frames, Tensor(f64, {2, 4, 1}), false) == "x: targets are of 4 frames, but features of 5");
}

TEST_CASE("csv: a text among numbers is named, or the column is taken for categories and that is said") {
  std::string many = "x,y\n", few = "x,y\n";
  for (int i = 0; i < 60; ++i) many += i == 7 ? "n/d,1\n" : fmt::format("{}.5,1\n", i);
  for (int i = 0; i < 60; ++i) few += i == 7 ? "3+,1\n" : fmt::format("{},1\n", i % 3);
  CHECK(refused_columns(many, {.targets = {"y"}}) ==
        "a.csv: line 9: column 'x' is 'n/d', which is no number, as 59 of 60 are; correct it, leave it empty "
        "where it is missing, or leave the column out, by [data] ignore = [\"x\"]");
  const Columns columns = columns_of(table_of(few), {.targets = {"y"}});
  CHECK(columns.features[0].values == std::vector<std::string>{"0", "1", "2", "3+"});
  REQUIRE(columns.notices.size() == 1);
  CHECK(columns.notices[0] ==
        "a.csv: line 9: column 'x' is '3+', which is no number, as 59 of 60 are: the column is taken for "
        "categories; [data] categories = [\"x\"] says so, an empty field that a number is missing");
  CHECK(columns_of(table_of(few), {.targets = {"y"}, .categories = {"x"}}).notices.empty());
  // Texts of which some look like numbers are texts.
  CHECK(columns_of(table_of("x,y\na,1\nb,1\n3,2\n"), {.targets = {"y"}}).notices.empty());
}

TEST_CASE("csv: a target of numbers from 0 to 1 says how probable something is, where it may") {
  std::string shares = "x,y\n", zeros = "x,y\n", far = "x,y\n";
  for (int i = 0; i < 40; ++i) {
    shares += fmt::format("{},{}\n", i, i / 40.0);
    zeros += fmt::format("{},{}\n", i, i % 2);
    far += fmt::format("{},{}\n", i, i / 20.0);
  }
  const ColumnOptions may{.targets = {"y"}, .classes = true, .shares = true};
  const Columns soft = columns_of(table_of(shares), may);
  CHECK(soft.classes.empty());
  const Dataset dataset = dataset_of(table_of(shares), soft);
  CHECK(dataset.targets.width == 1);
  CHECK(dataset.examples[10].targets == std::vector<float>{0.25F});
  CHECK(columns_of(table_of(zeros), may).classes == std::vector<std::string>{"0", "1"});
  CHECK(columns_of(table_of("x,y\n1,no\n2,yes\n"), may).classes.size() == 2);
  // Two numbers are two classes, as they always were.
  CHECK(columns_of(table_of("x,y\n1,0.5\n2,1\n"), may).classes.size() == 2);
  for (const std::string& text : {far, shares}) {
    ColumnOptions classes = may;
    classes.shares = text != shares;
    CHECK(lariat::testing::contains(refused_columns(text, classes), "which are no classes"));
  }
}

TEST_CASE("names from elsewhere lead to ours") {
  CHECK(what_was_meant("lr", {"learning_rate", "epsilon"}) == " It is called 'learning_rate' here.");
  CHECK(what_was_meant("kernel_regularizer", {"units", "kernel_penalty"}) ==
        " It is called 'kernel_penalty' here.");
  CHECK(what_was_meant("units", {"filters", "kernel"}) == " It is called 'filters' here.");
  CHECK(what_was_meant("MSE", {"huber", "mean_squared_error"}) == " It is called 'mean_squared_error' here.");
  CHECK(what_was_meant("unit", {"units", "kernel"}) == " Did you mean 'units'?");
  // As their programs write them, with the module.
  CHECK(what_was_meant("torch.nn.Linear", {"conv1d", "dense"}) == " It is called 'dense' here.");
  CHECK(what_was_meant("keras.layers.LSTM", {"gru", "lstm"}) == " It is called 'lstm' here.");
  CHECK(what_was_meant("nn.AdaptiveAvgPool2d", {"dense", "global_average_pool"}) ==
        " It is called 'global_average_pool' here.");
  CHECK(what_was_meant("betas", {"beta1", "beta2"}) == " It is called 'beta1' or 'beta2' here.");
  CHECK(what_was_meant("fit", {"evaluate", "train"}) == " It is called 'train' here.");
  // Keys of a whole recipe have dots of their own.
  CHECK(known_as("optimizer.rate", {"layers.0.rate"}).empty());
  // Keys that belong elsewhere, unless they belong here too.
  CHECK(which_key_was_meant("lr", {"learning_rate"}) == " It is called 'learning_rate' here.");
  CHECK(which_key_was_meant("validation_split", {"epochs"}) == " Elsewhere: write [data] validation.");
  CHECK(which_key_was_meant("validation_split", {"validation"}) == " It is called 'validation' here.");
  CHECK(which_key_was_meant("weightDecay", {"learning_rate"}) ==
        " Elsewhere: the optimizers adamw, lamb and lion have it, as layers and [[groups]] do.");
  CHECK(which_key_was_meant("epoch", {"epochs"}) == " Did you mean 'epochs'?");
}

}  // namespace lariat::csv_test
