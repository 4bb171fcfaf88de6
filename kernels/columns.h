#pragma once

// The column matrix of a convolution (im2col): one row per (channel, window row, window column),
// one column per output position, counted over all images: position = (image * OH + oy) * OW + ox.
// Only a tile of it exists at a time.

#include <cstdint>

#include "kernels/conv_shape.h"

namespace ft {

struct ColumnTile {
  int64_t channel_count = 0;   // from the channel that x points at
  int64_t position_first = 0;  // of all images'
  int64_t position_count = 0;  // also the leading dimension of the tile
};

// columns[channel_count * kernel_area, position_count] = what the window sees in x, 0 in padding.
void gather_columns(const ConvShape& shape, const ColumnTile& tile, const float* x, float* columns);

// The adjoint: adds each element of `columns` to the dx it came from.
void scatter_columns(const ConvShape& shape, const ColumnTile& tile, const float* columns,
                     float* dx);

}  // namespace ft
