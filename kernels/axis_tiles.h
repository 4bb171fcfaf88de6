#pragma once

// Walks a row-major tensor along one axis: for softmax and its kind, whose results need all
// elements on a line of that axis. Element i of a line lies i * inner floats behind its first one;
// lines that are neighbours in memory are handled together, as columns of a tile.

#include <algorithm>
#include <cstdint>

#include "kernels/parallel.h"
#include "kernels/request.h"

namespace ft {

struct AxisShape {
  int64_t outer = 1;
  int64_t length = 1;  // of a line
  int64_t inner = 1;
};

constexpr int64_t kTileColumns = 64;

// The attribute `axis` (the last one unless given) of input 0.
inline Result<AxisShape> read_axis_shape(const OpRequest& request) {
  const Shape& shape = request.inputs[0].type.shape;
  FT_ASSIGN_OR_RETURN(const int64_t given, request.attributes->get_int("axis", -1));
  FT_ASSIGN_OR_RETURN(const int axis, normalise_axis(given, shape.rank()));
  return AxisShape{shape.product(0, axis), shape.dim(axis), shape.product(axis + 1, shape.rank())};
}

// Calls fn(offset, columns) for every tile: `columns` lines (at most kTileColumns), the first of
// which starts at `offset`.
template <typename Function>
void for_axis_tiles(ThreadPool* pool, const AxisShape& shape, const Function& fn) {
  const int64_t tiles = ceil_div(shape.inner, kTileColumns);
  const int64_t tile_elements = shape.length * std::min(shape.inner, kTileColumns);
  parallel_for_rows(pool, shape.outer * tiles, tile_elements, [&](int64_t index) {
    const int64_t column = index % tiles * kTileColumns;
    fn(index / tiles * shape.length * shape.inner + column,
       std::min(kTileColumns, shape.inner - column));
  });
}

}  // namespace ft
