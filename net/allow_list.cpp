#include "net/allow_list.h"

#include <cerrno>
#include <sys/stat.h>

#include "runtime/base/file.h"

namespace ft {
namespace {

constexpr int64_t kFileBytesMax = 1 << 18;

}  // namespace

AllowList::Stamp AllowList::stamp_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return Stamp();
  return Stamp{info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size, info.st_ino};
}

Result<AllowList> AllowList::read(const std::string& path) {
  AllowList list;
  list.path_ = path;
  list.stamp_ = stamp_of(path);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 && errno == ENOENT) return list;
  if (S_ISREG(info.st_mode) && (info.st_mode & 022) != 0) {
    return invalid_error("%s: others may change who is allowed (mode %03o): chmod 644 %s",
                         path.c_str(), info.st_mode & 0777, path.c_str());
  }
  FT_ASSIGN_OR_RETURN(const BufferPtr bytes, read_file(path, kFileBytesMax));
  const std::string text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  FT_ASSIGN_OR_RETURN(const NamedKeys keys, parse_key_lines(path, text));
  for (const auto& [name, key] : keys) FT_RETURN_IF_ERROR(list.insert(name, key));
  return list;
}

const std::string* AllowList::name_of(const PublicKey& key) const {
  const auto found = names_.find(key);
  return found == names_.end() ? nullptr : &found->second;
}

const PublicKey* AllowList::key_of(const std::string& name) const {
  const auto found = keys_.find(name);
  return found == keys_.end() ? nullptr : &found->second;
}

Status AllowList::insert(const std::string& name, const PublicKey& key) {
  if (const std::string* other = name_of(key)) {
    return invalid_error("%s: the key %s is there already, as %s; remove one of the lines",
                         path_.c_str(), fingerprint(key).c_str(), other->c_str());
  }
  if (const PublicKey* other = key_of(name)) {
    return invalid_error("%s: %s is there already, with another key, %s; remove one of the lines",
                         path_.c_str(), name.c_str(), fingerprint(*other).c_str());
  }
  if (size() >= kAllowedMax) {
    return invalid_error("%s: more than %zu devices", path_.c_str(), kAllowedMax);
  }
  names_[key] = name;
  keys_[name] = key;
  return Status();
}

Status AllowList::refresh() {
  const Stamp now = stamp_of(path_);
  if (path_.empty() || now == stamp_) return Status();
  stamp_ = now;
  FT_ASSIGN_OR_RETURN(AllowList changed, read(path_));
  *this = std::move(changed);
  return Status();
}

Status AllowList::add(const std::string& name, const PublicKey& key) {
  FT_RETURN_IF_ERROR(insert(name, key));
  return append_line_synced(path_, name + " " + key_text(key));
}

}  // namespace ft
