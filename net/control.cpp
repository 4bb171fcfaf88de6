#include "net/control.h"

#include <algorithm>
#include <google/protobuf/stubs/logging.h>

#include "net/control_check.h"
#include "runtime/base/check.h"

namespace ft {
namespace {

void clean(std::string* reason) {
  if (reason->size() > kReasonBytesMax) reason->resize(kReasonBytesMax);
  for (char& c : *reason) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) c = '?';
    if (byte < 0x20 || byte == 0x7F) c = ' ';
  }
}

}  // namespace

void stamp(const Envelope& envelope, net::Control* message) {
  message->set_protocol(kProtocolVersion);
  if (envelope.run == RunId{}) {
    message->clear_run();
  } else {
    message->set_run(envelope.run.data(), envelope.run.size());
  }
  message->set_term(envelope.term);
  message->set_sender(envelope.self);
  if (message->has_refuse()) clean(message->mutable_refuse()->mutable_reason());
  if (message->has_failure()) clean(message->mutable_failure()->mutable_reason());
  if (message->has_pause()) clean(message->mutable_pause()->mutable_reason());
}

RunId run_of(const net::Control& message) {
  RunId run{};
  if (message.run().size() == run.size()) {
    std::copy(message.run().begin(), message.run().end(), run.begin());
  }
  return run;
}

bool is_sequenced(const net::Control& message) {
  switch (message.body_case()) {
    case net::Control::kHello:
    case net::Control::kRefuse:
    case net::Control::kDiscard:
    case net::Control::kHeartbeat:
    case net::Control::kAck:
      return false;
    default:
      return true;
  }
}

std::string encode_control(const net::Control& message) {
  std::string bytes = message.SerializeAsString();
  FT_CHECK(bytes.size() <= kControlBytesMax);
  return bytes;
}

Result<net::Control> decode_control(std::span<const std::byte> frame) {
  net::Control message;
  // Protobuf would print a line for every string that is not UTF-8.
  const google::protobuf::LogSilencer silence;
  if (frame.size() > kControlBytesMax ||
      !message.ParseFromArray(frame.data(), static_cast<int>(frame.size()))) {
    return refused_error("control frame: not a message");
  }
  const bool any_protocol = message.has_hello() || message.has_refuse();
  if (message.protocol() != kProtocolVersion && !any_protocol) {
    return refused_error("control frame: protocol version %u, this is %u", message.protocol(),
                         kProtocolVersion);
  }
  if (message.sender() == 0) return refused_error("control frame: no sender");
  if (!message.run().empty() && message.run().size() != RunId{}.size()) {
    return refused_error("control frame: a run id of %zu bytes", message.run().size());
  }
  FT_RETURN_IF_ERROR(check_body(message));
  return message;
}

}  // namespace ft
