#pragma once

// What the command line's words must satisfy, alone and together, before they are Options.

#include <string>
#include <vector>

#include "runtime/node/options.h"

namespace ft {

// What CLI11 fills as text before it is checked.
struct OptionTexts {
  std::string role = "solo";
  std::string schedule = "async";
  std::string shuffle = "on";
  std::string optimizer = "sgd";
  std::string lr_schedule = "constant";
  std::string wire = "fp32";
  std::string loss = "cross-entropy";
  std::string failure_timeout = "1s";
  std::string heartbeat = "250ms";
  std::string progress = "auto";
  std::string replicate_every = "50";
  std::vector<std::string> slowdowns;
  std::string memory;
  std::string bench_recovery = "ftrun";
};

// Fills what `texts` say into `options` and checks the values, each by itself and with the others.
// Errors: kInvalid, naming the option, the cause and the remedy.
Status check_values(const OptionTexts& texts, Options* options);

// What a training command needs: a model, data, a run to resume. Errors: kInvalid.
Status check_train(Options* options);

// dynamic, even, or fixed:, whatever cuts follow.
bool is_partition(const std::string& text);

// A file can be written at that path; better known now than after hours of training. Errors:
// kInvalid, naming the option.
Status check_output(const char* option, const std::string& path);

// One factor for everybody, or one for each stage of `local`. Errors: kInvalid.
Status check_slowdowns(const Options& options);

// The name, cleaned for terminals, and the endpoint to listen on, where none is given.
void set_defaults(Options* options);

}  // namespace ft
