#include "frontends/cli/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "frontends/cli/chart.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/embedded.hpp"
#include "frontends/cli/report_style.hpp"
#include "graph/atomic_file.hpp"

namespace lariat::cli {

namespace {

using Epoch = ReportData::Epoch;

std::vector<double> column(const std::vector<Epoch>& history, double Epoch::*member, double factor = 1) {
  std::vector<double> values;
  for (const Epoch& epoch : history) values.push_back(factor * (epoch.*member));
  return values;
}

std::string section(const std::string& title, const std::string& body) {
  return body.empty() ? "" : fmt::format("<section><h2>{}</h2>{}</section>\n", title, body);
}

std::string card(const std::string& body, const std::string& caption = {}) {
  return fmt::format("<div class=\"card\">{}{}</div>\n", body,
                     caption.empty() ? "" : fmt::format("<p class=\"caption\">{}</p>", caption));
}

std::string preformatted(const std::string& text) {
  return text.empty() ? "" : card(fmt::format("<pre>{}</pre>", escaped(text)));
}

std::string figures(const ReportData& data) {
  std::string html;
  for (const ReportData::Figure& figure : data.figures)
    html += fmt::format("<div class=\"figure\"><span>{}</span><b>{}</b><span>{}</span></div>",
                        escaped(figure.label), escaped(figure.value), escaped(figure.comment));
  return html.empty() ? "" : "<div class=\"figures\">" + html + "</div>\n";
}

std::string history_table(const std::vector<Epoch>& history) {
  std::string rows;
  for (size_t i = 0; i < history.size(); ++i)
    rows += fmt::format("<tr><td>{}</td><td>{:.5g}</td><td>{:.5g}</td><td>{}</td><td>{}</td></tr>", i + 1,
                        history[i].smooth, history[i].penalty,
                        std::isnan(history[i].accuracy) ? "" : percent(history[i].accuracy),
                        percent(history[i].zero_fraction));
  return fmt::format(
      "<details><summary>The figures of each epoch</summary><div "
      "class=\"scroll\"><table><thead><tr><th>epoch</th>"
      "<th>smooth loss</th><th>penalty</th><th>accuracy</th><th>exact "
      "zeros</th></tr></thead><tbody>{}</tbody></table>"
      "</div></details>",
      rows);
}

std::string training(const ReportData& data) {
  if (data.history.empty()) return {};
  const std::vector<double> penalty = column(data.history, &Epoch::penalty);
  const bool penalised = std::any_of(penalty.begin(), penalty.end(), [](double value) { return value > 0; });
  LineChart loss{"Loss by epoch", "loss", {{"smooth part", column(data.history, &Epoch::smooth), 1}}, true};
  if (penalised) loss.series.push_back({"penalty", penalty, 2});
  LineChart shares{"Accuracy and exact zeros by epoch",
                   "%",
                   {{"accuracy", column(data.history, &Epoch::accuracy, 100), 3}},
                   false,
                   0,
                   100};
  if (penalised)
    shares.series.push_back({"exact zeros", column(data.history, &Epoch::zero_fraction, 100), 2});
  const std::string of = data.accuracy_caption.empty() ? "" : " " + escaped(data.accuracy_caption);
  return "<div class=\"pair\">" +
         card(line_chart(loss),
              penalised ? "The loss as it is minimised: the smooth part, and the penalty that the "
                          "rewrite moved into the optimizer. Logarithmic axis, means over the epoch."
                        : "The loss as it is minimised. Logarithmic axis, means over the epoch.") +
         card(line_chart(shares),
              fmt::format("Accuracy{}{}", of,
                          penalised ? ", and the share of penalised weights that are exactly zero." : ".")) +
         "</div>" + history_table(data.history);
}

std::string confusion(const ReportData& data) {
  if (data.confusion.empty()) return {};
  return card(confusion_chart(data.classes, data.confusion), escaped(data.confusion_caption));
}

std::string weights(const ReportData& data) {
  std::string pictures;
  for (const auto& [name, tensor] : data.weights) pictures += weight_picture(name, tensor);
  if (pictures.empty()) return {};
  return "<p class=\"soft\">Every penalised weight: <i class=\"key series-1\"></i> positive, <i class=\"key "
         "series-2\"></i> negative, <i class=\"key open\"></i> exactly zero. Stronger is larger; the longer "
         "side lies "
         "across.</p>" +
         card(pictures);
}

std::string notices(const ReportData& data) {
  std::string items;
  for (const std::string& notice : data.notices) items += fmt::format("<li>{}</li>", escaped(notice));
  return items.empty() ? "" : card("<ul>" + items + "</ul>");
}

}  // namespace

std::string report_html(const ReportData& data) {
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>{}</style>\n"
      "</head>\n<body>\n<main>\n<h1>{}</h1>\n<p class=\"soft\">{}</p>\n",
      escaped(data.title), report_style, escaped(data.title), escaped(data.summary));
  html += figures(data);
  for (const ReportData::Picture& picture : data.pictures)
    html += section(picture.title, card(picture.svg, escaped(picture.caption)));
  html += section("Training", training(data));
  html += section("What was confused with what", confusion(data));
  html += section("Where the zeros are", weights(data));
  html += section("What the rewrite did", preformatted(data.rewrite));
  html += section("The recipe", preformatted(data.recipe));
  html += section("Notices", notices(data));
  return html + fmt::format("<footer>Written by lariat {}.</footer>\n</main>\n</body>\n</html>\n", version);
}

void write_report(const std::string& file, const ReportData& data) {
  AtomicFile out(file);
  out.write(report_html(data));
  out.commit();
}

}  // namespace lariat::cli
