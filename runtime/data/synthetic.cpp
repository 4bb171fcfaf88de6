// `synthetic:SHAPE:CLASSES[:COUNT]`: samples made of nothing but the seed, for measuring speed and
// for tests: a pattern of its class plus noise, so that a model can learn them.
//
// Axes before the last two are planes. A plane is covered by up to 8 x 8 patches, each of one value
// in [-1, 1) that depends on (class, plane, patch); a patch survives convolutions and pools as a
// single pixel would not. Every element adds noise in [-1, 1) that depends on (index, element).

#include <charconv>
#include <cinttypes>

#include "runtime/base/check.h"
#include "runtime/base/random.h"
#include "runtime/data/array_dataset.h"
#include "runtime/data/sources.h"

namespace ft {
namespace {

constexpr int64_t kCountDefault = 65536;
constexpr int64_t kCountMax = int64_t{1} << 26;
constexpr int64_t kElementsPerSampleMax = int64_t{1} << 26;
constexpr int64_t kPatches = 8;  // along each axis

// Streams of RandomPurpose::kSynthetic.
enum class Stream : uint32_t { kLabel = 0, kNoise = 1, kPattern = 2 };

float signed_uniform(uint32_t bits) { return 2 * uniform_float(bits) - 1; }

class SyntheticDataset final : public Dataset {
 public:
  SyntheticDataset(const Shape& shape, int64_t classes, int64_t count, uint64_t seed)
      : shape_(shape), classes_(classes), count_(count), seed_(seed) {
    const int rank = shape.rank();
    width_ = shape.dim(rank - 1);
    height_ = rank > 1 ? shape.dim(rank - 2) : 1;
    planes_ = shape.element_count() / (height_ * width_);
  }

  const Shape& sample_shape() const override { return shape_; }
  int64_t classes() const override { return classes_; }
  int64_t count(Split split) const override { return split == Split::kTrain ? count_ : 0; }

  std::string description() const override {
    return format("synthetic: %" PRId64 " training samples of %s, %" PRId64
                  " classes, pattern plus noise in [-2, 2)",
                  count_, to_string(shape_).c_str(), classes_);
  }

  int64_t label(Split split, int64_t index) const override {
    FT_CHECK(index >= 0 && index < count(split));
    const auto block = random_block(key(Stream::kLabel), 0, static_cast<uint64_t>(index));
    const uint64_t bits = block[0] | (static_cast<uint64_t>(block[1]) << 32);
    return static_cast<int64_t>(uniform_below(bits, static_cast<uint64_t>(classes_)));
  }

  void read_sample(Split split, int64_t index, float* sample) const override {
    const int64_t class_index = label(split, index);
    for (int64_t plane = 0; plane < planes_; ++plane) {
      float patches[kPatches * kPatches];
      make_patches(static_cast<uint64_t>(class_index * planes_ + plane), patches);
      float* out = sample + plane * height_ * width_;
      for (int64_t y = 0; y < height_; ++y) {
        const float* row = patches + y * kPatches / height_ * kPatches;
        for (int64_t x = 0; x < width_; ++x) *out++ = row[x * kPatches / width_];
      }
    }
    const int64_t elements = shape_.element_count();
    for (int64_t i = 0; i < elements; i += 4) {
      const auto block = random_block(key(Stream::kNoise), static_cast<uint64_t>(index),
                                      static_cast<uint64_t>(i / 4));
      for (int64_t j = i; j < std::min(i + 4, elements); ++j) {
        sample[j] += signed_uniform(block[static_cast<size_t>(j - i)]);
      }
    }
  }

  void read_target(Split, int64_t, float*) const override { FT_CHECK(classes_ == 0); }

 private:
  RandomKey key(Stream stream) const {
    return {seed_, RandomPurpose::kSynthetic, static_cast<uint32_t>(stream)};
  }

  void make_patches(uint64_t pattern, float* patches) const {
    for (int64_t i = 0; i < kPatches * kPatches; i += 4) {
      const auto block = random_block(key(Stream::kPattern), pattern, static_cast<uint64_t>(i / 4));
      for (size_t j = 0; j < 4; ++j) *patches++ = signed_uniform(block[j]);
    }
  }

  Shape shape_;
  int64_t classes_;
  int64_t count_;
  uint64_t seed_;
  int64_t planes_, height_, width_;
};

// Numbers in 1..`limit` separated by `separator`; empty when the text is anything else.
std::vector<int64_t> parse_numbers(std::string_view text, char separator, int64_t limit) {
  std::vector<int64_t> numbers;
  while (true) {
    int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || number < 1 || number > limit) return {};
    numbers.push_back(number);
    if (stop == end) return numbers;
    if (*stop != separator) return {};
    text.remove_prefix(static_cast<size_t>(stop - text.data()) + 1);
  }
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_synthetic(const std::string& rest, uint64_t seed) {
  const size_t colon = rest.find(':');
  const std::vector<int64_t> dims =
      parse_numbers(std::string_view(rest).substr(0, colon), 'x', kElementsPerSampleMax);
  const std::vector<int64_t> numbers =
      colon == std::string::npos
          ? std::vector<int64_t>()
          : parse_numbers(std::string_view(rest).substr(colon + 1), ':', kCountMax);
  const bool formed = !dims.empty() && dims.size() < kRankMax && !numbers.empty() &&
                      numbers.size() <= 2 && numbers[0] <= kClassesMax;
  const Shape shape = formed ? Shape(std::span(dims)) : Shape();
  if (!formed || !is_sane(shape) || shape.element_count() > kElementsPerSampleMax) {
    return invalid_error(
        "--data synthetic:%s: write synthetic:SHAPE:CLASSES[:COUNT], say synthetic:3x32x32:10 "
        "(classes up to %" PRId64 ", count up to %" PRId64 ")",
        rest.c_str(), kClassesMax, kCountMax);
  }
  const int64_t count = numbers.size() == 2 ? numbers[1] : kCountDefault;
  return Result<std::unique_ptr<Dataset>>(
      std::make_unique<SyntheticDataset>(shape, numbers[0], count, seed));
}

}  // namespace ft
