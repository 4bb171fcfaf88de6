#pragma once

// The data thread (central): assembles batches and writes journal and checkpoints, so that neither
// the reactor nor the compute thread waits for a disk.

#include <functional>
#include <memory>
#include <thread>
#include <variant>
#include <vector>

#include "runtime/data/dataset.h"
#include "runtime/node/mailbox.h"
#include "runtime/pipeline/step.h"
#include "runtime/store/checkpoint.h"
#include "runtime/store/run_directory.h"

namespace ft {

struct BatchShape {
  int64_t rows = 0;  // per micro-batch
  int64_t batch_size = 0;
  int64_t batches_per_epoch = 1;
  uint64_t seed = 0;
  bool shuffle = true;
};

// Fills batches from a dataset: which samples stand in which rows is a pure function of seed, epoch
// and batch. One thread owns it.
class BatchLoader {
 public:
  BatchLoader(const Dataset* dataset, const BatchShape& shape);

  // Rows [micro * rows, (micro + 1) * rows) of training batch `batch`.
  LoadResult train(const Load& load);
  // Rows [batch * rows, ...) of a split in file order; a last incomplete one repeats its first
  // sample in the input, and its labels are fewer.
  LoadResult evaluation(const Load& load, Split split = Split::kTest);

 private:
  LoadResult fill(const Load& load, Split split, const std::vector<int64_t>& samples);

  const Dataset& dataset_;
  BatchShape shape_;
  RecycledBuffers inputs_;
  int64_t epoch_ = -1;  // whose order is in order_
  std::vector<int64_t> order_;
};

struct JournalRequest {
  uint64_t term = 0;
  std::vector<RecordEntry> record;
};
struct JournalResult {
  uint64_t term = 0;
  Status status;
};
struct CheckpointRequest {
  Checkpoint checkpoint;
};
struct CheckpointResult {
  int64_t version = -1;
  Status status;
};
using DataRequest = std::variant<Load, JournalRequest, CheckpointRequest>;
using DataResult = std::variant<LoadResult, JournalResult, CheckpointResult>;

class DataThread {
 public:
  // `dataset` and `directory` must outlive the thread, and `results` as well.
  DataThread(const Dataset* dataset, const BatchShape& shape, RunDirectory* directory,
             Mailbox<DataResult>* results);
  ~DataThread();
  DataThread(const DataThread&) = delete;
  DataThread& operator=(const DataThread&) = delete;

  void submit(DataRequest request) { requests_.put(std::move(request)); }

 private:
  void loop();

  BatchLoader loader_;
  RunDirectory& directory_;
  Mailbox<DataResult>& results_;
  Mailbox<DataRequest> requests_;
  std::thread thread_;
};

}  // namespace ft
