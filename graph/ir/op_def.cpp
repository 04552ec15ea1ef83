#include "graph/ir/op_def.hpp"

template class std::vector<lariat::InputSpec>;
template class std::vector<lariat::AttributeSpec>;
template class std::vector<lariat::SampleInput>;
template class std::vector<lariat::Sample>;
template class std::vector<lariat::Reject>;

namespace lariat {

OpDef::~OpDef() = default;

}  // namespace lariat
