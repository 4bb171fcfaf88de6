// ftrun: one binary for every role; see options.h for the command line.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <sys/prctl.h>

#include "kernels/gemm.h"
#include "runtime/base/log.h"
#include "runtime/node/board.h"
#include "runtime/node/commands.h"
#include "runtime/node/heap.h"
#include "runtime/node/train.h"

namespace {

ft::Status run(const ft::Options& options) {
  switch (options.command) {
    case ft::Command::kTrain:
      return options.profile ? ft::profile(options) : ft::train(options);
    case ft::Command::kInspect:
      return ft::inspect(options);
    case ft::Command::kEval:
      return ft::evaluate(options);
    case ft::Command::kExport:
      return ft::export_run(options);
    case ft::Command::kReplay:
      return ft::replay(options);
    case ft::Command::kDoctor:
      return ft::doctor(options);
    case ft::Command::kPlan:
      return ft::plan(options);
    case ft::Command::kKeygen:
      return ft::keygen(options);
    case ft::Command::kHelp:
      std::fputs(options.help.c_str(), stdout);
      return ft::Status();
  }
  return ft::Status();
}

// Those that compute: the BLAS core decides their bits, so replay takes it as training does.
ft::Status take_board(ft::Options* options, char** argv) {
  const ft::Command command = options->command;
  if (command == ft::Command::kHelp || command == ft::Command::kPlan ||
      command == ft::Command::kExport || command == ft::Command::kKeygen) {
    return ft::Status();
  }
  FT_ASSIGN_OR_RETURN(const std::optional<ft::FoundBoard> found,
                      ft::find_board(options->board, ""));
  if (found) {
    ft::restart_with_blas_core(found->board.blas_core, argv);
  } else if (options->board != "none") {
    ft::restart_with_blas_core(ft::missed_blas_core(), argv);
  }
  if (!found) return ft::Status();
  if (command != ft::Command::kTrain) return ft::Status();
  FT_ASSIGN_OR_RETURN(const std::string line, ft::apply_board(*found, options));
  if (options->progress != ft::ProgressMode::kNone) ft::log_info("%s", line.c_str());
  return ft::Status();
}

// Nothing can be freed here. For the others this device is lost, as by any other failure.
void out_of_memory() {
  std::fputs(
      "ftrun: out of memory: use a smaller --batch-size, more devices, or a device with more "
      "memory\n",
      stderr);
  std::_Exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  ft::return_large_blocks();
  ::prctl(PR_SET_NAME, "ftrun");  // not "exe", for who was started by /proc/self/exe
  std::set_new_handler(out_of_memory);
  // A run goes on when the reader of its output ends.
  std::signal(SIGPIPE, SIG_IGN);
  ft::Result<ft::Options> options = ft::parse_options(argc, argv);
  ft::Status status = options.ok() ? take_board(&*options, argv) : options.status();
  if (status.ok()) status = run(*options);
  if (!status.ok()) std::fprintf(stderr, "ftrun: %s\n", status.message().c_str());
  return static_cast<int>(status.code());
}
