#pragma once

// Recordings, features and corpora, beside all of sequential.hpp.

#include "frontends/sequential.hpp"
#include "frontends/speech/clips.hpp"
#include "frontends/speech/digits.hpp"
#include "frontends/speech/labelled_folders.hpp"
