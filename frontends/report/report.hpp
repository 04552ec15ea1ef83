#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/certificate/certificate.hpp"
#include "graph/base/tensor.hpp"

namespace lariat::reports {

/// What a report shows. Parts that are empty are left out.
struct ReportData {
  struct Epoch {
    double smooth = 0, penalty = 0;          ///< means over the epoch's batches
    double accuracy = 0, zero_fraction = 0;  ///< shares, 0 to 1; NaN where it was not measured
    double support_changes = 0;              ///< a share, too
    double prox_residual = 0;                ///< NaN where it was not measured
  };
  struct Figure {
    std::string label, value, comment;
  };

  /// Something drawn elsewhere, under a heading of its own.
  struct Picture {
    std::string title, svg, caption;
  };

  std::string title, summary;
  std::vector<Figure> figures;
  std::vector<Picture> pictures;
  std::vector<Epoch> history;
  std::string accuracy_caption;  ///< which data the accuracy by epoch is of
  std::vector<std::string> classes;
  std::vector<int64_t> confusion;  ///< counts[truth * classes + answer]
  std::string confusion_caption;
  std::vector<std::pair<std::string, Tensor>> weights;  ///< the penalised ones
  std::optional<Certificate> certificate;
  std::string rewrite, recipe;
  std::vector<std::string> notices;
};

/// A page in one piece: no script, no external resource, light and dark.
std::string report_html(const ReportData& data);

/// Writes the page, complete or not at all.
void write_report(const std::string& file, const ReportData& data);

}  // namespace lariat::reports
