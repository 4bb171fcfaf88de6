#pragma once

// AllowList: which public keys may join, and the names of their devices: a file of lines "NAME
// KEY". It is read again when it has changed, so that a board is added without a restart.

#include <cstdint>
#include <map>
#include <string>

#include "net/keys.h"

namespace ft {

constexpr size_t kAllowedMax = 1024;

class AllowList {
 public:
  // Nobody.
  AllowList() = default;
  // A file that is not there allows nobody. Errors: kInvalid, naming file and line: a malformed
  // line, a name or a key that stands there twice, a file that others than its owner may change.
  static Result<AllowList> read(const std::string& path);

  const std::string& path() const { return path_; }
  size_t size() const { return names_.size(); }
  // Null: not allowed, or nobody of that name.
  const std::string* name_of(const PublicKey& key) const;
  const PublicKey* key_of(const std::string& name) const;
  // The key if there is just one, else null.
  const PublicKey* only() const { return size() == 1 ? &names_.begin()->first : nullptr; }

  // Reads the file again if it has changed. With errors the old list stays. Returns them once.
  Status refresh();
  // Appends to the file. Errors: kInvalid, when it has this name or key already; kFailed.
  Status add(const std::string& name, const PublicKey& key);

 private:
  // Tells one state of a file from another.
  struct Stamp {
    int64_t seconds = 0;
    int64_t nanoseconds = 0;
    int64_t bytes = -1;
    uint64_t inode = 0;
    bool operator==(const Stamp&) const = default;
  };
  static Stamp stamp_of(const std::string& path);
  Status insert(const std::string& name, const PublicKey& key);

  std::string path_;
  Stamp stamp_;
  std::map<PublicKey, std::string> names_;
  std::map<std::string, PublicKey> keys_;
};

}  // namespace ft
