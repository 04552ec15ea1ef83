#include "graph/ir/print.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <limits>
#include <type_traits>

#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

namespace {

template <class... Arguments>
void append(std::string& out, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Arguments>(arguments)...);
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      append(out, "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

// Names of ops, attributes and outputs stand bare where the parser can read them so.
void append_word(std::string& out, std::string_view text) {
  const auto is_bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_./:-").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_bare)) {
    out += text;
  } else {
    append_quoted(out, text);
  }
}

template <class T>
void append_number(std::string& out, T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) {
      using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
      const auto bits = std::bit_cast<Bits>(value);
      const bool usual = bits == std::bit_cast<Bits>(std::numeric_limits<T>::quiet_NaN());
      if (usual) {
        out += "nan";
      } else {
        append(out, "nan(0x{:x})", bits);
      }
      return;
    }
  }
  append(out, "{}", value);
}

void append_real(std::string& out, double value) {
  const size_t start = out.size();
  append_number(out, value);
  if (std::isfinite(value) && out.find_first_of(".e", start) == std::string::npos) out += ".0";
}

void append_graph(std::string& out, const Graph& graph, int depth);

struct AttributePrinter {
  std::string& out;
  int depth;

  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(int64_t value) const { append(out, "{}", value); }
  void operator()(double value) const { append_real(out, value); }
  void operator()(const std::string& value) const { append_quoted(out, value); }
  void operator()(const std::vector<int64_t>& value) const { out += text(value); }
  void operator()(const Shape& value) const { append(out, "shape{}", text(value)); }
  void operator()(DType value) const { out += name_of(value); }
  void operator()(const Tensor& value) const {
    append(out, "{}{{", text(value.type()));
    with_type(value.dtype(), [&](auto zero) {
      bool first = true;
      for (const auto element : value.values<decltype(zero)>()) {
        if (!first) out += ", ";
        first = false;
        append_number(out, element);
      }
    });
    out += '}';
  }
  void operator()(const std::shared_ptr<const Graph>& value) const {
    require(value != nullptr, "a graph attribute holds no graph");
    require(depth < max_graph_nesting, "graphs are nested too deeply to be printed");
    out += "graph {\n";
    append_graph(out, *value, depth + 1);
    out.append(2 * static_cast<size_t>(depth), ' ');
    out += '}';
  }
};

bool same_attribute(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  if (const auto* tensor = std::get_if<Tensor>(&a)) return same_bits(*tensor, std::get<Tensor>(b));
  if (const auto* real = std::get_if<double>(&a))
    return std::bit_cast<uint64_t>(*real) == std::bit_cast<uint64_t>(std::get<double>(b));
  return std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, Tensor> || std::is_same_v<T, double>) {
          return false;
        } else {
          return value == std::get<T>(b);
        }
      },
      a);
}

bool is_default(const OpDef& op, const std::string& name, const Attribute& value) {
  for (const AttributeSpec& spec : op.attributes)
    if (spec.name == name) return spec.otherwise && same_attribute(*spec.otherwise, value);
  return false;
}

void append_edge(std::string& out, const Edge& edge) {
  append(out, "%{}", edge.node);
  if (edge.output != 0) append(out, ".{}", edge.output);
}

void append_node(std::string& out, const Graph& graph, int32_t id, int depth) {
  const Node& node = graph.node(id);
  append(out, "%{} = ", id);
  append_word(out, node.op->name);
  out += '(';
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i > 0) out += ", ";
    append_edge(out, node.inputs[i]);
  }
  out += ')';
  bool first = true;
  for (const auto& [name, value] : node.attributes) {
    if (is_default(*node.op, name, value)) continue;
    out += first ? " {" : ", ";
    first = false;
    append_word(out, name);
    out += '=';
    std::visit(AttributePrinter{out, depth}, value);
  }
  if (!first) out += '}';
  for (size_t i = 0; i < node.outputs.size(); ++i)
    append(out, "{}{}", i == 0 ? " : " : ", ", text(node.outputs[i]));
  if (!node.name.empty()) {
    out += ' ';
    append_quoted(out, node.name);
  }
  if (node.where.line() != 0) {
    out += "  # ";
    append_escaped(out, text(node.where));
  }
}

void append_graph(std::string& out, const Graph& graph, int depth) {
  const std::string indent(2 * static_cast<size_t>(depth), ' ');
  for (int32_t id = 0; id < graph.size(); ++id) {
    out += indent;
    append_node(out, graph, id, depth);
    out += '\n';
  }
  for (const Output& output : graph.outputs()) {
    append(out, "{}{} ", indent, output.is_update ? "update" : "output");
    append_word(out, output.name);
    out += " = ";
    append_edge(out, output.value);
    out += '\n';
  }
}

}  // namespace

std::string to_text(const Graph& graph) {
  std::string out;
  append_graph(out, graph, 0);
  return out;
}

std::string to_text(const Attribute& attribute) {
  std::string out;
  std::visit(AttributePrinter{out, 0}, attribute);
  return out;
}

namespace {

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    const int following = lead < 0x80                   ? 0
                          : lead >= 0xc2 && lead < 0xe0 ? 1
                          : (lead & 0xf0) == 0xe0       ? 2
                          : lead >= 0xf0 && lead < 0xf5 ? 3
                                                        : -1;
    if (following < 0) return false;
    for (int k = 0; k < following; ++k, ++i)
      if (i >= text.size() || (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return false;
  }
  return true;
}

// A label within quotes. Graphviz refuses broken UTF-8, reads \N and \l as commands and &lt; as a character.
std::string dot_label(std::string_view text) {
  const bool readable = is_utf8(text);
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || (!readable && static_cast<unsigned char>(c) >= 0x80)) {
      out += '?';
    } else {
      out += c;
    }
  }
  return out;
}

std::string_view dot_style(SourceKind kind) {
  switch (kind) {
    case SourceKind::input:
      return "shape=ellipse, fillcolor=\"#cfe8ff\"";
    case SourceKind::parameter:
      return "shape=box3d, fillcolor=\"#ffe3b3\"";
    case SourceKind::state:
      return "shape=cylinder, fillcolor=\"#e6d7f5\"";
    case SourceKind::constant:
      return "shape=note, fillcolor=\"#eeeeee\"";
    case SourceKind::none:
      break;
  }
  return "shape=box, fillcolor=\"#ffffff\"";
}

std::string dot_node_label(const Node& node) {
  std::string label = dot_label(node.op->name);
  if (!node.name.empty()) label += "\\n" + dot_label(node.name);
  const Attribute* value =
      node.op->traits.source == SourceKind::constant ? node.attributes.find("value") : nullptr;
  const Tensor* tensor = value ? std::get_if<Tensor>(value) : nullptr;
  if (tensor && tensor->count() == 1) append(label, "\\n{}", tensor->item());
  return label;
}

}  // namespace

std::string to_dot(const Graph& graph) {
  std::string out = "digraph lariat {\n  node [style=filled, fontname=\"sans-serif\"];\n";
  out += "  edge [fontname=\"sans-serif\", fontsize=10];\n";
  std::map<std::string_view, int32_t> stored;
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const SourceKind kind = node.op->traits.source;
    if (kind == SourceKind::parameter || kind == SourceKind::state) stored.emplace(node.name, id);
    append(out, "  n{} [label=\"{}\", {}];\n", id, dot_node_label(node), dot_style(kind));
    for (const Edge& edge : node.inputs) {
      const std::string output = edge.output == 0 ? "" : fmt::format("output {}: ", edge.output);
      append(out, "  n{} -> n{} [label=\"{}{}\"];\n", edge.node, id, output,
             dot_label(text(graph.type(edge))));
    }
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const auto& [name, edge, is_update] = graph.outputs()[i];
    const auto target = stored.find(name);
    if (is_update && target != stored.end()) {
      append(out, "  n{} -> n{} [label=\"update\", style=dashed, constraint=false];\n", edge.node,
             target->second);
      continue;
    }
    append(out, "  o{} [label=\"{}\", shape=doubleoctagon, fillcolor=\"#d5f5d5\"];\n", i, dot_label(name));
    append(out, "  n{} -> o{} [label=\"{}\"];\n", edge.node, i, dot_label(text(graph.type(edge))));
  }
  return out + "}\n";
}

}  // namespace lariat
