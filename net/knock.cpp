#include "net/knock.h"

#include "net/control.h"

namespace ft {

Status Knock::send(Sockets* sockets, const OutboxOptions& options, const net::Control& message) {
  if (outbox_ == nullptr || endpoint_ != options.endpoint || server_ != options.server) {
    outbox_.reset();
    FT_ASSIGN_OR_RETURN(outbox_, sockets->connect(options));
    endpoint_ = options.endpoint;
    server_ = options.server;
  }
  frame_ = Frame{encode_control(message)};
  pump();
  return Status();
}

void Knock::pump() {
  if (outbox_ == nullptr || !frame_ || !outbox_->send(*frame_)) return;
  traffic_->count_sent(*frame_);
  frame_.reset();
}

}  // namespace ft
