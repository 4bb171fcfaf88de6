#pragma once

// What a person reads beside the progress display: one line each, on standard error, as
// `ftrun: ...`. Any thread may call it.

#include <string>

namespace ft {

enum class LogLevel { kError = 0, kWarning = 1, kInfo = 2, kDebug = 3 };

// Lines above `level` are dropped. Default: kInfo.
void set_log_level(LogLevel level);

// Called before a line is written, so that a progress bar can clear its own line. May be null.
void set_log_interrupt(void (*hook)());

void log_line(LogLevel level, const std::string& text);

[[gnu::format(printf, 1, 2)]] void log_error(const char* pattern, ...);
[[gnu::format(printf, 1, 2)]] void log_warning(const char* pattern, ...);
[[gnu::format(printf, 1, 2)]] void log_info(const char* pattern, ...);
[[gnu::format(printf, 1, 2)]] void log_debug(const char* pattern, ...);

}  // namespace ft
