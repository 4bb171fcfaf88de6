#pragma once

// The run directory (DESIGN 4, 7): what a run leaves on disk. docs/run_directory.md has the
// formats.
//
//   lock             held by the central that uses the directory
//   run.json         what defines the result, apart from model, data and record
//   model.onnx       the model as it was given
//   journal.jsonl    one line per configuration: term and record, synced before training resumes
//   events.jsonl     the events, as --progress json prints them
//   checkpoint.ftc   every layer's state at one version (checkpoint.h)

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/buffer.h"
#include "runtime/base/layer_range.h"
#include "runtime/base/status.h"

namespace ft {

// Batches from first_batch on were trained under `term` with `ranges`, in pipeline order.
struct RecordEntry {
  int64_t first_batch = 0;
  uint64_t term = 0;
  std::vector<LayerRange> ranges;
};

// The journal's last whole line.
struct Journal {
  uint64_t term = 0;
  std::vector<RecordEntry> record;
};

// What the events say of a run: the newest batch and the newest evaluation that were reported.
struct ReportedProgress {
  int64_t batch = -1;
  int64_t finished = -1;  // the newest batch of the history trained last; below `batch` after a
                          // rollback
  double loss = 0;
  int64_t evaluated = -1;  // the cut's version
  int64_t epoch = 0;
  double evaluation_loss = 0;
  double accuracy = 0;
};

class RunDirectory {
 public:
  // Makes the directory (and its parents) for a new run and locks it. Errors: kInvalid when it
  // holds a run already or another process uses it, or it cannot be written.
  static Result<std::unique_ptr<RunDirectory>> create(const std::string& path);
  // The same for a run that goes on: it may hold one, or be empty. Errors: kInvalid when another
  // process uses it, or it cannot be written.
  static Result<std::unique_ptr<RunDirectory>> resume(const std::string& path);
  // Opens a run to read. Errors: kInvalid when it holds none.
  static Result<std::unique_ptr<RunDirectory>> open(const std::string& path);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  bool has_run() const;
  Status write_run(const std::string& json);
  Result<std::string> read_run() const;
  Status write_model(const Buffer& model);
  // Appends one line; not synced.
  Status append_event(const std::string& json);
  // Appends one line and syncs.
  Status append_journal(uint64_t term, const std::vector<RecordEntry>& record);
  // A failed write, and what to do: what is there already suffices to go on.
  Status with_remedy(const Status& written) const;
  // A torn last line is ignored; without a journal term 0. Errors: kInvalid.
  Result<Journal> read_journal() const;
  // Lines that are torn or foreign are skipped.
  ReportedProgress read_progress() const;
  // Calls `take` with the loss of each batch event, in the order of the file.
  void read_losses(const std::function<void(int64_t batch, double loss)>& take) const;

 private:
  static Result<std::unique_ptr<RunDirectory>> lock(const std::string& path);
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}

  std::string path_;
  int lock_ = -1;
  std::FILE* events_ = nullptr;
};

}  // namespace ft
