#pragma once
#include "products.h"
#include "quantization.h"
#include "softmax.h"
#include "tile.h"
