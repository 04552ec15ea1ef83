#!/usr/bin/env bash
# Proves that the tests see faults: puts one fault at a time into a copy of the sources, and fails where the
# tests named beside it still pass. With --check it only looks whether what they replace is there.
set -euo pipefail
cd "$(dirname "$0")/.."
only_check=${1:-}
FOLDER=build-mutations
. tests/faults.sh

# mutate NAME FILE FROM TO TESTS: the tests of the files that match TESTS.
mutate() { fault "$1" "$2" "$3" "$4" -sf="$5"; }

if [ "$only_check" != --check ]; then
  build_copy
  check_without_faults -sf='*fixed_point*,*penalty*,*trainer*,*gradient_test*,*plan_test*'
fi

# Optimizers and prox.
mutate 'momentum: λ instead of λ/(1 − β)' autodiff/training/optimizers.cpp 'c.learning_rate / (1 - momentum)};' 'c.learning_rate};' '*fixed_point*'
mutate 'Adam: the threshold without the metric' autodiff/training/optimizers.cpp '          step};' '          c.learning_rate};' '*fixed_point*'
mutate 'RMSProp: the threshold without the metric' autodiff/training/optimizers/rmsprop.cpp 'c.start(c.learning_rate)), step};' 'c.start(c.learning_rate)), c.learning_rate};' '*fixed_point*'
mutate 'AdamW: the decay is left out' autodiff/training/optimizers/adamw.cpp 'weight_decay};' '0};' '*fixed_point*'
mutate 'NAdam: the metric does not look ahead' autodiff/training/optimizers/nadam.cpp 'step * multiply_add(a, present, b)};' 'step};' '*fixed_point*'
mutate 'LAMB: the threshold without the trust' autodiff/training/optimizers/lamb.cpp 'rate / means.root};' 'c.learning_rate / means.root};' '*fixed_point*'
mutate 'clipping leaves the step of the prox' autodiff/training/training_step.cpp 'proposal.step = proposal.step * smooth[i].factor;' '' '*fixed_point*'
mutate 'a limit by elements scales steps by one factor' autodiff/training/clipping.cpp 'factor_to(limit, abs(gradient))' 'factor_to(limit, norm_inf(gradient))' '*fixed_point*'
mutate 'shifted groups go behind kinks' autodiff/penalty/combination.cpp '!view.shifted && all(is_conic)' 'all(is_conic)' '*certificate_test*'
mutate 'nested groups may be scaled' autodiff/penalty/combination.cpp 'one->shifted || !uniform_value(abs(one->factor))' 'one->shifted' '*composed_penalties*'
mutate 'kinks stay where the parameter has them' autodiff/penalty/proximal.cpp 'result.push_back(seen(view.at(at)));' 'result.push_back(number(0));' '*certificate_test*'
mutate 'the certificate takes a step of 1 for every view' autodiff/certificate/stationarity.cpp 'view.linear_part(counted) / maximum(steepest, 1e-300)' 'view.linear_part(counted)' '*certificate_test*'
mutate 'the penalty keeps its gradient beside the prox' autodiff/penalty/loss_parts.cpp 'gradient(whole, wanted, cut, gradient_of);' 'gradient(whole, wanted, {}, gradient_of);' '*fixed_point*'
mutate 'a shard draws what another does' autodiff/training/sharded_step.cpp '*counter = first + static_cast<int32_t>(own[i]);' '*counter = first + static_cast<int32_t>(i);' '*micro_shards*'
mutate 'what ranks exchange is not all added' graph/ranks/sum/shard_tree.cpp 'if (left && right) program_.push_back(-1);' '' '*micro_shards*'
mutate 'a square shrinks by half' autodiff/penalty/proximal.cpp '1 + 2 * quadratic * at.step' '1 + quadratic * at.step' '*fixed_point*'
mutate 'a square leaves the step as it was' autodiff/penalty/proximal.cpp 'at.step / shrinkage' 'at.step' '*fixed_point*'
mutate 'a shift moves the kink to the wrong side' autodiff/penalty/penalty_view.cpp 'moved = moved - shift;' 'moved = moved + shift;' '*fixed_point*'
mutate 'a negative factor leaves the sides of a kink' autodiff/penalty/penalty_view.cpp 'positive ? one : negative ? other : minimum(one, other)' 'one' '*fixed_point*'
mutate 'a factor inside is forgotten' autodiff/penalty/penalty_view.cpp 'next.above = kink.above * abs(factor);' 'next.above = kink.above;' '*loss_spellings*'
mutate 'what overlaps does not add up' autodiff/penalty/kink_sums.cpp 'kink.above = kink.above + more.above;' '' '*loss_spellings*'
mutate 'one kink of two' autodiff/penalty/proximal.cpp 'for (const ScalarTerm::Kink& kink : all) {' 'for (const ScalarTerm::Kink& kink : {all.front()}) {' '*fixed_point*'
mutate 'soft threshold: the wrong sign below' ops/kernels/simd.hpp 't | Batch(-0.0)' 't' '*fixed_point*'
mutate 'kinks: slopes are not added up' ops/prox/element_kinks.hpp 'slope += kink->above - kink->below;' 'slope = kink->above;' '*fixed_point*'
mutate 'a data-dependent coefficient is taken' autodiff/penalty/penalty.cpp 'depends.on_data[adjoint]' 'false' '*loss_spellings*'
mutate 'a trained coefficient is taken' autodiff/penalty/penalty.cpp 'depends.on_trained[adjoint]' 'false' '*loss_spellings*'
mutate 'a term under another function is taken' autodiff/penalty/penalty.cpp 'if (!paths.linear[id]) {
    if (!depends' 'if (false) {
    if (!depends' '*loss_spellings*'
# Gradients, plans.
mutate 'the sum over broadcast dimensions is missing' autodiff/gradient.cpp 'results[i].shape() == shape ? results[i] : sum_to(results[i], shape)' 'results[i]' '*gradient_test*'
mutate 'adjoints do not add up' autodiff/gradient.cpp 'slot = slot ? slot + adjoint : adjoint;' 'slot = adjoint;' '*gradient_test*'
mutate 'a buffer is reused while it is still read' graph/exec/execution_order.cpp 'last_read_[index_of(memory_of(edge))] = static_cast<int>(p);' 'last_read_[index_of(memory_of(edge))] = std::max(0, static_cast<int>(p) - 1);' '*plan_test*'
mutate 'an update overwrites what is read later' graph/exec/execution_order.cpp 'last_read(target) <= position[maker] &&' '' '*plan_test*,*trainer*'

count_faults
