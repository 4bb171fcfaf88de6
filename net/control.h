#pragma once

// Control codec: net::Control to bytes and back. What comes out of decode_control() is bounded and
// consistent in itself, so that the state machines only ask whether it fits their situation.
//
// Hello and Refuse keep their layout in every protocol version: a node of another version can be
// told so. They are the only messages that decode with a foreign `protocol`; the receiver compares.

#include <cstddef>
#include <span>
#include <string>

#include "net/bulk.h"
#include "net/message.pb.h"
#include "net/peer_id.h"
#include "runtime/base/clock.h"
#include "runtime/base/status.h"

namespace ft {

// An inventory of 32,768 snapshots with its record takes half of it; parsing a hostile frame of
// this size allocates some 50 MB for a moment.
constexpr size_t kControlBytesMax = size_t{1} << 20;
constexpr int kDevicesMax = 64;
constexpr int kLayersMax = 4096;
constexpr int kSnapshotsMax = 8 * kLayersMax;  // in one inventory
constexpr int kRecordEntriesMax = 16384;
constexpr int kMicroBatchesMax = 4096;
constexpr int64_t kBatchSizeMax = 1 << 20;
constexpr int64_t kMeasureUsMax = 60 * kSecondUs;
constexpr float kTimeUsMax = 1e12F;  // of what a stage measures: eleven days
constexpr float kTimesMax = 1e6F;    // how many times slower a device may become
constexpr size_t kNameBytesMax = 128;
constexpr size_t kDataSpecBytesMax = 4096;
constexpr size_t kRoleChoicesMax = 64;  // of --freeze, likewise of --train, --tie, --untie
constexpr size_t kRoleChoiceBytesMax = 512;
constexpr size_t kEndpointBytesMax = 256;
constexpr size_t kNumericsBytesMax = 512;
constexpr size_t kReasonBytesMax = 4096;

// What every message carries, control or bulk.
struct Envelope {
  RunId run{};  // all zero: not known yet
  uint64_t term = 0;
  PeerId self = 0;
};

// Fills in protocol, run, term and sender. Reasons, which may quote anything, become what
// decode_control() accepts: ASCII in one line, cut to kReasonBytesMax.
void stamp(const Envelope& envelope, net::Control* message);

// The message's run; all zero when it has none.
RunId run_of(const net::Control& message);

// Hello, Refuse, Discard, Heartbeat and Ack are not sequenced.
bool is_sequenced(const net::Control& message);

// REQUIRES: at most kControlBytesMax when encoded.
std::string encode_control(const net::Control& message);

// Errors: kRefused, saying what is wrong with it. Never allocates more than a small multiple of the
// frame's size.
Result<net::Control> decode_control(std::span<const std::byte> frame);

}  // namespace ft
