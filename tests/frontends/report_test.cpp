// Pictures of reports: nothing that is drawn is cut, whatever names and numbers are in it.
#include "frontends/report/report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/report/axis.hpp"
#include "frontends/report/chart.hpp"
#include "frontends/report/figures.hpp"
#include "tests/support/testing.hpp"

namespace lariat::report_test {

using namespace lariat::reports;
using namespace lariat::testing;

namespace {

size_t times(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// What stands behind `key` in a picture.
double number_behind(const std::string& text, const std::string& key) {
  const size_t at = text.find(key);
  REQUIRE(at != text.npos);
  return std::stod(text.substr(at + key.size()));
}

}  // namespace

TEST_CASE("report: names are cut at their end, or in the middle where ends tell them apart") {
  CHECK(fitted("seven", 5) == "seven");
  CHECK(fitted("seventeen", 5) == "seve…");
  CHECK(fitted("größte Zahl", 5) == "größ…");
  CHECK(fitted("x", 0).empty());
  CHECK(shortened("seventeen", 9) == "seventeen");
  CHECK(shortened("class number 15", 7) == "cla… 15");
  CHECK(shortened("класс номер 15", 8) == "клас… 15");
  CHECK(columns_of("три") == 3);
}

TEST_CASE("report: a confusion matrix has room for long names, and no markup of theirs") {
  const std::string longest(70, 'x');
  const std::vector<std::string> names{"<script>alert(1)</script>", longest, "a \"b\" & c"};
  const std::string svg = confusion_chart(names, {5, 1, 0, 0, 3, 0, 2, 0, 4});
  CHECK_FALSE(contains(svg, "<script>"));
  CHECK(contains(svg, "<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>&lt;script&gt;a…/script&gt;<"));
  CHECK(contains(svg, "a &quot;b&quot; &amp; c"));
  // The whole name is a title, and what is written is short.
  CHECK(contains(svg, "<title>" + longest + "</title>xxxxxxxxx…xxxxxxxx<"));
  // The names beside it begin within the picture: at most 18 letters of 0.62 of the size of the font.
  CHECK(number_behind(svg, "text-anchor=\"middle\">is</text><text class=\"tick\" style=\"font-size:") == 13);
  CHECK(number_behind(svg, "px\" x=\"") > 24 + 18 * 0.62 * 13);
  // Names that differ at their ends alone stay apart.
  const std::string ends =
      confusion_chart({"a class of some kind 15", "a class of some kind 16"}, {1, 0, 0, 1});
  CHECK(contains(ends, "kind 15<"));
  CHECK(contains(ends, "kind 16<"));
}

TEST_CASE("report: of many classes the most mistaken are drawn, and the others as one") {
  constexpr size_t n = 300;
  ReportData data;
  ReportData::Confusion confusion{"", {}, std::vector<int64_t>(n * n), "Rows are true."};
  for (size_t i = 0; i < n; ++i) {
    confusion.classes.push_back(fmt::format("class {}", i));
    confusion.counts[i * n + i] = 10;
  }
  for (size_t i = 100; i < 140; ++i) confusion.counts[i * n + i + 40] = 2 + static_cast<int64_t>(i);
  confusion.counts[7 * n + 120] = 3;
  data.confusions = {confusion};
  const std::string page = report_html(data);
  CHECK(page.size() < 1000000);
  CHECK(contains(page,
                 "Of 300 classes the 40 with the most mistakes are drawn; all others are one, and their "
                 "mistakes among themselves are in the last cell."));
  CHECK(contains(page, "Confusion matrix of 41 classes"));
  CHECK(contains(page, "<title>class 139 taken for class 179: 141 of 151</title>"));
  CHECK(contains(page, "<title>(others) taken for class 120: 3 of "));
  CHECK_FALSE(contains(page, "<title>class 7</title>"));
  // As they are where they are few.
  confusion.classes.resize(60);
  confusion.counts.assign(60 * 60, 1);
  data.confusions = {confusion};
  const std::string whole = report_html(data);
  CHECK(contains(whole, "Confusion matrix of 60 classes"));
  CHECK(times(whole, "<title>class 59 taken for") == 60);
  // So small that a phone shows it in a frame that scrolls.
  CHECK(contains(whole, "<div class=\"scroll\"><svg class=\"confusion\""));
  CHECK(number_behind(whole, "px;min-width:") > 600);
}

TEST_CASE("report: axes have room for their numbers, and not more ticks than room") {
  const Axis wide = logarithmic_axis(1e-6, 1e12);
  CHECK(wide.ticks.size() >= 4);
  CHECK(wide.ticks.size() <= 8);
  CHECK(logarithmic_axis(1e-3, 1).ticks.size() == 4);
  CHECK(room_beside(linear_axis(0, 1, 5)) == 58);
  CHECK(room_beside(linear_axis(-1.25e10, 3e10, 5)) > 22 + 7 + 7 * 6);
  const std::string chart = comparison_chart("price", {1e5F, 8e5F}, {2e5F, 7e5F});
  const double left = number_behind(chart, "class=\"grid\" x1=\""), right = number_behind(chart, "x2=\"");
  CHECK(left == room_beside(linear_axis(1e5, 8e5, 5)));
  CHECK(right <= 480 - 8.7 * 5 / 2);
  // In no colour that means something else on the page.
  CHECK_FALSE(contains(chart, "series-"));
  const std::string plot = line_chart({"Loss", "loss", {{"smooth part", {1e11, 1e10}, 1}}, true});
  CHECK(number_behind(plot, "class=\"grid\" x1=\"") >= 58);
}

}  // namespace lariat::report_test
