// What most files of the front ends include beside what graphs need: JSON costs each half a second.
#include "graph/base/json.hpp"
#include "graph/pch/pch.hpp"
