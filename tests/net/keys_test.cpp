// Keys as text and as files. What a user or an attacker may have put there is refused by name.

#include "net/keys.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "net/allow_list.h"
#include "tests/base/temp_dir.h"

namespace ft {
namespace {

const std::string kKey(64, 'a');
const std::string kOther(64, 'b');

void write(const std::string& path, const std::string& text, mode_t mode = 0600) {
  std::ofstream(path) << text;
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

bool says(const Status& status, const std::string& what) {
  if (status.code() != StatusCode::kInvalid) return false;
  if (status.message().find(what) != std::string::npos) return true;
  MESSAGE(status.message());
  return false;
}

}  // namespace

TEST_CASE("keys: a pair as text and back") {
  const KeyPair pair = make_key_pair();
  CHECK(pair.public_key != make_key_pair().public_key);
  CHECK(pair_of(pair.secret_key).public_key == pair.public_key);
  const std::string text = key_text(pair.public_key);
  CHECK(text.size() == 64);
  REQUIRE(parse_key(text).ok());
  CHECK(*parse_key(text) == pair.public_key);
}

TEST_CASE("keys: a fingerprint is 80 bits of the key's SHA-256, in groups of four") {
  PublicKey key{};
  CHECK(fingerprint(key) == "6668-7aad-f862-bd77-6c8f");  // of 32 zero bytes
  key[31] = 1;
  CHECK(fingerprint(key) != "6668-7aad-f862-bd77-6c8f");
}

TEST_CASE("keys: what is no key is refused without quoting it") {
  for (const std::string& bad :
       {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'),
        std::string(64, '0'), "0x" + std::string(62, 'a'), std::string(40, 'z'),
        std::string(32, 'a') + ":" + std::string(31, 'a'), std::string(1 << 20, 'a')}) {
    const Result<PublicKey> key = parse_key(bad);
    CHECK(says(key.status(), "64 hexadecimal digits"));
    CHECK((bad.empty() || key.status().message().find(bad) == std::string::npos));
  }
}

TEST_CASE("keys: the secret key's file is its owner's alone") {
  const TempDir dir;
  const std::string path = dir.file("key");
  const Identity mine{"pi4-b", make_key_pair()};
  REQUIRE(write_identity(path, mine).ok());
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const Result<Identity> read = read_identity(path);
  REQUIRE(read.ok());
  CHECK(read->name == "pi4-b");
  CHECK(read->keys.secret_key == mine.keys.secret_key);
  CHECK(read->keys.public_key == mine.keys.public_key);
  CHECK(says(write_identity(path, mine), path));  // never replaced
  for (const mode_t mode : {0640, 0604, 0620, 0666, 0644}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    CHECK(says(read_identity(path).status(), "chmod 600 " + path));
  }
}

TEST_CASE("keys: a secret key's file that is none") {
  const TempDir dir;
  const std::string path = dir.file("key");
  CHECK(says(read_identity(path).status(), path));
  for (const std::string& text :
       {std::string(), std::string("name\n"), kKey, "name " + kKey + " more",
        "a " + kKey + "\nb " + kOther, "na=me " + kKey, "\x1b[2J " + kKey,
        std::string(128, 'n') + "n " + kKey, std::string(5000, ' ') + "name " + kKey,
        std::string("name \0", 6) + kKey}) {
    write(path, text);
    CHECK(says(read_identity(path).status(), path));
  }
  write(path, "# a comment\n\n  name\t" + kKey + "  # another\r\n");
  CHECK(read_identity(path).ok());
  const std::string fifo = dir.file("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(says(read_identity(fifo).status(), "not a regular file"));
  CHECK(says(read_identity(dir.path()).status(), "not a regular file"));
}

TEST_CASE("allow list: names by key and keys by name") {
  const TempDir dir;
  const std::string path = dir.file("allowed_keys");
  Result<AllowList> list = AllowList::read(path);  // not there: nobody
  REQUIRE(list.ok());
  CHECK(list->size() == 0);
  CHECK(list->only() == nullptr);
  const PublicKey key = *parse_key(kKey);
  REQUIRE(list->add("pi4-b", key).ok());
  REQUIRE(list->only() != nullptr);
  CHECK(*list->only() == key);
  REQUIRE(list->add("jetson", *parse_key(kOther)).ok());
  CHECK(list->only() == nullptr);
  CHECK(says(list->add("pi5", key), "pi4-b"));
  CHECK(says(list->add("pi4-b", make_key_pair().public_key), fingerprint(key)));
  list = AllowList::read(path);
  REQUIRE(list.ok());
  CHECK(list->size() == 2);
  CHECK(*list->name_of(key) == "pi4-b");
  CHECK(*list->key_of("pi4-b") == key);
  CHECK(list->name_of(make_key_pair().public_key) == nullptr);
}

TEST_CASE("allow list: a malformed one is refused, naming the line") {
  const TempDir dir;
  const std::string path = dir.file("allowed_keys");
  const std::pair<std::string, std::string> cases[] = {
      {"a " + kKey + "\n\nb\n", ": line 3"},
      {"a " + kKey + "\nb " + kKey + "\n", "is there already, as a"},
      {"a " + kKey + "\na " + kOther + "\n", "a is there already, with another key"},
      {"a " + std::string(64, 'z') + "\n", ": line 1"},
      {"a\x07 " + kKey + "\n", ": line 1"},
      {std::string(1 << 19, '#'), "more than the limit"}};
  for (const auto& [text, needs] : cases) {
    write(path, text, 0644);
    CHECK(says(AllowList::read(path).status(), path));
    CHECK(says(AllowList::read(path).status(), needs));
  }
  write(path, "a " + kKey + "\n", 0664);
  CHECK(says(AllowList::read(path).status(), "chmod 644 " + path));
  const std::string fifo = dir.file("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(says(AllowList::read(fifo).status(), "not a regular file"));
}

TEST_CASE("allow list: read again when it has changed, kept when the change is malformed") {
  const TempDir dir;
  const std::string path = dir.file("allowed_keys");
  AllowList list = *AllowList::read(path);
  CHECK(list.refresh().ok());
  write(path, "a " + kKey + "\n", 0644);
  CHECK(list.refresh().ok());
  CHECK(list.size() == 1);
  write(path, "a " + kKey + "\nnonsense\n", 0644);
  CHECK(says(list.refresh(), ": line 2"));
  CHECK(list.refresh().ok());  // told once
  CHECK(list.size() == 1);
  write(path, "b " + kOther + "\n", 0644);
  CHECK(list.refresh().ok());
  CHECK(list.size() == 1);
  CHECK(list.key_of("b") != nullptr);
  CHECK(list.key_of("a") == nullptr);
  CHECK(AllowList().refresh().ok());
}

}  // namespace ft
