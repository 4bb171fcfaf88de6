#include "runtime/node/data_thread.h"

#include <algorithm>

#include "runtime/data/order.h"

namespace ft {

BatchLoader::BatchLoader(const Dataset* dataset, const BatchShape& shape)
    : dataset_(*dataset), shape_(shape) {}

LoadResult BatchLoader::fill(const Load& load, Split split, const std::vector<int64_t>& samples) {
  const int64_t elements = dataset_.sample_shape().element_count();
  BufferPtr input = inputs_.make(static_cast<uint64_t>(shape_.rows * elements) * 4);
  for (int64_t row = 0; row < shape_.rows; ++row) {
    const auto from = static_cast<size_t>(row) < samples.size() ? static_cast<size_t>(row) : 0;
    dataset_.read_sample(split, samples[from], input->floats() + row * elements);
  }
  LoadResult result{load, input, nullptr};
  if (dataset_.classes() > 0) {
    BufferPtr labels = make_buffer(samples.size() * sizeof(int64_t));
    auto* label = reinterpret_cast<int64_t*>(labels->data());
    for (const int64_t sample : samples) *label++ = dataset_.label(split, sample);
    result.labels = std::move(labels);
  } else {
    const int64_t targets = dataset_.target_elements();
    BufferPtr labels = make_buffer(samples.size() * static_cast<size_t>(targets) * 4);
    float* target = labels->floats();
    for (const int64_t sample : samples) {
      dataset_.read_target(split, sample, target);
      target += targets;
    }
    result.labels = std::move(labels);
  }
  return result;
}

LoadResult BatchLoader::train(const Load& load) {
  const int64_t epoch = load.batch / shape_.batches_per_epoch;
  if (epoch != epoch_) {
    order_ = epoch_order(shape_.seed, epoch, dataset_.count(Split::kTrain), shape_.shuffle);
    epoch_ = epoch;
  }
  const int64_t first =
      load.batch % shape_.batches_per_epoch * shape_.batch_size + load.micro * shape_.rows;
  const int64_t* samples = order_.data() + first;
  return fill(load, Split::kTrain, std::vector<int64_t>(samples, samples + shape_.rows));
}

LoadResult BatchLoader::evaluation(const Load& load, Split split) {
  const int64_t first = load.batch * shape_.rows;
  const int64_t last = std::min(first + shape_.rows, dataset_.count(split));
  std::vector<int64_t> samples;
  for (int64_t sample = first; sample < last; ++sample) samples.push_back(sample);
  return fill(load, split, samples);
}

DataThread::DataThread(const Dataset* dataset, const BatchShape& shape, RunDirectory* directory,
                       Mailbox<DataResult>* results)
    : loader_(dataset, shape),
      directory_(*directory),
      results_(*results),
      thread_([this] { loop(); }) {}

DataThread::~DataThread() {
  requests_.close();
  thread_.join();
}

void DataThread::loop() {
  DataRequest request;
  while (requests_.take(&request)) {
    if (const auto* load = std::get_if<Load>(&request)) {
      results_.put(load->kind == LoadKind::kTrain ? loader_.train(*load)
                                                  : loader_.evaluation(*load));
    } else if (const auto* journal = std::get_if<JournalRequest>(&request)) {
      const Status written = directory_.append_journal(journal->term, journal->record);
      results_.put(JournalResult{journal->term, directory_.with_remedy(written)});
    } else {
      const Checkpoint& checkpoint = std::get<CheckpointRequest>(request).checkpoint;
      const Status written = write_checkpoint(directory_.file("checkpoint.ftc"), checkpoint);
      const CheckpointResult result{checkpoint.version, directory_.with_remedy(written)};
      request = DataRequest();  // a version that nobody holds is overwritten
      results_.put(result);
    }
  }
}

}  // namespace ft
