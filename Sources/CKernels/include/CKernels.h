#pragma once
#include "attention.h"
#include "products.h"
#include "quantization.h"
#include "softmax.h"
#include "tile.h"
#include "low_rank.h"
