#include "runtime/node/children.h"

#include <csignal>
#include <cstring>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/node/board.h"

extern char** environ;

namespace ft {
namespace {

constexpr TimeUs kGraceUs = 3 * kSecondUs;

}  // namespace

Status Children::start_stage(const Options& options, const std::string& central, int index,
                             int threads, const Slowdown& slowdown) {
  std::vector<std::string> words = {own_program(),
                                    options.model,
                                    "--role",
                                    "stage",
                                    "--central",
                                    central,
                                    "--name",
                                    format("%s-%d", options.name.c_str(), index),
                                    "--threads",
                                    std::to_string(threads),
                                    "--slowdown",
                                    slowdown.text(),
                                    "--board",
                                    "none",  // what central took holds for all
                                    "--dies-with-parent"};
  if (options.memory_bytes > 0) {
    words.insert(words.end(), {"--memory", std::to_string(options.memory_bytes)});
  }
  if (options.insecure) words.emplace_back("--insecure");
  if (!options.central_key.empty()) {
    words.insert(words.end(), {"--keys", options.keys, "--central-key", options.central_key});
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ);
  if (error != 0) return failed_error("cannot start a stage process: %s", std::strerror(error));
  pids_.push_back(pid);
  return Status();
}

Status Children::check() {
  for (size_t i = 0; i < pids_.size(); ++i) {
    int state = 0;
    if (::waitpid(pids_[i], &state, WNOHANG) != pids_[i]) continue;
    pids_.erase(pids_.begin() + static_cast<long>(i));
    if (WIFSIGNALED(state)) {
      return failed_error("a stage process was ended by signal %d before training began",
                          WTERMSIG(state));
    }
    return failed_error("a stage process ended with code %d before training began",
                        WEXITSTATUS(state));
  }
  return Status();
}

void Children::kill() {
  for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
}

Children::~Children() {
  const TimeUs deadline = monotonic_now_us() + kGraceUs;
  for (const pid_t pid : pids_) {
    while (::waitpid(pid, nullptr, WNOHANG) == 0) {
      if (monotonic_now_us() >= deadline) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        break;
      }
      ::usleep(2000);
    }
  }
}

}  // namespace ft
