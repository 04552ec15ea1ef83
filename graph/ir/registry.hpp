#pragma once

#include <map>
#include <memory>

#include "graph/ir/op_def.hpp"

namespace lariat {

/// Name -> OpDef. Built-in and plugin ops are equals.
class Registry {
 public:
  /// Checks the record and takes it. Throws UserError for a name already taken, InternalError for a record
  /// that contradicts itself.
  const OpDef& add(OpDef def);
  /// Throws UserError with the nearest known name.
  const OpDef& get(std::string_view name) const;
  const OpDef* find(std::string_view name) const;
  /// All records, by name.
  std::vector<const OpDef*> all() const;

 private:
  std::map<std::string, std::unique_ptr<OpDef>, std::less<>> defs_;
};

/// The process's registry. The ops floor defines it and fills it with the built-in ops at the first call.
Registry& registry();

}  // namespace lariat
