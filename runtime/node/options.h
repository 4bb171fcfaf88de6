#pragma once

// The command line (DESIGN 7): one struct per command, filled by CLI11, which stops in options.cpp.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "kernels/optimizer.h"
#include "onnx_import/import.h"
#include "runtime/base/clock.h"
#include "runtime/base/status.h"
#include "runtime/exec/range_trainer.h"
#include "runtime/node/slowdown.h"
#include "runtime/observe/display.h"

namespace ft {

enum class Command : uint8_t {
  kTrain,
  kInspect,
  kPlan,
  kEval,
  kExport,
  kReplay,
  kKeygen,
  kDoctor,
  kHelp
};
enum class Role : uint8_t { kSolo, kCentral, kStage, kLocal };

struct Options {
  Command command = Command::kTrain;
  std::string help;  // kHelp: the text to print (also --version's)

  std::string model;   // MODEL.onnx; optional for a stage
  std::string run;     // RUN_DIR of export and replay
  std::string output;  // -o
  std::string devices;
  bool json = false;
  bool measure = false;  // inspect
  bool memory = false;   // inspect
  bool profile = false;
  std::string logits;  // eval: where to write them

  Role role = Role::kSolo;
  std::string data;
  int stages = 3;
  int workers = 1;
  std::string listen;
  std::string central = "tcp://127.0.0.1:7117";
  std::string advertise;
  std::string name;
  std::string board;  // empty: recognised
  bool sync = false;
  int micro_batches = 4;
  int aggregate_every = 0;
  int64_t batch_size = 64;
  int64_t epochs = 1;
  bool epochs_given = false;
  int64_t batches = 0;  // 0: not given
  uint64_t seed = 0;
  int threads = 0;  // 0: all cores
  bool shuffle = true;
  OptimizerOptions optimizer;
  LossKind loss = LossKind::kCrossEntropy;
  RoleChoices roles;
  bool wire_fp16 = false;
  std::string partition = "dynamic";
  int64_t memory_bytes = 0;  // 0: no limit
  int64_t replicate_every = 50;
  bool replicate_auto = false;
  int64_t global_every = 2;
  TimeUs failure_timeout_us = kSecondUs;
  TimeUs heartbeat_us = 250 * kMillisecondUs;
  std::vector<Slowdown> slowdowns;
  std::string run_dir;
  bool resume = false;
  std::string discard_run;      // 32 hexadecimal digits, or empty
  std::set<std::string> given;  // the options that stand on the command line
  bool insecure = false;
  std::string keys;                // directory; empty: the default
  std::string central_key;         // 64 hexadecimal digits, or empty
  std::vector<std::string> allow;  // keygen: NAME=KEY
  ProgressMode progress = ProgressMode::kAuto;
  std::string export_path;
  bool neighbour_takes_over = false;  // --bench-recovery respipe
  bool dies_with_parent = false;      // a stage started by --role local
};

// Errors: kInvalid, naming the option, the cause and the remedy.
Result<Options> parse_options(int argc, const char* const* argv);

}  // namespace ft
