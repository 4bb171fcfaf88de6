#pragma once

// What secures a node's connections: its keys, that they stay on this machine, or nothing
// (--insecure). And where keys are kept: a directory with the device's secret key and the list of
// those that it allows.

#include <optional>
#include <string>

#include "net/guard.h"
#include "runtime/node/options.h"

namespace ft {

struct KeyFiles {
  std::string directory;
  std::string secret;   // net/keys.h, read_identity()
  std::string allowed;  // net/allow_list.h
};

// --keys, or $XDG_CONFIG_HOME/ftrun, or ~/.config/ftrun. Errors: kInvalid, no home, or a directory
// that others may change.
Result<KeyFiles> key_files(const Options& options);

// For a node of a network (not solo). No keys: everything stays on loopback and none were asked
// for, or --insecure, with a warning on screen. Checks the endpoints. With keys the device is
// called what its key is called, unless --name says otherwise, and `local` hands its own to its
// stages. Errors: kInvalid, naming option or file, cause and remedy.
Result<std::optional<TransportKeys>> keys_for(Options* options);

}  // namespace ft
