// What most tests include, parsed once; see graph/pch/pch.hpp.
#include "graph/pch/pch.hpp"
#include "tests/support/testing.hpp"
