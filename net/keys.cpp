#include "net/keys.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/control.h"
#include "runtime/base/digest.h"
#include "runtime/base/file.h"

namespace ft {
namespace {

constexpr int64_t kIdentityBytesMax = 4096;
constexpr size_t kFingerprintBytes = 10;

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : line.substr(0, line.find('#')) + " ") {
    if (c != ' ' && c != '\t' && c != '\r') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  return words;
}

}  // namespace

KeyPair make_key_pair() { return pair_of(random_secret()); }

KeyPair pair_of(const SecretKey& secret) { return {curve25519_public(secret), secret}; }

Result<PublicKey> parse_key(const std::string& text) {
  PublicKey key{};
  if (from_hex(text, key) && key != PublicKey{}) return key;
  return invalid_error("not a key: it has 64 hexadecimal digits, as ftrun keygen prints them");
}

std::string key_text(const PublicKey& key) { return to_hex(key); }

std::string fingerprint(const PublicKey& key) {
  const Sha256 digest = sha256(std::as_bytes(std::span(key)));
  std::string text = to_hex(std::span(digest).first(kFingerprintBytes));
  for (size_t place = text.size() - 4; place > 0; place -= 4) text.insert(place, "-");
  return text;
}

bool is_key_name(const std::string& name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c < 0x7F && c != '=' && c != '#'; });
}

Result<NamedKeys> parse_key_lines(const std::string& path, const std::string& text) {
  NamedKeys keys;
  int number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::vector<std::string> words = words_of(text.substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (words.empty()) continue;
    if (words.size() != 2 || !is_key_name(words[0])) {
      return invalid_error("%s: line %d: must be NAME KEY, a name without spaces and = in it",
                           path.c_str(), number);
    }
    const Result<PublicKey> key = parse_key(words[1]);
    if (!key.ok()) {
      return invalid_error("%s: line %d: %s", path.c_str(), number, key.status().message().c_str());
    }
    keys.emplace_back(words[0], *key);
  }
  return keys;
}

Result<Identity> read_identity(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 077) != 0) {
    return invalid_error("%s: others may read or change this secret key (mode %03o): chmod 600 %s",
                         path.c_str(), info.st_mode & 0777, path.c_str());
  }
  FT_ASSIGN_OR_RETURN(const BufferPtr bytes, read_file(path, kIdentityBytesMax));
  const std::string text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  FT_ASSIGN_OR_RETURN(const NamedKeys keys, parse_key_lines(path, text));
  if (keys.size() != 1) {
    return invalid_error("%s: %zu keys, must be one; a new one: remove the file, ftrun keygen",
                         path.c_str(), keys.size());
  }
  return Identity{keys[0].first, pair_of(keys[0].second)};
}

Status write_identity(const std::string& path, const Identity& identity) {
  const std::string text = "# The secret key of this device: whoever has it can take its place.\n" +
                           identity.name + " " + to_hex(identity.keys.secret_key) + "\n";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return invalid_error("%s: cannot create: %s", path.c_str(), std::strerror(errno));
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (written) return Status();
  ::unlink(path.c_str());
  return invalid_error("%s: cannot write: %s", path.c_str(), std::strerror(error));
}

}  // namespace ft
