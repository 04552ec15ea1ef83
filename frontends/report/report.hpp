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

  /// Rows under a heading, the first of which names the columns.
  struct Table {
    std::string title;
    std::vector<std::vector<std::string>> rows;
  };

  /// A weight with what the blocks of its last axis are, such as the gates of an LSTM; none: one block.
  struct Weight {
    std::string name;
    Tensor tensor;
    std::vector<std::string> blocks;
  };
  /// An example of which something wrong was said: a picture or a player of it, as HTML, or "".
  struct Example {
    std::string source, truth, said, media;
  };

  /// What was taken for what, of one output of a model: counts[truth * classes + answer].
  struct Confusion {
    std::string output;  ///< its name, where there are several
    std::vector<std::string> classes;
    std::vector<int64_t> counts;
    std::string caption;
  };

  std::string title, summary;
  std::vector<Figure> figures;
  std::vector<Picture> pictures;
  std::vector<Table> tables;
  std::vector<Epoch> history;
  std::string accuracy_caption;  ///< which data the accuracy by epoch is of
  std::vector<Confusion> confusions;
  std::vector<Table> by_class;  ///< a table for each output of classes
  std::vector<Example> examples;
  std::string examples_title = "What it gets wrong", said_as = "taken for", examples_caption;
  std::vector<Weight> weights;  ///< the penalised ones
  std::vector<Table> worth;     ///< of zeros, without titles
  std::string worth_caption;
  std::optional<Certificate> certificate;
  std::vector<std::string> plainly;  ///< what the rewrite did, a sentence for each term
  std::string rewrite, recipe;
  std::string versions;  ///< of what wrote the page
  std::vector<std::string> notices;
};

/// A page in one piece: no script, no external resource, light and dark.
std::string report_html(const ReportData& data);

/// Whether a file is such a page, of any kind.
bool is_report(const std::string& file);

/// Writes the page, complete or not at all.
void write_report(const std::string& file, const ReportData& data);

}  // namespace lariat::reports
