#include "runtime/pipeline/training_difference.h"

#include <charconv>

#include "runtime/base/status.h"

namespace ft {
namespace {

std::string same_cuts(net::Training training) {
  training.clear_replicate_every();
  training.clear_global_every();
  return training.SerializeAsString();
}

}  // namespace

std::string number_text(float number) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), number);
  return error == std::errc() ? std::string(text, end) : "?";
}

std::string training_difference(const net::Training& held, const net::Training& asked) {
  if (same_cuts(held) == same_cuts(asked)) return "";
  std::string all;
  const auto compare = [&all](const char* option, const std::string& has, const std::string& want) {
    if (has == want) return;
    all += format("%s%s (%s, not %s)", all.empty() ? "" : ", ", option, has.c_str(), want.c_str());
  };
  const auto count = [&compare](const char* option, auto has, auto want) {
    compare(option, std::to_string(has), std::to_string(want));
  };
  const auto number = [&compare](const char* option, float has, float want) {
    compare(option, number_text(has), number_text(want));
  };
  const auto on_off = [](bool value) { return value ? "on" : "off"; };
  const auto schedule = [](const net::Training& t) {
    return t.schedule() == net::kSync ? "sync" : "async";
  };
  const auto loss = [](const net::Training& t) {
    return t.loss() == net::kCrossEntropy ? "cross-entropy" : "mse";
  };
  compare("--data", held.data(), asked.data());
  compare("--shuffle", on_off(held.shuffle()), on_off(asked.shuffle()));
  compare("--schedule", schedule(held), schedule(asked));
  if (held.schedule() == asked.schedule()) {
    count("--micro-batches", held.micro_batches(), asked.micro_batches());
  }
  count("--aggregate-every", held.aggregate_every(), asked.aggregate_every());
  count("--batch-size", held.batch_size(), asked.batch_size());
  count("--batches", held.batches(), asked.batches());
  count("--seed", held.seed(), asked.seed());
  compare("--loss", loss(held), loss(asked));
  const auto names = [&compare](const char* option, const auto& has, const auto& want) {
    const auto text = [](const auto& list) {
      std::string joined;
      for (const std::string& name : list) joined += (joined.empty() ? "" : ",") + name;
      return joined.empty() ? std::string("nothing") : joined;
    };
    compare(option, text(has), text(want));
  };
  names("--freeze", held.freeze(), asked.freeze());
  names("--train", held.train(), asked.train());
  names("--tie", held.tie(), asked.tie());
  names("--untie", held.untie(), asked.untie());
  const net::Optimizer& a = held.optimizer();
  const net::Optimizer& b = asked.optimizer();
  number("--lr", a.learning_rate(), b.learning_rate());
  number("--momentum", a.momentum(), b.momentum());
  number("--weight-decay", a.weight_decay(), b.weight_decay());
  compare("--nesterov", on_off(a.nesterov()), on_off(b.nesterov()));
  return all.empty() ? "--data (other samples of that name)" : all;
}

}  // namespace ft
