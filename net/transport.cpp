#include "net/transport.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "net/admission.h"
#include "net/endpoint.h"
#include "net/knock.h"
#include "net/knock_hint.h"
#include "net/link.h"
#include "runtime/base/log.h"

namespace ft {
namespace {

constexpr size_t kPeersMax = kDevicesMax;
// Messages handled in one poll(). Control comes first in each, so that it waits behind at most 4
// MiB of bulk.
constexpr int kControlPerPoll = 256;
constexpr int kBulkPerPoll = 16;
constexpr int kInboxControlFrames = 2 * static_cast<int>(kWindowFrames);
constexpr int kInboxBulkFrames = static_cast<int>(kWindowFrames);
// A farewell (the last acknowledgement) may take that long to leave the machine.
constexpr TimeUs kFarewellUs = kSecondUs;

// The last Pause of a newer term that was delivered. A handler that does not follow it does not
// hear it again; one that does finds it counted in the term's stream.
struct DeliveredPause {
  PeerId from = 0;
  RunId run{};
  uint64_t term = 0;
  bool operator==(const DeliveredPause&) const = default;
};

// Returns false, leaving all zero, when these are no 32 bytes.
bool to_key(const std::string& bytes, PublicKey* key) {
  if (bytes.size() != key->size()) return false;
  std::copy(bytes.begin(), bytes.end(), key->begin());
  return true;
}

}  // namespace

struct Transport::Impl : Gate {
  std::unique_ptr<Sockets> sockets;  // outlives its boxes
  Envelope envelope;
  TrafficCounts traffic;
  std::unique_ptr<Inbox> inboxes[kChannelCount];
  std::string endpoints[kChannelCount];
  std::map<PeerId, Link> links;
  std::set<PeerId> ended;  // disconnected since this term began: not to be begun anew within it
  Knock hello{&traffic};
  Knock refusal{&traffic};
  DeliveredPause pause;
  std::optional<Guard> guard;
  KnockHint hint;
  std::string name;  // as our Hello says

  ~Impl() override;
  Link* find(PeerId peer);
  Session make_session(PeerId peer) const;
  void end(PeerId peer, Link* link);
  void pump_all();
  std::vector<Outbox*> outboxes() const;
  std::vector<PeerId> take_changes();
  TimeUs next_deadline() const;

  // Keys
  bool admits(const PublicKey& key, const std::string& address) override;
  void on_refused(const std::string& address, const std::string& reason) override;
  bool is_of(PeerId from, const ArrivedMessage& arrived);
  bool is_trusted(const ArrivedMessage& arrived, net::Control* message);

  // Receiving
  void drop(const char* what);
  void receive_control(const ArrivedMessage& arrived, TransportHandler* handler);
  void deliver_control(const net::Control& message, int64_t bytes, TransportHandler* handler);
  void raise(const net::Control& message, TransportHandler* handler);
  void acknowledged(const net::Control& message);
  void refuse_version(const net::Control& message);
  void refuse(const net::Control& hello, const std::string& reason);
  void receive_bulk(const ArrivedMessage& arrived, TransportHandler* handler);
};

// ---- Links ----

Transport::Impl::~Impl() {
  for (auto& [peer, link] : links) {
    Outbox& outbox = link.outbox(Channel::kControl);
    if (outbox.is_connected()) outbox.set_linger(kFarewellUs);
  }
}

Link* Transport::Impl::find(PeerId peer) {
  const auto found = links.find(peer);
  return found == links.end() ? nullptr : &found->second;
}

Session Transport::Impl::make_session(PeerId peer) const {
  const bool received = pause == DeliveredPause{peer, envelope.run, envelope.term};
  Session session(envelope, received);
  if (ended.contains(peer)) session.end();
  return session;
}

void Transport::Impl::end(PeerId peer, Link* link) {
  log_warning(
      "peer %016llx acknowledges nothing and too much waits for it: nothing more is sent "
      "to it in term %llu",
      static_cast<unsigned long long>(peer), static_cast<unsigned long long>(envelope.term));
  link->session().end();
  ended.insert(peer);
}

void Transport::Impl::pump_all() {
  const TimeUs now = sockets->now();
  for (auto& [peer, link] : links) {
    link.pump_acks(envelope);
    link.pump(now);
  }
  hello.pump();
  refusal.pump();
}

std::vector<Outbox*> Transport::Impl::outboxes() const {
  std::vector<Outbox*> all;
  for (const auto& [peer, link] : links) {
    all.push_back(&link.outbox(Channel::kControl));
    all.push_back(&link.outbox(Channel::kBulk));
  }
  for (const Knock* knock : {&hello, &refusal}) {
    if (knock->outbox() != nullptr) all.push_back(knock->outbox());
  }
  return all;
}

// What is new about the connections; returns the peers that are down since then.
std::vector<PeerId> Transport::Impl::take_changes() {
  std::vector<PeerId> lost;
  for (auto& [peer, link] : links) {
    if (link.take_changes()) lost.push_back(peer);
  }
  if (refusal.outbox() != nullptr) refusal.outbox()->take_changes();
  if (hello.outbox() != nullptr) {
    const Outbox::Changes changes = hello.outbox()->take_changes();
    const std::string why =
        hint.of(changes, hello.endpoint(), guard ? &guard->keys() : nullptr, name, sockets->now());
    if (!why.empty()) log_warning("%s", why.c_str());
  }
  return lost;
}

TimeUs Transport::Impl::next_deadline() const {
  TimeUs deadline = kNever;
  for (const auto& [peer, link] : links) {
    if (!link.is_down()) deadline = std::min(deadline, link.session().resend_at());
  }
  return deadline;
}

// ---- Keys ----

// The other members of the term: central has told their keys, and links to them are there.
bool Transport::Impl::admits(const PublicKey& key, const std::string& address) {
  const auto has_key = [&key](const auto& entry) { return entry.second.key() == key; };
  if (guard->admits(key) || std::any_of(links.begin(), links.end(), has_key)) return true;
  guard->refuse_unknown(key, address, sockets->now());
  return false;
}

void Transport::Impl::on_refused(const std::string& address, const std::string& reason) {
  guard->refused(PublicKey{}, address, reason, sockets->now());
}

// Whether the connection that brought this belongs to the device that it names.
bool Transport::Impl::is_of(PeerId from, const ArrivedMessage& arrived) {
  const Link* link = find(from);
  if (!guard || link == nullptr || link->key() == arrived.key) return true;
  guard->refused(arrived.key, "", "its messages name another device as their sender",
                 sockets->now());
  return false;
}

// The same, and whether its key may say this. A device that has its name wrong is told so.
bool Transport::Impl::is_trusted(const ArrivedMessage& arrived, net::Control* message) {
  const std::string proven = guard ? std::string(arrived.key.begin(), arrived.key.end()) : "";
  if (message->has_hello()) message->mutable_hello()->set_public_key(proven);
  if (message->has_pause()) message->mutable_pause()->set_public_key(proven);
  if (!guard) return true;
  if (!is_of(message->sender(), arrived)) return false;
  const std::string objection = guard->objection(*message, arrived.key);
  if (objection.empty()) return true;
  guard->refused(arrived.key, "", objection, sockets->now());
  if (message->has_hello()) refuse(*message, objection);
  return false;
}

// ---- Receiving ----

// A hostile or confused peer must not fill the log.
void Transport::Impl::drop(const char* what) {
  ++traffic.dropped_frames;
  if (std::has_single_bit(static_cast<uint64_t>(traffic.dropped_frames))) {
    log_debug("%lld frames dropped so far; the last: %s",
              static_cast<long long>(traffic.dropped_frames), what);
  }
}

void Transport::Impl::receive_control(const ArrivedMessage& arrived, TransportHandler* handler) {
  if (!arrived.is_well_formed || arrived.part_count != 1) return drop("not a control message");
  Result<net::Control> message = decode_control(arrived.parts[0]);
  if (!message.ok()) return drop(message.status().message().c_str());
  const PeerId from = message->sender();
  if (from != arrived.from || from == envelope.self) return drop("control: foreign sender");
  if (!is_trusted(arrived, &*message)) return drop("control: not with this key");
  if (arrived.to != envelope.self && !(arrived.to == 0 && message->has_hello())) {
    return drop("control: for another process");
  }
  if (message->has_hello() && message->protocol() != kProtocolVersion) {
    return refuse_version(*message);
  }
  const Verdict verdict = admit(envelope, *message);
  // Every change of term overtakes some acknowledgements; nothing is lost with them.
  if (message->has_ack() && verdict != Verdict::kDeliver) return;
  switch (verdict) {
    case Verdict::kDrop:
      return drop("control: of an older term or another run");
    case Verdict::kWait:
      return;
    case Verdict::kRaise:
      return raise(*message, handler);
    case Verdict::kStale:
      return handler->on_control(from, *message);
    case Verdict::kDeliver:
      break;
  }
  if (message->has_ack()) return acknowledged(*message);
  deliver_control(*message, static_cast<int64_t>(arrived.parts[0].size()), handler);
}

// The handler may connect, disconnect and change the term: nothing of ours is held across a call.
void Transport::Impl::deliver_control(const net::Control& message, int64_t bytes,
                                      TransportHandler* handler) {
  const PeerId from = message.sender();
  if (is_sequenced(message)) {
    if (ended.contains(from)) return drop("control: of a peer that was disconnected");
    Link* link = find(from);
    if (link == nullptr) {  // waits until we can acknowledge and answer
      if (message.has_pause()) handler->on_control(from, message);  // from another than our central
      return;
    }
    ReceiveStream& stream = link->session().receiver(Channel::kControl);
    const Arrival arrival = stream.accept(message.sequence(), bytes);
    if (stream.is_ack_due()) link->pump_acks(envelope);
    if (arrival != Arrival::kNext) return;
  }
  if (message.has_heartbeat()) {
    if (Link* link = find(from)) link->heard(message.heartbeat(), sockets->now());
  }
  handler->on_control(from, message);
}

void Transport::Impl::raise(const net::Control& message, TransportHandler* handler) {
  const DeliveredPause arrived{message.sender(), run_of(message), message.term()};
  if (message.sequence() != 0 || arrived == pause) return;
  pause = arrived;
  handler->on_control(message.sender(), message);
}

void Transport::Impl::acknowledged(const net::Control& message) {
  Link* link = find(message.sender());
  if (link == nullptr || link->session().is_ended()) return;
  const auto channel = static_cast<Channel>(message.ack().channel());
  const TimeUs now = sockets->now();
  if (!link->acknowledged(channel, message.ack().next(), now)) {
    return drop("acknowledgement of what was never sent");
  }
  link->pump(now);
}

// A node of another version understands a Refuse; nothing else is said to it.
void Transport::Impl::refuse_version(const net::Control& message) {
  drop("hello of another protocol version");
  refuse(message, format("it speaks protocol version %u, this is %u; update the older of the two",
                         message.protocol(), kProtocolVersion));
}

void Transport::Impl::refuse(const net::Control& message, const std::string& reason) {
  net::Control answer;
  answer.mutable_refuse()->set_reason(reason);
  stamp(envelope, &answer);
  OutboxOptions options{OutboxKind::kRefusal, envelope.self, message.sender(),
                        message.hello().control_endpoint()};
  to_key(message.hello().public_key(), &options.server);
  const Status sent = refusal.send(sockets.get(), options, answer);
  if (!sent.ok()) log_debug("%s", sent.message().c_str());
}

void Transport::Impl::receive_bulk(const ArrivedMessage& arrived, TransportHandler* handler) {
  if (!arrived.is_well_formed) return drop("not a bulk message");
  const std::span<const std::byte> chunk = arrived.parts[1];  // empty if there is none
  const Result<BulkHeader> header = decode_bulk_header(arrived.parts[0], chunk.size());
  if (!header.ok()) return drop(header.status().message().c_str());
  const PeerId from = header->sender;
  if (from != arrived.from || from == envelope.self) return drop("bulk: foreign sender");
  if (!is_of(from, arrived)) return drop("bulk: not with this key");
  if (arrived.to != envelope.self) return drop("bulk: for another process");
  const Verdict verdict = admit(envelope, *header);
  if (verdict == Verdict::kDrop) return drop("bulk: of an older term or another run");
  if (ended.contains(from)) return drop("bulk: of a peer that was disconnected");
  Link* link = find(from);
  if (verdict != Verdict::kDeliver || link == nullptr) return;  // waits

  ReceiveStream& stream = link->session().receiver(Channel::kBulk);
  const int64_t bytes = static_cast<int64_t>(kBulkHeaderBytes + chunk.size());
  const Arrival arrival = stream.accept(header->sequence, bytes);
  if (stream.is_ack_due()) link->pump_acks(envelope);
  if (arrival != Arrival::kNext) return;
  const Assembler::Outcome outcome = link->session().assembler().add(
      *header, chunk, [&] { return handler->expected_bytes(from, *header); });
  if (outcome == Assembler::Outcome::kRefused) return drop("bulk: a transfer that nobody expects");
  if (outcome == Assembler::Outcome::kComplete) {
    handler->on_bulk(from, *header, link->session().assembler().take());
  }
}

// ---- Transport ----

Transport::Transport(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Transport::~Transport() = default;

Result<std::unique_ptr<Transport>> Transport::create(const TransportOptions& options,
                                                     std::unique_ptr<Sockets> sockets) {
  FT_CHECK(options.self != 0);
  auto impl = std::make_unique<Impl>();
  impl->sockets = std::move(sockets);
  impl->envelope.self = options.self;
  if (options.keys) {
    impl->guard.emplace(*options.keys);
    impl->sockets->use_keys(options.keys->own, impl.get());
  }
  const InboxOptions control{options.listen, static_cast<int64_t>(kControlBytesMax),
                             kInboxControlFrames};
  FT_ASSIGN_OR_RETURN(impl->inboxes[0], impl->sockets->bind(control));
  const InboxOptions bulk{make_endpoint(host_of(options.listen), "*"), kChunkBytesMax,
                          kInboxBulkFrames};
  FT_ASSIGN_OR_RETURN(impl->inboxes[1], impl->sockets->bind(bulk));
  for (int i = 0; i < kChannelCount; ++i) {
    const std::string& bound = impl->inboxes[i]->endpoint();
    impl->endpoints[i] =
        options.advertise.empty() ? bound : make_endpoint(options.advertise, port_of(bound));
  }
  return std::unique_ptr<Transport>(new Transport(std::move(impl)));
}

const std::string& Transport::control_endpoint() const { return impl_->endpoints[0]; }
const std::string& Transport::bulk_endpoint() const { return impl_->endpoints[1]; }
const TrafficCounts& Transport::traffic() const { return impl_->traffic; }

Status Transport::connect(PeerId peer, const std::string& control_endpoint,
                          const std::string& bulk_endpoint, const std::string& public_key) {
  const PeerId self = impl_->envelope.self;
  if (peer == 0 || peer == self) {
    return invalid_error("%s: a peer that calls itself nobody, or us", control_endpoint.c_str());
  }
  PublicKey key{};
  if (impl_->guard && !to_key(public_key, &key)) {
    return invalid_error("%s: cannot connect: this peer's key is not known",
                         control_endpoint.c_str());
  }
  if (Link* link = impl_->find(peer)) {
    return link->connect(impl_->sockets.get(), self, control_endpoint, bulk_endpoint, key);
  }
  if (impl_->links.size() >= kPeersMax) {
    return invalid_error("%s: cannot connect: %zu peers are connected already",
                         control_endpoint.c_str(), kPeersMax);
  }
  Link link(peer, impl_->make_session(peer), &impl_->traffic);
  FT_RETURN_IF_ERROR(
      link.connect(impl_->sockets.get(), self, control_endpoint, bulk_endpoint, key));
  impl_->links.emplace(peer, std::move(link));
  return Status();
}

void Transport::disconnect(PeerId peer) {
  const Link* link = impl_->find(peer);
  if (link == nullptr) return;
  if (link->session().is_used()) impl_->ended.insert(peer);
  impl_->links.erase(peer);
}

Status Transport::send_hello(const std::string& endpoint, const net::Hello& hello) {
  net::Control message;
  *message.mutable_hello() = hello;
  stamp(impl_->envelope, &message);
  OutboxOptions options{OutboxKind::kHello, impl_->envelope.self, 0, endpoint};
  impl_->name = hello.name();
  if (impl_->guard) options.server = impl_->guard->keys().central;
  return impl_->hello.send(impl_->sockets.get(), options, message);
}

void Transport::set_term(const RunId& run, uint64_t term) {
  Envelope& envelope = impl_->envelope;
  if (run == envelope.run && term == envelope.term) return;
  FT_CHECK(run != envelope.run || term > envelope.term);
  envelope.run = run;
  envelope.term = term;
  impl_->ended.clear();
  for (auto& [peer, link] : impl_->links) link.begin(impl_->make_session(peer), envelope);
}

void Transport::send(PeerId to, net::Control message) {
  Link* link = impl_->find(to);
  if (link == nullptr) return;
  if (!is_sequenced(message)) {
    stamp(impl_->envelope, &message);
    if (message.has_heartbeat()) {
      link->send_heartbeat(std::move(message), impl_->sockets->now());
    } else {
      link->send_unsequenced(message);
    }
  } else if (!link->session().send(std::move(message))) {
    impl_->end(to, link);
  } else {
    link->pump(impl_->sockets->now());
  }
}

void Transport::send_bulk(PeerId to, const BulkName& name, ConstBufferPtr bytes,
                          Priority priority) {
  Link* link = impl_->find(to);
  if (link == nullptr) return;
  if (!link->session().send_bulk(name, std::move(bytes), priority)) {
    impl_->end(to, link);
  } else {
    link->pump(impl_->sockets->now());
  }
}

int64_t Transport::bulk_bytes_pending(PeerId peer) const {
  const Link* link = impl_->find(peer);
  return link == nullptr ? 0 : link->session().bulk_bytes_pending();
}

std::vector<LinkSpeed> Transport::link_speeds() const {
  std::vector<LinkSpeed> speeds;
  for (const auto& [peer, link] : impl_->links) {
    const LinkMeter& meter = link.meter();
    if (meter.bytes_per_us() == 0 && meter.round_trip_us() == 0) continue;
    speeds.push_back({peer, meter.bytes_per_us(), meter.round_trip_us()});
  }
  return speeds;
}

bool Transport::poll(TimeUs deadline, int wake_fd, TransportHandler* handler) {
  impl_->pump_all();
  Inbox* const inboxes[] = {impl_->inboxes[0].get(), impl_->inboxes[1].get()};
  const std::vector<Outbox*> outboxes = impl_->outboxes();
  const TimeUs until = std::min(deadline, impl_->next_deadline());
  const bool woken =
      impl_->sockets->wait(inboxes, outboxes, wake_fd, until - impl_->sockets->now());

  const std::vector<PeerId> lost = impl_->take_changes();
  if (impl_->guard) {
    for (const RefusedPeer& stranger : impl_->guard->take_strangers())
      handler->on_stranger(stranger);
  }
  ArrivedMessage arrived;
  for (int i = 0; i < kControlPerPoll && inboxes[0]->receive(&arrived); ++i) {
    impl_->receive_control(arrived, handler);
  }
  for (int i = 0; i < kBulkPerPoll && inboxes[1]->receive(&arrived); ++i) {
    impl_->receive_bulk(arrived, handler);
  }
  impl_->pump_all();
  for (const PeerId peer : lost) {
    const Link* link = impl_->find(peer);  // a callback may have disconnected it
    if (link != nullptr && link->is_down()) handler->on_disconnected(peer);
  }
  return woken;
}

void Transport::flush(TimeUs deadline, TransportHandler* handler) {
  const auto is_pending = [](const auto& entry) {
    const Link& link = entry.second;
    return !link.is_down() && link.is_pending();
  };
  while (impl_->sockets->now() < deadline &&
         std::any_of(impl_->links.begin(), impl_->links.end(), is_pending)) {
    poll(deadline, -1, handler);
  }
}

}  // namespace ft
