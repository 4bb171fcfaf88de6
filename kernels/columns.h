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

// With stride 1 and an output as large as the input, a row of the matrix is the channel itself,
// shifted, without the positions at which the window sees padding: whole rows are copied, not the
// short ones of small maps. Which positions those are is the same for all channels.
class ColumnMasks {
 public:
  // How many numbers the masks of a tile need; 0 when the shape has none.
  static int64_t elements(const ConvShape& shape, int64_t positions);
  // `storage` has room for elements() and outlives the masks.
  ColumnMasks(const ConvShape& shape, int64_t position_first, int64_t positions, uint32_t* storage);
  // All bits set where tap `tap` meets the input, by position in the tile; null: the shape has
  // none.
  const uint32_t* of(int64_t tap) const {
    return storage_ == nullptr ? nullptr : storage_ + tap * positions_;
  }

 private:
  const uint32_t* storage_ = nullptr;
  int64_t positions_;
};

// columns[channel_count * kernel_area, position_count] = what the window sees in x, 0 in padding.
// `masks` are the tile's.
void gather_columns(const ConvShape& shape, const ColumnTile& tile, const ColumnMasks& masks,
                    const float* x, float* columns);

// Images [first, last).
struct ImageSpan {
  int64_t first = 0;
  int64_t last = 0;
};

// The adjoint: adds each element of `columns` to the dx it came from, and touches no other image
// than these. REQUIRES: the tile's positions are theirs.
void scatter_columns(const ConvShape& shape, const ColumnTile& tile, const ColumnMasks& masks,
                     const ImageSpan& images, const float* columns, float* dx);

}  // namespace ft
