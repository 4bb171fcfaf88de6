#pragma once

// CpuMeasure as Measured and Inventory carry it.

#include "partition/speed.h"

namespace ft {

template <typename Message>
CpuMeasure cpu_of(const Message& message) {
  return {static_cast<double>(message.cpu_share()), static_cast<double>(message.pause_us()),
          static_cast<double>(message.byte_us())};
}

template <typename Message>
void tell_cpu(const CpuMeasure& cpu, Message* message) {
  message->set_cpu_share(static_cast<float>(cpu.share));
  message->set_pause_us(static_cast<float>(cpu.pause_us));
  message->set_byte_us(static_cast<float>(cpu.byte_us));
}

}  // namespace ft
