#include "runtime/node/node_keys.h"

#include <cstdlib>
#include <sys/stat.h>

#include "net/endpoint.h"
#include "runtime/base/log.h"

namespace ft {
namespace {

Status check_endpoint(const char* option, const std::string& endpoint, bool any_port) {
  const std::string fault = endpoint_fault(endpoint, any_port);
  if (fault.empty()) return Status();
  return invalid_error("%s %s: %s", option, endpoint.c_str(), fault.c_str());
}

// The option that leaves loopback, or null.
const char* option_beyond(const Options& o) {
  if (!is_loopback(o.listen)) return "--listen";
  return o.role == Role::kStage && !is_loopback(o.central) ? "--central" : nullptr;
}

Result<PublicKey> central_key(const Options& o, const KeyFiles& files) {
  if (!o.central_key.empty()) {
    const Result<PublicKey> key = parse_key(o.central_key);
    if (key.ok()) return key;
    return invalid_error("--central-key: %s", key.status().message().c_str());
  }
  FT_ASSIGN_OR_RETURN(const AllowList allowed, AllowList::read(files.allowed));
  if (const PublicKey* only = allowed.only()) return *only;
  return invalid_error(
      "--central %s: which key does central have? Name it with --central-key KEY (ftrun keygen "
      "prints it there), or have central alone in %s",
      o.central.c_str(), files.allowed.c_str());
}

Result<Identity> own_identity(const KeyFiles& files, const std::string& what_for) {
  struct stat info {};
  if (::stat(files.secret.c_str(), &info) == 0) return read_identity(files.secret);
  return invalid_error(
      "%s, and this device has none in %s: make it with ftrun keygen; --insecure goes on without: "
      "anybody on that network can then read, change and join the run",
      what_for.c_str(), files.directory.c_str());
}

}  // namespace

Result<KeyFiles> key_files(const Options& options) {
  std::string directory = options.keys;
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  if (directory.empty() && config != nullptr && config[0] == '/') {
    directory = std::string(config) + "/ftrun";
  } else if (directory.empty() && home != nullptr && home[0] == '/') {
    directory = std::string(home) + "/.config/ftrun";
  }
  if (directory.empty()) {
    return invalid_error("no home directory: say with --keys DIR where this device's keys are");
  }
  struct stat info {};
  if (::stat(directory.c_str(), &info) == 0) {
    if (!S_ISDIR(info.st_mode)) return invalid_error("%s: not a directory", directory.c_str());
    if ((info.st_mode & 022) != 0) {
      return invalid_error("%s: others may change the keys in it (mode %03o): chmod 700 %s",
                           directory.c_str(), info.st_mode & 0777, directory.c_str());
    }
  }
  return KeyFiles{directory, directory + "/key", directory + "/allowed_keys"};
}

Result<std::optional<TransportKeys>> keys_for(Options* o) {
  FT_RETURN_IF_ERROR(check_endpoint("--listen", o->listen, true));
  const bool stage = o->role == Role::kStage;
  if (stage) FT_RETURN_IF_ERROR(check_endpoint("--central", o->central, false));
  const char* beyond = option_beyond(*o);
  if (o->insecure) {
    if (beyond != nullptr && !o->dies_with_parent) {
      log_warning(
          "--insecure: nothing is encrypted and nobody is asked who they are: anybody on that "
          "network can read the data and the model, change the weights, and join or stop the run");
    }
    return std::optional<TransportKeys>();
  }
  if (beyond == nullptr && o->keys.empty() && o->central_key.empty()) {
    return std::optional<TransportKeys>();
  }
  std::string what_for = "--keys";
  if (beyond != nullptr) {
    what_for = format("%s %s: endpoints other than loopback need keys", beyond,
                      (stage && !is_loopback(o->central) ? o->central : o->listen).c_str());
  } else if (o->keys.empty()) {
    what_for = "--central-key needs keys";
  }
  FT_ASSIGN_OR_RETURN(const KeyFiles files, key_files(*o));
  FT_ASSIGN_OR_RETURN(const Identity own, own_identity(files, what_for));
  if (!o->given.contains("--name")) o->name = own.name;
  TransportKeys keys;
  keys.own = own.keys;
  if (stage) {
    FT_ASSIGN_OR_RETURN(keys.central, central_key(*o, files));
    return std::optional<TransportKeys>(std::move(keys));
  }
  keys.central = own.keys.public_key;
  FT_ASSIGN_OR_RETURN(keys.devices, AllowList::read(files.allowed));
  o->keys = files.directory;
  o->central_key = key_text(keys.central);
  return std::optional<TransportKeys>(std::move(keys));
}

}  // namespace ft
