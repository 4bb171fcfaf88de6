#include "runtime/base/log.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace ft {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<void (*)()> g_interrupt{nullptr};
std::mutex g_mutex;

void log_list(LogLevel level, const char* pattern, va_list arguments) {
  if (level > g_level.load()) return;
  char text[2048];
  std::vsnprintf(text, sizeof(text), pattern, arguments);
  log_line(level, text);
}

}  // namespace

void set_log_level(LogLevel level) { g_level = level; }
void set_log_interrupt(void (*hook)()) { g_interrupt = hook; }

void log_line(LogLevel level, const std::string& text) {
  if (level > g_level.load()) return;
  const char* tag = level == LogLevel::kError     ? "error: "
                    : level == LogLevel::kWarning ? "warning: "
                                                  : "";
  const std::lock_guard lock(g_mutex);
  if (void (*hook)() = g_interrupt.load()) hook();
  std::fprintf(stderr, "ftrun: %s%s\n", tag, text.c_str());
}

#define FT_LOG_BODY(level)             \
  va_list arguments;                   \
  va_start(arguments, pattern);        \
  log_list(level, pattern, arguments); \
  va_end(arguments)

void log_error(const char* pattern, ...) { FT_LOG_BODY(LogLevel::kError); }
void log_warning(const char* pattern, ...) { FT_LOG_BODY(LogLevel::kWarning); }
void log_info(const char* pattern, ...) { FT_LOG_BODY(LogLevel::kInfo); }
void log_debug(const char* pattern, ...) { FT_LOG_BODY(LogLevel::kDebug); }

}  // namespace ft
