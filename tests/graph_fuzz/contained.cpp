#include "tests/graph_fuzz/contained.h"

#include <cstring>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ft::fuzz {
namespace {

constexpr size_t kTextMax = 2048;
constexpr unsigned kSecondsMax = 120;  // of one graph, under any sanitizer

// What the child hands back.
struct Note {
  Counts counts;
  char kind[64];
  char text[kTextMax];
};

void put(char* target, size_t size, const std::string& text) {
  std::strncpy(target, text.c_str(), size - 1);
}

Note* shared_note() {
  static Note* const note = [] {
    void* const memory =
        mmap(nullptr, sizeof(Note), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FT_CHECK(memory != MAP_FAILED);
    return static_cast<Note*>(memory);
  }();
  return note;
}

}  // namespace

Verdict check_contained(const Graph& graph, const CaseOptions& options, Counts* counts) {
  Note* const note = shared_note();
  std::memset(static_cast<void*>(note), 0, sizeof(Note));
  const pid_t child = fork();
  FT_CHECK(child >= 0);
  if (child == 0) {
    alarm(kSecondsMax);
    const Verdict verdict = check_graph(graph, options, &note->counts);
    put(note->kind, sizeof note->kind, verdict.kind);
    put(note->text, sizeof note->text, verdict.text);
    _exit(0);
  }
  int status = 0;
  FT_CHECK(waitpid(child, &status, 0) == child);
  Verdict verdict = {note->kind, note->text};
  Counts found = note->counts;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    verdict = {"crash", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit"};
    found.failures = 1;
  }
  counts->add(found);
  return verdict;
}

}  // namespace ft::fuzz
