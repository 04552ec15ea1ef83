#include "frontends/report/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "frontends/report/chart.hpp"
#include "frontends/report/figures.hpp"
#include "frontends/report/style.hpp"
#include "graph/base/version.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::reports {

namespace {

// What is_report() looks for.
constexpr std::string_view generator = "<meta name=\"generator\" content=\"lariat\">";

using Epoch = ReportData::Epoch;

std::vector<double> column(const std::vector<Epoch>& history, double Epoch::*member, double factor = 1) {
  std::vector<double> values;
  for (const Epoch& epoch : history) values.push_back(factor * (epoch.*member));
  return values;
}

std::string section(const std::string& title, const std::string& body) {
  return body.empty() ? "" : fmt::format("<section><h2>{}</h2>{}</section>\n", escaped(title), body);
}

std::string card(const std::string& body, const std::string& caption = {}) {
  return fmt::format("<div class=\"card\">{}{}</div>\n", body,
                     caption.empty() ? "" : fmt::format("<p class=\"caption\">{}</p>", caption));
}

// What stands over what is of one of several outputs.
std::string of_output(const std::string& name) {
  return name.empty() ? "" : fmt::format("<h3>{}</h3>", escaped(name));
}

std::string preformatted(const std::string& text) {
  return text.empty() ? "" : card(fmt::format("<pre>{}</pre>", escaped(text)));
}

std::string figures(const ReportData& data) {
  std::string html;
  for (const ReportData::Figure& figure : data.figures) {
    std::string label;
    for (const char c : escaped(figure.label)) label += c == '_' ? std::string("_<wbr>") : std::string(1, c);
    html += fmt::format("<div class=\"figure\"><span>{}</span><b>{}</b><span>{}</span></div>", label,
                        escaped(figure.value), escaped(figure.comment));
  }
  // Of more than fit side by side, as many in each of two rows.
  const size_t count = data.figures.size(), columns = count <= 6 ? count : (count + 1) / 2;
  return html.empty()
             ? ""
             : fmt::format("<div class=\"figures\" style=\"--columns: {}\">{}</div>\n", columns, html);
}

using Cells = std::vector<std::string>;

std::string html_table(const Cells& heading, const std::vector<Cells>& rows) {
  const auto line = [](const Cells& cells, const char* tag) {
    std::string html;
    for (const std::string& cell : cells) html += fmt::format("<{0}>{1}</{0}>", tag, escaped(cell));
    return "<tr>" + html + "</tr>";
  };
  std::string body;
  for (const Cells& row : rows) body += line(row, "td");
  return fmt::format("<div class=\"scroll\"><table><thead>{}</thead><tbody>{}</tbody></table></div>",
                     line(heading, "th"), body);
}

std::string history_table(const std::vector<Epoch>& history) {
  const auto unless_nan = [](double value, const std::string& text) {
    return std::isnan(value) ? std::string() : text;
  };
  std::vector<Cells> rows;
  for (const Epoch& epoch : history)
    rows.push_back({fmt::format("{}", rows.size() + 1), fmt::format("{:.5g}", epoch.smooth),
                    fmt::format("{:.5g}", epoch.penalty), unless_nan(epoch.accuracy, percent(epoch.accuracy)),
                    percent(epoch.zero_fraction),
                    unless_nan(epoch.support_changes, small_percent(epoch.support_changes)),
                    unless_nan(epoch.prox_residual, fmt::format("{:.3g}", epoch.prox_residual))});
  return "<details><summary>The figures of each epoch</summary>" +
         html_table({"epoch", "smooth loss", "penalty", "accuracy", "exact zeros", "support changes",
                     "prox residual"},
                    rows) +
         "</details>";
}

std::string certificate(const ReportData& data) {
  if (!data.certificate) return {};
  std::vector<Cells> rows;
  for (const Certificate::Entry& entry : data.certificate->entries)
    rows.push_back({entry.parameter, fmt::format("{:.3g}", entry.prox_residual),
                    entry.distance ? fmt::format("{:.3g}", *entry.distance) : "not known",
                    fmt::format("{:.3g}", entry.gradient)});
  return "<p class=\"soft\">" + escaped(data.certificate->text()) + "</p>" +
         card(
             html_table({"parameter", "prox residual", "distance to the subdifferential", "largest gradient"},
                        rows),
             "On all training examples, without dropout. Both are 0 where no small change of the weights "
             "makes the loss with its penalties smaller to first order.");
}

std::string training(const ReportData& data) {
  if (data.history.empty()) return {};
  const std::vector<double> penalty = column(data.history, &Epoch::penalty);
  const bool penalised = std::any_of(penalty.begin(), penalty.end(), [](double value) { return value > 0; });
  LineChart loss{"Loss by epoch", "loss", {{"smooth part", column(data.history, &Epoch::smooth), 1}}, true};
  if (penalised) loss.series.push_back({"penalty", penalty, 2});
  LineChart shares{"Accuracy and exact zeros by epoch", "%", {}, false, 0, 100};
  const std::vector<double> accuracy = column(data.history, &Epoch::accuracy, 100);
  const bool accurate =
      std::any_of(accuracy.begin(), accuracy.end(), [](double a) { return !std::isnan(a); });
  if (accurate) shares.series.push_back({"accuracy", accuracy, 3});
  if (penalised)
    shares.series.insert(shares.series.end(),
                         {{"exact zeros", column(data.history, &Epoch::zero_fraction, 100), 4},
                          {"support changes", column(data.history, &Epoch::support_changes, 100), 5}});
  const std::string of = data.accuracy_caption.empty() ? "" : " " + escaped(data.accuracy_caption);
  const char* zeros =
      "the share of penalised weights that are exactly zero, and the share that became zero or "
      "ceased to be in the epoch.";
  const std::string caption =
      accurate ? fmt::format("Accuracy{}{}{}", of, penalised ? ", " : ".", penalised ? zeros : "")
               : fmt::format("T{}", zeros + 1);
  return "<div class=\"pair\">" +
         card(line_chart(loss),
              penalised ? "The loss as it is minimised: the smooth part, and the penalty that the "
                          "rewrite moved into the optimizer. Logarithmic axis, means over the epoch."
                        : "The loss as it is minimised. Logarithmic axis, means over the epoch.") +
         (shares.series.empty() ? "" : card(line_chart(shares), caption)) + "</div>" +
         history_table(data.history);
}

// Of many classes those with the most mistakes, and the others as one: a page holds no million cells.
ReportData::Confusion most_confused(const ReportData::Confusion& all) {
  constexpr size_t most_whole = 60, most = 40;
  const size_t n = all.classes.size();
  if (n <= most_whole) return all;
  std::vector<int64_t> mistakes(n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      if (i != j)
        for (const size_t one : {i, j}) mistakes[one] += all.counts[i * n + j];
  std::vector<size_t> order(n), place(n, most);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return mistakes[a] > mistakes[b]; });
  order.resize(most);
  std::sort(order.begin(), order.end());
  ReportData::Confusion drawn = all;
  drawn.classes.clear();
  for (size_t i = 0; i < most; ++i) {
    place[order[i]] = i;
    drawn.classes.push_back(all.classes[order[i]]);
  }
  drawn.classes.emplace_back("(others)");
  drawn.counts.assign((most + 1) * (most + 1), 0);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) drawn.counts[place[i] * (most + 1) + place[j]] += all.counts[i * n + j];
  drawn.caption += fmt::format(
      " Of {} classes the {} with the most mistakes are drawn; all others are one, and "
      "their mistakes among themselves are in the last cell.",
      n, most);
  return drawn;
}

std::string confusion(const ReportData& data) {
  std::string cards;
  for (const ReportData::Confusion& each : data.confusions) {
    if (each.counts.empty()) continue;
    const ReportData::Confusion drawn = most_confused(each);
    cards +=
        of_output(each.output) + card(confusion_chart(drawn.classes, drawn.counts), escaped(drawn.caption));
  }
  return cards;
}

std::string weights(const ReportData& data) {
  std::string pictures;
  for (const ReportData::Weight& weight : data.weights)
    pictures += weight_picture(weight.name, weight.tensor, weight.blocks);
  if (pictures.empty()) return {};
  return "<p class=\"soft\">Every penalised weight: <i class=\"key series-7\"></i> positive, <i class=\"key "
         "series-8\"></i> negative, <i class=\"key open\"></i> exactly zero. Stronger is larger; the longer "
         "side lies "
         "across.</p>" +
         card(pictures);
}

std::string pictures(const ReportData& data) {
  if (data.pictures.empty()) return {};
  std::string html;
  for (const ReportData::Picture& picture : data.pictures)
    html += section(picture.title, card(picture.svg, escaped(picture.caption)));
  return data.pictures.size() == 1 ? html : "<div class=\"pair\">" + html + "</div>\n";
}

std::string by_class(const ReportData& data) {
  std::string tables;
  for (const ReportData::Table& table : data.by_class)
    tables += of_output(table.title) +
              card(html_table(table.rows.front(), {table.rows.begin() + 1, table.rows.end()}));
  return tables;
}

std::string worth(const ReportData& data) {
  std::string tables;
  for (const ReportData::Table& table : data.worth)
    tables += html_table(table.rows.front(), {table.rows.begin() + 1, table.rows.end()});
  return tables.empty() ? "" : card(tables, escaped(data.worth_caption));
}

std::string examples(const ReportData& data) {
  std::string cells;
  for (const ReportData::Example& example : data.examples)
    cells += fmt::format(
        "<div class=\"example\">{}{} <b>{}</b><br>is <b>{}</b><div class=\"source\">{}</div></div>",
        example.media, escaped(data.said_as), escaped(example.said), escaped(example.truth),
        escaped(example.source));
  return cells.empty() ? ""
                       : card("<div class=\"examples\">" + cells + "</div>", escaped(data.examples_caption));
}

std::string rewrite(const ReportData& data) {
  if (data.plainly.empty()) return preformatted(data.rewrite);
  std::string items;
  for (const std::string& sentence : data.plainly) items += fmt::format("<li>{}</li>", escaped(sentence));
  return card(
      fmt::format("<ul>{}</ul><details><summary>As the program prints it</summary><pre>{}</pre></details>",
                  items, escaped(data.rewrite)));
}

std::string notices(const ReportData& data) {
  std::string items;
  for (const std::string& notice : data.notices) items += fmt::format("<li>{}</li>", escaped(notice));
  return items.empty() ? "" : card("<ul>" + items + "</ul>");
}

}  // namespace

std::string report_html(const ReportData& data) {
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{}\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>{}</style>\n"
      "</head>\n<body>\n<main>\n<h1>{}</h1>\n<p class=\"soft\">{}</p>\n",
      generator, escaped(data.title), report_style, escaped(data.title), escaped(data.summary));
  html += figures(data);
  html += pictures(data);
  for (const ReportData::Table& table : data.tables)
    html += section(table.title,
                    card(html_table(table.rows.front(), {table.rows.begin() + 1, table.rows.end()})));
  html += section("Training", training(data));
  html += section("Class by class", by_class(data));
  html += section("What was confused with what", confusion(data));
  html += section(data.examples_title, examples(data));
  html += section("Where the zeros are", weights(data));
  html += section("What the zeros are worth", worth(data));
  html += section("How close to stationary", certificate(data));
  html += section("What the rewrite did", rewrite(data));
  html += section("The recipe", preformatted(data.recipe));
  html += section("Notices", notices(data));
  return html + fmt::format("<footer>Written by lariat {}{}.</footer>\n</main>\n</body>\n</html>\n", version,
                            data.versions.empty() ? "" : ", " + escaped(data.versions));
}

bool is_report(const std::string& file) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(file, none)) return false;
  std::ifstream in(file, std::ios::binary);
  std::string begin(400, '\0');
  in.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return begin.find(generator) != begin.npos;
}

void write_report(const std::string& file, const ReportData& data) {
  AtomicFile out(file);
  out.write(report_html(data));
  out.commit();
}

}  // namespace lariat::reports
