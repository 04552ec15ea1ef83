#pragma once

#include "frontends/sequential/loss.hpp"
#include "frontends/sequential/metric.hpp"
#include "frontends/sequential/task.hpp"

namespace lariat {

namespace loss_records {
#define LARIAT_LOSS(name) LossKind name();
#include "loss_records.inc"
#undef LARIAT_LOSS
}  // namespace loss_records

namespace metric_records {
#define LARIAT_METRIC(name) MetricKind name();
#include "metric_records.inc"
#undef LARIAT_METRIC
}  // namespace metric_records

namespace task_records {
#define LARIAT_TASK(name) LearningTask name();
#include "task_records.inc"
#undef LARIAT_TASK
}  // namespace task_records

}  // namespace lariat
