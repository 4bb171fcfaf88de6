#pragma once

// Keys: a device is known by a Curve25519 key pair. Others allow its public key; people compare the
// fingerprint. As text a key is 64 hexadecimal digits, which mean nothing to a shell, to systemd or
// to TOML (Z85, ZeroMQ's own text, has $ & < * # in it).

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/status.h"

namespace ft {

using PublicKey = std::array<uint8_t, 32>;  // all zero: none
using SecretKey = std::array<uint8_t, 32>;

struct KeyPair {
  PublicKey public_key{};
  SecretKey secret_key{};
};

KeyPair make_key_pair();
// The pair that has this secret key.
KeyPair pair_of(const SecretKey& secret);

// Errors: kInvalid, saying what a key looks like; never quotes the text, which may be secret.
Result<PublicKey> parse_key(const std::string& text);
std::string key_text(const PublicKey& key);
// 80 bits of the key's SHA-256, "a1b2-c3d4-e5f6-0718-293a".
std::string fingerprint(const PublicKey& key);

// What stands before a key: a device's name, printable ASCII without space, '=' and '#'.
bool is_key_name(const std::string& name);

// Lines of "NAME KEY"; # begins a comment, empty lines count for nothing. Errors: kInvalid, naming
// `path` and the line.
using NamedKeys = std::vector<std::pair<std::string, PublicKey>>;
Result<NamedKeys> parse_key_lines(const std::string& path, const std::string& text);

// What a device is to others.
struct Identity {
  std::string name;
  KeyPair keys;
};

// The secret key's file: one line, mode 0600. Errors of reading: kInvalid, when others than its
// owner may read it, too. Writing never replaces one that is there.
Result<Identity> read_identity(const std::string& path);
Status write_identity(const std::string& path, const Identity& identity);

}  // namespace ft
