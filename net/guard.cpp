#include "net/guard.h"

#include <utility>

#include "runtime/base/log.h"

namespace ft {
namespace {

// Whoever makes up keys fills neither memory nor the screen.
constexpr size_t kSeenMax = 64;
constexpr int64_t kToldAgain = 8;
constexpr TimeUs kPatienceUs = 2 * kSecondUs;

}  // namespace

std::string text_of(const RefusedPeer& stranger) {
  std::string text = "refused a stranger";
  if (!stranger.address.empty()) text += " at " + stranger.address;
  if (stranger.key != PublicKey{}) text += ", key " + fingerprint(stranger.key);
  if (stranger.count > 1) text += format(" (%lld times)", static_cast<long long>(stranger.count));
  return text + ": " + stranger.reason;
}

bool Guard::admits(const PublicKey& key) {
  const Status read = keys_.devices.refresh();
  if (!read.ok()) {
    log_warning("%s; until then the list stays as it was", read.message().c_str());
  }
  return key == keys_.central || keys_.devices.name_of(key) != nullptr;
}

void Guard::refuse_unknown(const PublicKey& key, const std::string& address, TimeUs now) {
  if (!leads()) return refused(key, address, "its key is neither central's nor a member's", now);
  const std::string& path = keys_.devices.path();
  refused(key, address,
          format("its key is not in %s; if that device shows this fingerprint, too: "
                 "ftrun keygen --keys %s --allow NAME=%s",
                 path.c_str(), path.substr(0, path.rfind('/')).c_str(), key_text(key).c_str()),
          now);
}

std::string Guard::objection(const net::Control& message, const PublicKey& key) const {
  switch (message.body_case()) {
    case net::Control::kPause:
    case net::Control::kRefuse:
    case net::Control::kDiscard:
      return key == keys_.central ? "" : "it speaks as central, and its key is not central's";
    case net::Control::kHello:
      break;
    default:
      return "";
  }
  if (!leads()) return "it says Hello to a stage";
  if (key == keys_.central) return "";  // a stage beside central, under its user
  const std::string* name = keys_.devices.name_of(key);
  if (name == nullptr) return "its key is not in " + keys_.devices.path();
  if (*name == message.hello().name()) return "";
  return format("it calls itself %s, and its key belongs to %s: start it with --name %s",
                message.hello().name().c_str(), name->c_str(), name->c_str());
}

void Guard::refused(const PublicKey& key, const std::string& address, const std::string& reason,
                    TimeUs now) {
  ++refused_count_;
  auto place = std::make_pair(key, reason);
  if (seen_.size() >= kSeenMax && !seen_.contains(place)) place = {PublicKey{}, "one of many"};
  Seen& seen = seen_[place];
  if (seen.count++ == 0) seen.first = now;
  if (seen.count < kToldAgain * seen.told || (!leads() && now < seen.first + kPatienceUs)) return;
  seen.told = seen.count;
  strangers_.push_back({place.first, address, place.second, seen.count});
}

std::vector<RefusedPeer> Guard::take_strangers() { return std::exchange(strangers_, {}); }

}  // namespace ft
