// `ftrun keygen`: makes this device's key pair, or shows the one it has, and allows others.

#include <cstdio>
#include <filesystem>
#include <sys/stat.h>

#include "net/allow_list.h"
#include "runtime/node/commands.h"
#include "runtime/node/node_keys.h"

namespace ft {
namespace {

Status make_directory(const std::string& directory) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(directory).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (!error && (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST)) return Status();
  return invalid_error("%s: cannot make this directory; name another with --keys",
                       directory.c_str());
}

Result<Identity> read_or_make(const Options& options, const KeyFiles& files, bool* made) {
  const bool named = options.given.contains("--name");
  struct stat info {};
  *made = ::lstat(files.secret.c_str(), &info) != 0;
  if (!*made) {
    FT_ASSIGN_OR_RETURN(Identity identity, read_identity(files.secret));
    if (!named || identity.name == options.name) return identity;
    return invalid_error("%s: this device has a key already, as %s; its name stands in that file",
                         files.secret.c_str(), identity.name.c_str());
  }
  if (!is_key_name(options.name)) {
    return invalid_error("--name '%s': printable ASCII without spaces, = and #, please",
                         options.name.c_str());
  }
  FT_RETURN_IF_ERROR(make_directory(files.directory));
  Identity identity{options.name, make_key_pair()};
  FT_RETURN_IF_ERROR(write_identity(files.secret, identity));
  return identity;
}

// "NAME=KEY".
Status allow(const std::string& text, AllowList* list) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  if (equals == std::string::npos || !is_key_name(name)) {
    return invalid_error("--allow '%s': must be NAME=KEY, as ftrun keygen prints it on that device",
                         text.c_str());
  }
  const Result<PublicKey> key = parse_key(text.substr(equals + 1));
  if (!key.ok()) {
    return invalid_error("--allow %s: %s", name.c_str(), key.status().message().c_str());
  }
  const std::string* known = list->name_of(*key);
  if (known == nullptr || *known != name) FT_RETURN_IF_ERROR(list->add(name, *key));
  std::printf("allowed      %s, if it shows the fingerprint %s, too\n", name.c_str(),
              fingerprint(*key).c_str());
  return Status();
}

}  // namespace

Status keygen(const Options& options) {
  FT_ASSIGN_OR_RETURN(const KeyFiles files, key_files(options));
  bool made = false;
  FT_ASSIGN_OR_RETURN(const Identity own, read_or_make(options, files, &made));
  FT_ASSIGN_OR_RETURN(AllowList list, AllowList::read(files.allowed));
  for (const std::string& text : options.allow) FT_RETURN_IF_ERROR(allow(text, &list));

  const std::string key = key_text(own.keys.public_key);
  std::printf("this device  %s%s\n", own.name.c_str(), made ? " (key made now)" : "");
  std::printf("fingerprint  %s\n", fingerprint(own.keys.public_key).c_str());
  std::printf("public key   %s\n", key.c_str());
  std::printf("kept in      %s; `key` is secret and stays on this device\n",
              files.directory.c_str());
  std::printf("may join     %zu device%s (%s)\n", list.size(), list.size() == 1 ? "" : "s",
              list.path().c_str());
  std::printf(
      "\nTo let this device join, on central's machine:\n  ftrun keygen --allow %s=%s\n"
      "To join when central is here, on the other device:\n"
      "  ftrun --role stage --central tcp://HOST:7117 --central-key %s\n"
      "or, where the Debian package is installed, to serve central from now on:\n"
      "  sudo ftrun-join tcp://HOST:7117 %s\n",
      own.name.c_str(), key.c_str(), key.c_str(), key.c_str());
  return Status();
}

}  // namespace ft
