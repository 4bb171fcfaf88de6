#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "runtime/base/digest.h"

namespace ft::sim {

void World::at(TimeUs when, std::function<void()> what) {
  events_.emplace(std::pair(std::max(when, now_), planned_++), std::move(what));
}

bool World::step() {
  if (events_.empty()) return false;
  auto first = events_.extract(events_.begin());
  now_ = first.key().first;
  first.mapped()();
  return true;
}

void World::note(const std::string& who, const char* pattern, int64_t a, int64_t b, int64_t c) {
  ++notes_;
  const uint64_t words[] = {hash_,
                            static_cast<uint64_t>(now_),
                            static_cast<uint64_t>(a),
                            static_cast<uint64_t>(b),
                            static_cast<uint64_t>(c),
                            xxh3_64(std::as_bytes(std::span(who))),
                            xxh3_64(std::as_bytes(std::span(pattern, std::strlen(pattern))))};
  hash_ = xxh3_64(std::as_bytes(std::span(words)));
  if (!keeps_text_) return;
  char line[400];
  const int head = std::snprintf(line, sizeof(line), "%10.4f %-9s ",
                                 static_cast<double>(now_) / kSecondUs, who.c_str());
  std::snprintf(line + head, sizeof(line) - static_cast<size_t>(head), pattern,
                static_cast<long long>(a), static_cast<long long>(b), static_cast<long long>(c));
  text_.emplace_back(line);
  if (text_.size() > kTraceLinesMax) text_.pop_front();
}

}  // namespace ft::sim
