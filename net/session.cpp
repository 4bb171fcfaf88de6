#include "net/session.h"

#include <algorithm>
#include <utility>

namespace ft {
namespace {

constexpr WindowOptions kControlWindow{kControlWindowBytes, kControlWindowBytes};

Frame make_bulk_frame(const Envelope& envelope, uint64_t sequence, const Chunk& chunk) {
  BulkHeader header{envelope.run, envelope.term, envelope.self, sequence, chunk.name};
  header.total_bytes = static_cast<int64_t>(chunk.bytes->size());
  header.offset = chunk.offset;
  header.chunk_bytes = chunk.chunk_bytes;
  Frame frame;
  frame.head.resize(kBulkHeaderBytes);
  encode_bulk_header(header,
                     std::span<std::byte, kBulkHeaderBytes>(
                         reinterpret_cast<std::byte*>(frame.head.data()), kBulkHeaderBytes));
  frame.body = chunk.bytes;
  frame.body_offset = chunk.offset;
  frame.body_bytes = chunk.chunk_bytes;
  frame.kind = static_cast<uint8_t>(chunk.name.kind);
  return frame;
}

}  // namespace

Session::Session(const Envelope& envelope, bool pause_received)
    : envelope_(envelope),
      senders_{SendStream(kControlWindow), SendStream(WindowOptions{})},
      receivers_{ReceiveStream(pause_received ? 1 : 0), ReceiveStream(0)} {}

bool Session::send(net::Control message) {
  if (ended_) return true;
  SendStream& stream = sender(Channel::kControl);
  if (stream.frames_pending() >= kControlQueuedMax ||
      stream.bytes_pending() >= kControlQueuedBytesMax) {
    return false;
  }
  stamp(envelope_, &message);
  message.set_sequence(stream.next_sequence());
  Frame frame;
  frame.head = encode_control(message);
  stream.push(std::move(frame));
  return true;
}

bool Session::send_bulk(const BulkName& name, ConstBufferPtr bytes, Priority priority) {
  return ended_ || chunker_.push(name, std::move(bytes), priority);
}

// A chunk gets its number only when the window has room for it, so that a more urgent transfer that
// arrives meanwhile comes before it.
const Frame* Session::next(Channel channel) {
  SendStream& stream = sender(channel);
  if (channel != Channel::kBulk || chunker_.empty()) return stream.next();
  // Two chunks fill the window, so that a small one does not wait for a large one on a slow link.
  const int64_t frame_bytes = std::min(stream.window_bytes() / 2, kBulkFrameBytesMax);
  if (stream.has_room(frame_bytes)) {
    const int64_t chunk_bytes = frame_bytes - static_cast<int64_t>(kBulkHeaderBytes);
    stream.push(make_bulk_frame(envelope_, stream.next_sequence(), chunker_.pop(chunk_bytes)));
  }
  return stream.next();
}

int64_t Session::bulk_bytes_pending() const {
  return chunker_.bytes_pending() + senders_[static_cast<size_t>(Channel::kBulk)].bytes_pending();
}

bool Session::is_idle() const {
  return chunker_.empty() && std::all_of(senders_.begin(), senders_.end(), [](const auto& stream) {
           return stream.frames_pending() == 0;
         });
}

bool Session::is_used() const {
  const bool sent = std::any_of(senders_.begin(), senders_.end(),
                                [](const auto& stream) { return stream.next_sequence() > 0; });
  return sent || std::any_of(receivers_.begin(), receivers_.end(),
                             [](const auto& stream) { return stream.next() > 0; });
}

TimeUs Session::resend_at() const {
  return std::min(senders_[0].resend_at(), senders_[1].resend_at());
}

void Session::end() {
  const bool pause_received = false;
  *this = Session(envelope_, pause_received);
  ended_ = true;
}

}  // namespace ft
