// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "tests/support/random.h"

namespace surgegate::simulator {

using testing::draw;
using testing::one_in;
using testing::Random;

}  // namespace surgegate::simulator
