#include "net/link.h"

#include <algorithm>
#include <utility>

namespace ft {
namespace {

constexpr size_t kUnsequencedMax = 16;
constexpr double kRoundTripUs = 50'000;  // of a link that nothing is known of: a poor radio link
constexpr Channel kChannels[] = {Channel::kControl, Channel::kBulk};

}  // namespace

Status Link::connect(Sockets* sockets, PeerId self, const std::string& control_endpoint,
                     const std::string& bulk_endpoint, const PublicKey& key) {
  if (endpoints_[0] == control_endpoint && endpoints_[1] == bulk_endpoint && key_ == key) {
    return Status();
  }
  FT_ASSIGN_OR_RETURN(auto control,
                      sockets->connect({OutboxKind::kControl, self, peer_, control_endpoint, key}));
  FT_ASSIGN_OR_RETURN(auto bulk,
                      sockets->connect({OutboxKind::kBulk, self, peer_, bulk_endpoint, key}));
  endpoints_[0] = control_endpoint;
  endpoints_[1] = bulk_endpoint;
  key_ = key;
  outboxes_[0] = std::move(control);
  outboxes_[1] = std::move(bulk);
  is_down_ = false;
  return Status();
}

void Link::begin(Session session, const Envelope& envelope) {
  session_ = std::move(session);
  meter_.forget_burst();
  heard_sent_us_ = 0;  // may be the clock of an earlier process
  set_floor();
  pump_acks(envelope);
}

int64_t Link::bytes_in_flight() const {
  return session_.sender(Channel::kControl).bytes_in_flight() +
         session_.sender(Channel::kBulk).bytes_in_flight();
}

bool Link::acknowledged(Channel channel, uint64_t next, TimeUs now) {
  const int64_t before = bytes_in_flight();
  if (!session_.sender(channel).acknowledge(next, now)) return false;
  const int64_t after = bytes_in_flight();
  if (after < before) meter_.acknowledged(before - after, after == 0, now);
  set_floor();
  return true;
}

// What the link carries in the time that an urgent transfer may wait, and while an acknowledgement
// is on its way. Nothing small may have told how long that is; guessed too short, the window and
// with it the rate would shrink each other.
void Link::set_floor() {
  const double bytes_per_us = meter_.bytes_per_us();
  if (bytes_per_us <= 0) return;
  const double known_us = meter_.round_trip_us();
  const double us = static_cast<double>(kDelayTargetUs) + (known_us > 0 ? known_us : kRoundTripUs);
  const double bytes = std::min(us * bytes_per_us, static_cast<double>(kWindowBytesFirst));
  session_.sender(Channel::kBulk).set_floor(static_cast<int64_t>(bytes));
}

bool Link::hand_over(Channel channel, const Frame& frame) {
  if (!outbox(channel).send(frame)) return false;
  traffic_->count_sent(frame);
  return true;
}

void Link::send_unsequenced(const net::Control& message) {
  Frame frame{encode_control(message)};
  if (hand_over(Channel::kControl, frame)) return;
  if (unsequenced_.size() >= kUnsequencedMax) unsequenced_.pop_front();
  unsequenced_.push_back(std::move(frame));
}

void Link::send_heartbeat(net::Control message, TimeUs now) {
  net::Heartbeat* heartbeat = message.mutable_heartbeat();
  heartbeat->set_sent_us(bytes_in_flight() == 0 ? now : 0);
  heartbeat->set_echo_us(heard_sent_us_);
  heartbeat->set_echo_age_us(now - heard_at_);
  heartbeat_ = Frame{encode_control(message)};
  hand_over(Channel::kControl, heartbeat_);
}

void Link::heard(const net::Heartbeat& heartbeat, TimeUs now) {
  if (heartbeat.sent_us() > 0) {
    heard_sent_us_ = heartbeat.sent_us();
    heard_at_ = now;
  }
  if (heartbeat.echo_us() == 0 || heartbeat.echo_us() > now) return;
  const TimeUs round_trip = now - heartbeat.echo_us() - heartbeat.echo_age_us();
  if (round_trip > 0) meter_.round_trip(round_trip);
}

void Link::pump_acks(const Envelope& envelope) {
  if (session_.is_ended()) return;
  for (const Channel channel : kChannels) {
    ReceiveStream& stream = session_.receiver(channel);
    if (!stream.is_ack_wanted()) continue;
    net::Control message;
    message.mutable_ack()->set_channel(static_cast<int32_t>(channel));
    message.mutable_ack()->set_next(stream.next());
    stamp(envelope, &message);
    if (!hand_over(Channel::kControl, Frame{encode_control(message)})) return;
    stream.ack_sent();
  }
}

void Link::pump(TimeUs now) {
  while (!unsequenced_.empty() && hand_over(Channel::kControl, unsequenced_.front())) {
    unsequenced_.pop_front();
  }
  for (const Channel channel : kChannels) {
    if (!outbox(channel).is_connected()) continue;
    SendStream& stream = session_.sender(channel);
    stream.resend_overdue(now);
    for (;;) {
      const Frame* frame = session_.next(channel);
      if (frame == nullptr || !hand_over(channel, *frame)) break;
      if (bytes_in_flight() == 0) meter_.began(now);
      if (!stream.sent(now)) continue;
      ++traffic_->resent_frames;
      meter_.forget_burst();
    }
  }
}

bool Link::take_changes() {
  const bool was_down = is_down_;
  for (const Channel channel : kChannels) {
    const Outbox::Changes changes = outbox(channel).take_changes();
    if (changes.disconnected) is_down_ = true;
    if (!changes.connected) continue;
    session_.sender(channel).rewind();
    meter_.forget_burst();
    if (channel != Channel::kControl) continue;
    // Acknowledgements leave through the control outbox and may be lost with its connection.
    session_.receiver(Channel::kControl).want_ack();
    session_.receiver(Channel::kBulk).want_ack();
    if (!heartbeat_.head.empty()) hand_over(Channel::kControl, heartbeat_);
  }
  const bool went_down = is_down_ && !was_down;
  if (outbox(Channel::kControl).is_connected() && outbox(Channel::kBulk).is_connected()) {
    is_down_ = false;
  }
  return went_down;
}

}  // namespace ft
