#include "kernels/columns.h"

#include <algorithm>
#include <bit>

#include "kernels/parallel.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

// A run of a tile's positions within one output row.
struct Run {
  int64_t image, output_row, output_column, count;
  int64_t offset;  // in the tile
};

template <typename Function>
void for_runs(const Window& w, const ColumnTile& tile, const Function& fn) {
  int64_t column = tile.position_first % w.output_width;
  const int64_t row = tile.position_first / w.output_width;
  int64_t image = row / w.output_height;
  int64_t output_row = row % w.output_height;
  for (int64_t offset = 0; offset < tile.position_count;) {
    const int64_t count = std::min(w.output_width - column, tile.position_count - offset);
    fn(Run{image, output_row, column, count, offset});
    offset += count;
    column = 0;
    if (++output_row == w.output_height) {
      output_row = 0;
      ++image;
    }
  }
}

// A part [first, last).
struct Inside {
  int64_t first, last;
};

// The output columns whose input column, for one window column, is not padding. Once for all runs:
// 32-bit cores divide 64 bits in some hundred instructions.
Inside inside_width(const Window& w, int64_t kernel_column) {
  // input_column(output_column) = base + output_column * stride must be in [0, input_width).
  const int64_t base = w.input_column(0, kernel_column);
  const int64_t first = base >= 0 ? 0 : ceil_div(-base, w.stride_width);
  const int64_t room = w.input_width - base;
  return {first, room <= 0 ? 0 : ceil_div(room, w.stride_width)};
}

// What of a run lies in these output columns.
Inside inside_run(const Run& run, const Inside& columns) {
  const int64_t first = std::clamp<int64_t>(columns.first - run.output_column, 0, run.count);
  return {first, std::clamp(columns.last - run.output_column, first, run.count)};
}

void gather_run(const Window& w, const Run& run, const float* image, int64_t kernel_row,
                int64_t kernel_column, const Inside& columns, float* out) {
  const int64_t input_row = w.input_row(run.output_row, kernel_row);
  if (input_row < 0 || input_row >= w.input_height) {
    std::fill(out, out + run.count, 0.0F);
    return;
  }
  const Inside inside = inside_run(run, columns);
  const float* source =
      image + input_row * w.input_width + w.input_column(run.output_column, kernel_column);
  for (int64_t i = 0; i < inside.first; ++i) out[i] = 0.0F;
  if (w.stride_width == 1) {
    for (int64_t i = inside.first; i < inside.last; ++i) out[i] = source[i];
  } else {
    for (int64_t i = inside.first; i < inside.last; ++i) out[i] = source[i * w.stride_width];
  }
  for (int64_t i = inside.last; i < run.count; ++i) out[i] = 0.0F;
}

void scatter_run(const Window& w, const Run& run, const float* in, int64_t kernel_row,
                 int64_t kernel_column, const Inside& columns, float* image) {
  const int64_t input_row = w.input_row(run.output_row, kernel_row);
  if (input_row < 0 || input_row >= w.input_height) return;
  const Inside inside = inside_run(run, columns);
  float* target =
      image + input_row * w.input_width + w.input_column(run.output_column, kernel_column);
  if (w.stride_width == 1) {
    for (int64_t i = inside.first; i < inside.last; ++i) target[i] += in[i];
  } else {
    for (int64_t i = inside.first; i < inside.last; ++i) target[i * w.stride_width] += in[i];
  }
}

// Calls fn(row of the tile, channel, window row, window column).
template <typename Function>
void for_rows(const Window& w, int64_t channel_count, const Function& fn) {
  int64_t row = 0;
  for (int64_t channel = 0; channel < channel_count; ++channel) {
    for (int64_t kernel_row = 0; kernel_row < w.kernel_height; ++kernel_row) {
      for (int64_t kernel_column = 0; kernel_column < w.kernel_width; ++kernel_column) {
        fn(row++, channel, kernel_row, kernel_column);
      }
    }
  }
}

// Position 0 of a shifted row in the channel, for a tap of the window.
int64_t shift_of(const Window& w, int64_t kernel_row, int64_t kernel_column) {
  return w.input_row(0, kernel_row) * w.input_width + w.input_column(0, kernel_column);
}

// The part of a tile whose shifted positions are in these images.
Inside inside_images(const ConvShape& shape, const ColumnTile& tile, int64_t shift,
                     const ImageSpan& images) {
  const int64_t from = tile.position_first + shift;
  const int64_t plane = shape.window.input_plane();
  return {std::clamp<int64_t>(images.first * plane - from, 0, tile.position_count),
          std::clamp<int64_t>(images.last * plane - from, 0, tile.position_count)};
}

}  // namespace

int64_t ColumnMasks::elements(const ConvShape& shape, int64_t positions) {
  const Window& w = shape.window;
  const bool shifts = w.stride_height == 1 && w.stride_width == 1 &&
                      w.output_height == w.input_height && w.output_width == w.input_width;
  return shifts ? w.kernel_area() * positions : 0;
}

ColumnMasks::ColumnMasks(const ConvShape& shape, int64_t position_first, int64_t positions,
                         uint32_t* storage)
    : positions_(positions) {
  const Window& w = shape.window;
  if (elements(shape, positions) == 0) return;
  storage_ = storage;
  for_rows(w, 1, [&](int64_t tap, int64_t, int64_t ky, int64_t kx) {
    const Inside columns = inside_width(w, kx);
    for_runs(w, {1, position_first, positions}, [&](const Run& run) {
      uint32_t* out = storage + tap * positions + run.offset;
      const int64_t input_row = w.input_row(run.output_row, ky);
      const bool row_inside = input_row >= 0 && input_row < w.input_height;
      const Inside in = row_inside ? inside_run(run, columns) : Inside{0, 0};
      for (int64_t i = 0; i < run.count; ++i) out[i] = i >= in.first && i < in.last ? ~0U : 0U;
    });
  });
}

void gather_columns(const ConvShape& shape, const ColumnTile& tile, const ColumnMasks& masks,
                    const float* x, float* columns) {
  const Window& w = shape.window;
  for_rows(w, tile.channel_count, [&](int64_t row, int64_t channel, int64_t ky, int64_t kx) {
    const float* plane = x + channel * shape.positions_in();
    float* out = columns + row * tile.position_count;
    if (const uint32_t* mask = masks.of(ky * w.kernel_width + kx)) {
      const int64_t shift = shift_of(w, ky, kx);
      const Inside in = inside_images(shape, tile, shift, {0, shape.images});
      const float* source = plane + tile.position_first + shift;
      std::fill(out, out + in.first, 0.0F);
      for (int64_t i = in.first; i < in.last; ++i) {
        out[i] = std::bit_cast<float>(std::bit_cast<uint32_t>(source[i]) & mask[i]);
      }
      std::fill(out + in.last, out + tile.position_count, 0.0F);
      return;
    }
    const Inside inside = inside_width(w, kx);
    for_runs(w, tile, [&](const Run& run) {
      gather_run(w, run, plane + run.image * w.input_plane(), ky, kx, inside, out + run.offset);
    });
  });
}

void scatter_columns(const ConvShape& shape, const ColumnTile& tile, const ColumnMasks& masks,
                     const ImageSpan& images, const float* columns, float* dx) {
  const Window& w = shape.window;
  for_rows(w, tile.channel_count, [&](int64_t row, int64_t channel, int64_t ky, int64_t kx) {
    float* plane = dx + channel * shape.positions_in();
    const float* in = columns + row * tile.position_count;
    if (const uint32_t* mask = masks.of(ky * w.kernel_width + kx)) {
      const int64_t shift = shift_of(w, ky, kx);
      const Inside inside = inside_images(shape, tile, shift, images);
      float* target = plane + tile.position_first + shift;
      for (int64_t i = inside.first; i < inside.last; ++i) {
        target[i] += std::bit_cast<float>(std::bit_cast<uint32_t>(in[i]) & mask[i]);
      }
      return;
    }
    const Inside inside = inside_width(w, kx);
    for_runs(w, tile, [&](const Run& run) {
      scatter_run(w, run, in + run.offset, ky, kx, inside, plane + run.image * w.input_plane());
    });
  });
}

}  // namespace ft
