#pragma once

// The compute thread: owns the pool and the RangeTrainer, takes one Task at a time and answers with
// a TaskResult. It never touches a socket.

#include <memory>
#include <thread>

#include "onnx_import/import.h"
#include "runtime/exec/range_trainer.h"
#include "runtime/node/mailbox.h"
#include "runtime/node/slowdown.h"
#include "runtime/pipeline/step.h"

namespace ft {

struct ComputeOptions {
  int threads = 1;
  Slowdown slowdown;          // after each task sleep (slowdown - 1) times its CPU time
  ConstBufferPtr model_file;  // null until central has sent it
  std::string model_path;     // where the file is when nobody keeps it in memory
  int64_t memory_bytes = 0;   // for all of us; 0: no limit
  // The model as whoever made the thread has imported it, without weights, its file's SHA-256 and
  // how it was read: the file is then read for weights only, where no snapshots come with a task.
  // May be null.
  std::shared_ptr<const Model> model;
  std::string model_sha256;
  ImportOptions imported_as;
};

class ComputeThread {
 public:
  // Results go to `results`, which must outlive the thread.
  ComputeThread(const ComputeOptions& options, Mailbox<TaskResult>* results);
  ~ComputeThread();
  ComputeThread(const ComputeThread&) = delete;
  ComputeThread& operator=(const ComputeThread&) = delete;

  void submit(Task task) { tasks_.put(std::move(task)); }

 private:
  void loop();
  TimeUs cpu_now_us() const;
  TimeUs sleep_after(TimeUs started, TimeUs cpu_us);
  void run(const Task& task, TaskResult* result);
  Status use_model(const Task& task, std::unique_ptr<Model>* imported);
  Result<std::unique_ptr<Model>> import(const Task& task);
  Result<std::vector<LayerState>> states_of(const Task& task, std::unique_ptr<Model> imported);
  Status configure(const Task& task, TaskResult* result);
  Status measure(const Task& task, TaskResult* result);
  void step(const Task& task, TaskResult* result);
  Status forward(const Task& task, TaskResult* result);
  Status evaluate(const Task& task, TaskResult* result);
  Status snapshot(const Task& task, TaskResult* result);

  ComputeOptions options_;
  Mailbox<TaskResult>& results_;
  Mailbox<Task> tasks_;
  std::unique_ptr<ThreadPool> pool_;
  std::shared_ptr<const Model> model_;  // without weights
  std::string imported_;                // the SHA-256 of model_'s file
  ImportOptions imported_as_;           // how it was read
  std::unique_ptr<RangeTrainer> trainer_;
  std::unique_ptr<LayerWatch> watch_;  // of the trainer's range
  int64_t label_row_bytes_ = 8;
  TimeUs late_us_ = 0;  // tasks ended that much later than they should have
  std::thread thread_;  // last: it uses the others
};

// What a Training message says, as the executor wants it.
TrainerOptions trainer_options(const net::Training& training);

// Bytes of one row's label: an int64 class, or the float32 targets.
int64_t label_row_bytes(const net::Training& training, const Model& model);

// How the model is read for that training: bound to the rows of one micro-batch.
ImportOptions import_options(const net::Training& training);
// Errors: kInvalid.
Result<Model> import_for(const net::Training& training, const Buffer& model_file);

}  // namespace ft
