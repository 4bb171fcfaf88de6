#pragma once

// LayerMix: how a device's time divides over the layers of its range, learnt while it trains. Each
// layer was measured when the device came, but in training it meets other caches and neighbours;
// the cut between two stages is only as good as the times of the layers on both sides of it. What
// the range takes in all is not its business (speed.h). Pure.

#include <vector>

namespace ft {

class LayerMix {
 public:
  // Times of one batch, by layer of the range; all have the same number of layers.
  void add(std::vector<double> layer_us);
  // The range is another one from now on.
  void forget() { samples_.clear(); }
  // Divides the sum of `layer_us`, of the range's layers, anew. Returns whether enough is known.
  bool divide(double* layer_us) const;

 private:
  std::vector<std::vector<double>> samples_;  // the newest kSamples
};

}  // namespace ft
