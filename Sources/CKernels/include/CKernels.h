#pragma once
#include "quantization.h"
