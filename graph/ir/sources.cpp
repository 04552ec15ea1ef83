#include "graph/ir/sources.hpp"

#include "graph/base/error.hpp"
#include "graph/ir/registry.hpp"

namespace lariat {

namespace {

std::vector<TensorType> declared(const InferContext& c) {
  return {{c.attribute<DType>("dtype"), c.attribute<Shape>("shape")}};
}

std::vector<TensorType> of_value(const InferContext& c) { return {c.attribute<Tensor>("value").type()}; }

OpDef declared_source(std::string name, std::string doc, SourceKind kind) {
  OpDef def{.name = std::move(name), .doc = std::move(doc), .inputs = {}};
  def.attributes = {{"shape", AttributeKind::shape, "its shape"},
                    {"dtype", AttributeKind::dtype, "its dtype"}};
  if (kind != SourceKind::input) {
    def.attributes.push_back({"initializer", AttributeKind::string, "how its first value is drawn",
                              Attribute(std::string("constant"))});
    def.attributes.push_back(
        {"scale", AttributeKind::real, "the initializer's constant, width or gain", Attribute(0.0)});
  }
  def.traits.source = kind;
  def.infer = declared;
  return def;
}

}  // namespace

std::vector<OpDef> source_ops() {
  OpDef constant{.name = "constant", .doc = "A tensor that is part of the graph.", .inputs = {}};
  constant.attributes = {{"value", AttributeKind::tensor, "the tensor"}};
  constant.traits.source = SourceKind::constant;
  constant.infer = of_value;
  return {
      declared_source("input", "Data fed at each run.", SourceKind::input),
      declared_source("parameter", "A tensor in the store that an optimizer trains.", SourceKind::parameter),
      declared_source("state", "A tensor in the store that no optimizer trains.", SourceKind::state),
      constant};
}

}  // namespace lariat
