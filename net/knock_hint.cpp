#include "net/knock_hint.h"

namespace ft {
namespace {

// A central that starts or ends closes connections, too.
constexpr TimeUs kPatienceUs = 3 * kSecondUs;

std::string text(Refusal refusal, const char* endpoint, const TransportKeys* keys,
                 const std::string& name) {
  if (refusal == Refusal::kMechanism && keys == nullptr) {
    return format(
        "central at %s uses keys and this device does not: give it central's key with "
        "--central-key (ftrun keygen prints it there)",
        endpoint);
  }
  if (refusal == Refusal::kMechanism) {
    return format(
        "central at %s does not use keys, this device does: start central with keys, or "
        "both without",
        endpoint);
  }
  if (keys == nullptr) return "";
  const PublicKey& own = keys->own.public_key;
  if (refusal == Refusal::kKey) {
    return format(
        "central at %s does not allow this device's key, %s; to allow it, there: ftrun "
        "keygen --allow %s=%s",
        endpoint, fingerprint(own).c_str(), name.c_str(), key_text(own).c_str());
  }
  return format(
      "central at %s does not prove to have the key %s: compare this fingerprint with "
      "what ftrun keygen shows there, and correct --central-key",
      endpoint, fingerprint(keys->central).c_str());
}

}  // namespace

std::string KnockHint::of(const Outbox::Changes& changes, const std::string& endpoint,
                          const TransportKeys* keys, const std::string& name, TimeUs now) {
  if (changes.connected) {
    told_.clear();
    closed_since_ = -1;
  }
  if (changes.refusal == Refusal::kNone || told_.contains(changes.refusal)) return "";
  if (changes.refusal == Refusal::kClosed) {
    if (closed_since_ < 0) closed_since_ = now;
    if (now < closed_since_ + kPatienceUs) return "";
  }
  told_.insert(changes.refusal);
  return text(changes.refusal, endpoint.c_str(), keys, name);
}

}  // namespace ft
