#pragma once

// The arithmetic of training, on digests: each value is a hash of everything that went into it, so
// that a batch that is lost, doubled, out of order or computed with a wrong version shows in the
// end. A layer's state is three digests, so that forgetting one of them shows, too.

#include <cstdint>

#include "runtime/base/buffer.h"
#include "tests/sim/spec.h"

namespace ft::sim {

using Digest = uint64_t;

struct LayerDigests {
  Digest parameters = 0;
  Digest optimizer = 0;
  Digest statistics = 0;  // moves with forward passes, the others with steps
  bool operator==(const LayerDigests&) const = default;
};

Digest combine(Digest a, Digest b, uint64_t what);

inline LayerDigests initial_state(int layer) {
  const auto index = static_cast<Digest>(layer);
  return {combine(index, 0, 1), combine(index, 0, 2), combine(index, 0, 3)};
}
inline Digest forward(Digest input, Digest parameters) { return combine(input, parameters, 10); }
inline Digest move_statistics(Digest old, Digest input) { return combine(old, input, 11); }
inline Digest evaluate(Digest input, Digest parameters, Digest statistics) {
  return combine(combine(input, parameters, 12), statistics, 13);
}
inline Digest first_gradient(Digest output, Digest labels) { return combine(output, labels, 14); }
inline Digest backward(Digest gradient, Digest parameters) {
  return combine(gradient, parameters, 15);
}
inline Digest add_gradient(Digest sum, Digest gradient) { return combine(sum, gradient, 16); }
inline Digest step_parameters(const LayerDigests& old, Digest gradients) {
  return combine(combine(old.parameters, old.optimizer, 17), gradients, 18);
}
inline Digest step_optimizer(const LayerDigests& old, Digest gradients) {
  return combine(old.optimizer, gradients, 19);
}
inline Digest add_to_mean(Digest sum, Digest parameters) { return combine(sum, parameters, 20); }

// What the data set holds; `evaluation`: batch is the index of the evaluation batch.
inline Digest input_of(bool evaluation, int64_t batch, int32_t micro) {
  return combine(static_cast<Digest>(batch), static_cast<Digest>(micro), evaluation ? 30 : 31);
}
inline Digest labels_of(bool evaluation, int64_t batch, int32_t micro) {
  return combine(static_cast<Digest>(batch), static_cast<Digest>(micro), evaluation ? 32 : 33);
}
// Small whole numbers: sums of them are exact in any order.
inline double loss_of(Digest output, Digest labels) {
  return static_cast<double>(combine(output, labels, 34) % 1000);
}
inline int64_t correct_of(Digest output, Digest labels, int64_t rows) {
  return static_cast<int64_t>(combine(output, labels, 35) % (static_cast<uint64_t>(rows) + 1));
}

// As bytes on the wire. Whatever is beyond the digests is filled with a pattern that goes with
// them and is checked when it is read.
ConstBufferPtr wrap(Digest digest, int64_t bytes = sizeof(Digest));
Digest unwrap(const ConstBufferPtr& buffer);
ConstBufferPtr wrap_state(const LayerDigests& state, int64_t bytes);
// Returns false for a snapshot that is not whole.
bool unwrap_state(const Buffer& buffer, LayerDigests* state);

}  // namespace ft::sim
