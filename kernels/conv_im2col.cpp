// The general convolution: GEMMs on tiles of the column matrix (columns.h). Groups, row blocks of
// the output, blocks of channels and tiles of positions make the units of work; see conv.cpp for
// the formulas.
//
// Units are dealt to kConvSlots slots, each with a buffer for one tile. A unit writes what no other
// unit writes, or a partial sum of its own, so slots and threads do not show in the result.

#include <algorithm>

#include "kernels/columns.h"
#include "kernels/conv_shape.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/simd/loops.h"

namespace ft {
namespace {

// Tiles in flight: as many as boards have cores, twice, so that the last round is short.
constexpr int64_t kConvSlots = 8;
// 256 KiB of columns: a good part of L2, leaving room for what BLAS packs.
constexpr int64_t kColumnElements = 64 * 1024;
constexpr int64_t kTilePositionsMin = 256;
constexpr int64_t kTilePositionsMax = 1024;
constexpr int64_t kBlockRowsMin = 64;

class ConvIm2col : public Kernel {
 public:
  explicit ConvIm2col(const ConvShape& shape) : shape_(shape) {
    const int64_t area = shape_.window.kernel_area();
    const int64_t fitting = kColumnElements / shape_.group_depth() / 16 * 16;
    tile_ = std::clamp(fitting, kTilePositionsMin, kTilePositionsMax);
    tile_ = std::min(tile_, shape_.positions_out());
    tiles_ = ceil_div(shape_.positions_out(), tile_);
    block_ = std::clamp<int64_t>(kColumnElements / (tile_ * area), 1, shape_.group_channels_in());
    blocks_ = ceil_div(shape_.group_channels_in(), block_);
    images_per_unit_ = std::max<int64_t>(1, tile_ / shape_.window.output_plane());
    chunks_ = std::clamp<int64_t>(ceil_div(kConvSlots, shape_.groups * blocks_), 1, tiles_);
    // With few tiles the output's rows are cut too; each unit then gathers its own copy.
    const int64_t row_blocks = ceil_div(kConvSlots, shape_.groups * tiles_);
    rows_ = std::max(kBlockRowsMin,
                     ceil_div(ceil_div(shape_.group_channels_out(), row_blocks), 16) * 16);
  }

  int64_t forward_workspace_bytes() const { return kConvSlots * slot_elements() * 4; }
  int64_t backward_workspace_bytes() const {
    return (kConvSlots * slot_elements() + (chunks_ - 1) * weight_elements()) * 4;
  }

  void forward(const ForwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const auto* w = static_cast<const float*>(args.inputs[1]);
    const auto* bias = shape_.has_bias ? static_cast<const float*>(args.inputs[2]) : nullptr;
    auto* y = static_cast<float*>(args.outputs[0]);
    const int64_t row_blocks = ceil_div(shape_.group_channels_out(), rows_);
    run_units(shape_.groups * row_blocks * tiles_, args.workspace, args.pool,
              [&](int64_t unit, float* columns) {
                const int64_t tile = unit % tiles_;
                const int64_t row_block = unit / tiles_ % row_blocks;
                forward_unit(unit / tiles_ / row_blocks, row_block, tile, x, w, bias, y, columns);
              });
  }

  void backward(const BackwardArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const auto* w = static_cast<const float*>(args.inputs[1]);
    const float* dy = args.grad_outputs[0];
    if (args.grad_inputs[1] != nullptr) weight_gradient(args, x, dy, args.grad_inputs[1]);
    if (float* const dx = args.grad_inputs[0]; dx != nullptr) {
      const int64_t parts = ceil_div(shape_.images, images_per_unit_);
      run_units(shape_.groups * blocks_ * parts, args.workspace, args.pool,
                [&](int64_t unit, float* columns) {
                  const int64_t block = unit / parts % blocks_;
                  input_unit(unit / parts / blocks_, block, unit % parts, w, dy, dx, columns);
                });
    }
    if (shape_.has_bias) conv_bias_gradient(shape_, dy, args.grad_inputs[2], args.pool);
  }

 private:
  struct Block {            // of a group's input channels
    int64_t channel_first;  // of all channels
    int64_t channel_count;
    int64_t depth_first;  // in the group's columns of W
    int64_t depth;
  };

  // A tile, and its masks behind it.
  int64_t slot_elements() const { return tile_elements() + mask_elements(); }
  int64_t tile_elements() const {
    return ceil_div(block_ * shape_.window.kernel_area() * tile_, 16) * 16;
  }
  int64_t mask_elements() const { return ceil_div(ColumnMasks::elements(shape_, tile_), 16) * 16; }
  ColumnMasks masks_of(int64_t position, int64_t count, float* columns) const {
    return {shape_, position, count, reinterpret_cast<uint32_t*>(columns + tile_elements())};
  }
  int64_t weight_elements() const { return shape_.channels_out * shape_.group_depth(); }

  Block block_at(int64_t group, int64_t block) const {
    const int64_t first = block * block_;
    const int64_t count = std::min(block_, shape_.group_channels_in() - first);
    const int64_t area = shape_.window.kernel_area();
    return {group * shape_.group_channels_in() + first, count, first * area, count * area};
  }

  template <typename Function>
  void run_units(int64_t units, std::byte* workspace, ThreadPool* pool, const Function& fn) const {
    float* const buffers = reinterpret_cast<float*>(workspace);
    pool->run(std::min(units, kConvSlots), [&](int64_t slot) {
      for (int64_t unit = slot; unit < units; unit += kConvSlots) {
        fn(unit, buffers + slot * slot_elements());
      }
    });
  }

  void forward_unit(int64_t group, int64_t row_block, int64_t tile, const float* x, const float* w,
                    const float* bias, float* y, float* columns) const {
    const int64_t row = row_block * rows_;
    const int64_t rows = std::min(rows_, shape_.group_channels_out() - row);
    const int64_t channel_out = group * shape_.group_channels_out() + row;
    const int64_t position = tile * tile_;
    const int64_t count = std::min(tile_, shape_.positions_out() - position);
    const ColumnMasks masks = masks_of(position, count, columns);
    float* const target = y + channel_out * shape_.positions_out() + position;
    for (int64_t i = 0; bias != nullptr && i < rows; ++i) {
      loops::fill(bias[channel_out + i], target + i * shape_.positions_out(), count);
    }
    for (int64_t index = 0; index < blocks_; ++index) {
      const Block block = block_at(group, index);
      gather_columns(shape_, {block.channel_count, position, count}, masks,
                     x + block.channel_first * shape_.positions_in(), columns);
      gemm_serial({.m = rows,
                   .n = count,
                   .k = block.depth,
                   .lda = shape_.group_depth(),
                   .ldb = count,
                   .ldc = shape_.positions_out()},
                  w + channel_out * shape_.group_depth() + block.depth_first, columns,
                  index == 0 && bias == nullptr ? 0.0F : 1.0F, target);
    }
  }

  // dX of a block of channels in some whole images: windows overlap, images do not.
  void input_unit(int64_t group, int64_t index, int64_t part, const float* w, const float* dy,
                  float* dx, float* columns) const {
    const Block block = block_at(group, index);
    const int64_t image_first = part * images_per_unit_;
    const int64_t image_last = std::min(shape_.images, image_first + images_per_unit_);
    const int64_t plane = shape_.window.input_plane();
    float* const block_dx = dx + block.channel_first * shape_.positions_in();
    for (int64_t channel = 0; channel < block.channel_count; ++channel) {
      loops::fill(0.0F, block_dx + channel * shape_.positions_in() + image_first * plane,
                  (image_last - image_first) * plane);
    }
    const int64_t channel_out = group * shape_.group_channels_out();
    const int64_t last = image_last * shape_.window.output_plane();
    for (int64_t position = image_first * shape_.window.output_plane(); position < last;
         position += tile_) {
      const int64_t count = std::min(tile_, last - position);
      gemm_serial({.transpose_a = true,
                   .m = block.depth,
                   .n = count,
                   .k = shape_.group_channels_out(),
                   .lda = shape_.group_depth(),
                   .ldb = shape_.positions_out(),
                   .ldc = count},
                  w + channel_out * shape_.group_depth() + block.depth_first,
                  dy + channel_out * shape_.positions_out() + position, 0.0F, columns);
      scatter_columns(shape_, {block.channel_count, position, count},
                      masks_of(position, count, columns), {image_first, image_last}, columns,
                      block_dx);
    }
  }

  // Units are (group, block, chunk of tiles); chunk 0 sums into dW, the others into parts that are
  // added in order.
  void weight_gradient(const BackwardArgs& args, const float* x, const float* dy, float* dw) const {
    float* const parts = reinterpret_cast<float*>(args.workspace) + kConvSlots * slot_elements();
    run_units(shape_.groups * blocks_ * chunks_, args.workspace, args.pool,
              [&](int64_t unit, float* columns) {
                const int64_t chunk = unit % chunks_;
                float* const sum = chunk == 0 ? dw : parts + (chunk - 1) * weight_elements();
                weight_unit(unit / chunks_ / blocks_, unit / chunks_ % blocks_, chunk, x, dy, sum,
                            columns);
              });
    if (chunks_ == 1) return;
    parallel_for_elements(args.pool, weight_elements(), [&](int64_t first, int64_t last) {
      for (int64_t chunk = 1; chunk < chunks_; ++chunk) {
        loops::accumulate(parts + (chunk - 1) * weight_elements() + first, dw + first,
                          last - first);
      }
    });
  }

  void weight_unit(int64_t group, int64_t index, int64_t chunk, const float* x, const float* dy,
                   float* sum, float* columns) const {
    const Block block = block_at(group, index);
    const int64_t channel_out = group * shape_.group_channels_out();
    const int64_t tile_first = chunk * tiles_ / chunks_;
    const int64_t tile_last = (chunk + 1) * tiles_ / chunks_;
    for (int64_t tile = tile_first; tile < tile_last; ++tile) {
      const int64_t position = tile * tile_;
      const int64_t count = std::min(tile_, shape_.positions_out() - position);
      const ColumnMasks masks = masks_of(position, count, columns);
      gather_columns(shape_, {block.channel_count, position, count}, masks,
                     x + block.channel_first * shape_.positions_in(), columns);
      gemm_serial({.transpose_b = true,
                   .m = shape_.group_channels_out(),
                   .n = block.depth,
                   .k = count,
                   .lda = shape_.positions_out(),
                   .ldb = count,
                   .ldc = shape_.group_depth()},
                  dy + channel_out * shape_.positions_out() + position, columns,
                  tile == tile_first ? 0.0F : 1.0F,
                  sum + channel_out * shape_.group_depth() + block.depth_first);
    }
  }

  ConvShape shape_;
  int64_t tile_ = 0;  // positions of a tile
  int64_t tiles_ = 0;
  int64_t block_ = 0;            // channels of a block
  int64_t blocks_ = 0;           // of a group
  int64_t rows_ = 0;             // output channels of a forward unit
  int64_t images_per_unit_ = 0;  // of dX
  int64_t chunks_ = 0;           // of dW's sum over positions
};

}  // namespace

ConvPath make_conv_im2col(const ConvShape& shape) {
  auto kernel = std::make_unique<ConvIm2col>(shape);
  ConvPath path;
  path.forward_workspace_bytes = kernel->forward_workspace_bytes();
  path.backward_workspace_bytes = kernel->backward_workspace_bytes();
  path.splits_backward = true;
  path.kernel = std::move(kernel);
  return path;
}

}  // namespace ft
