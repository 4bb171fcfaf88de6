// `ftrun doctor`: what this machine has, and whether the parts that ftrun needs work here.

#include <cstdio>
#include <thread>
#include <unistd.h>

#include "net/transport.h"
#include "net/zmq_sockets.h"
#include "runtime/data/dataset.h"
#include "runtime/node/board.h"
#include "runtime/node/commands.h"
#include "runtime/node/node_keys.h"
#include "runtime/node/version.h"

namespace ft {

namespace {

std::string keys_text(const Options& options) {
  const Result<KeyFiles> files = key_files(options);
  if (!files.ok()) return files.status().message();
  if (::access(files->secret.c_str(), F_OK) != 0) {
    return "none: other addresses than loopback need them; ftrun keygen makes them";
  }
  const Result<Identity> own = read_identity(files->secret);
  if (!own.ok()) return own.status().message();
  return own->name + ", fingerprint " + fingerprint(own->keys.public_key);
}

}  // namespace

Status doctor(const Options& options) {
  bool works = true;
  std::printf("version   %s\n", version_text().c_str());
  std::printf("numerics  %s\n", numerics_text().c_str());
  std::printf("cores     %u\n", std::thread::hardware_concurrency());
  std::printf("memory    %lld MiB\n",
              static_cast<long long>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE) >> 20);
  FT_ASSIGN_OR_RETURN(const std::optional<FoundBoard> found, find_board(options.board, ""));
  if (found) {
    const std::string state = board_state(found->board, "");
    std::printf("board     %s (%s)%s%s\n", found->board.title.c_str(), found->reason.c_str(),
                state.empty() ? "" : ": ", state.c_str());
  }
  TransportOptions transport_options;
  transport_options.self = 1;
  const Result<std::unique_ptr<Transport>> transport =
      Transport::create(transport_options, make_zmq_sockets());
  works = works && transport.ok();
  std::printf("sockets   %s\n",
              transport.ok() ? "loopback works" : transport.status().message().c_str());
  std::printf("keys      %s\n", keys_text(options).c_str());
  const Result<std::unique_ptr<Dataset>> data = open_dataset("fashion-mnist", 0);
  std::printf("data      %s\n",
              data.ok() ? (*data)->description().c_str() : data.status().message().c_str());
  if (!works) return failed_error("doctor: something that ftrun needs does not work here");
  return Status();
}

}  // namespace ft
