#pragma once

// Plant: a known bug, planted between the machines and their surroundings, where it alters events,
// messages, tasks or the disk. The simulator must find each (plants.cpp has them all). This one
// changes nothing.

#include "net/bulk.h"
#include "net/frame.h"
#include "runtime/pipeline/central.h"
#include "runtime/pipeline/stage.h"

namespace ft::sim {

class Process;
class SimNetwork;

class Plant {
 public:
  virtual ~Plant() = default;
  // A process is about to start; `before` is the incarnation that its predecessor had, or 0.
  virtual PeerId incarnation(PeerId drawn, PeerId /*before*/) { return drawn; }
  virtual void on_resume(CentralOptions* /*central*/, StageOptions* /*own*/) {}
  // What the machines send out into their process.
  virtual void on_task(Process& /*process*/, Task* /*task*/) {}
  virtual void on_load(Load* /*load*/) {}
  // What comes back. `term` is the newest that the process has heard of.
  virtual void on_result(uint64_t /*term*/, uint64_t* /*result_term*/) {}
  // Messages that arrive at a process: how often each is delivered.
  virtual int on_control(Process& /*process*/, PeerId /*from*/, net::Control* /*message*/) {
    return 1;
  }
  virtual int on_bulk(Process& /*process*/, PeerId /*from*/, BulkHeader* /*header*/,
                      const BufferPtr& /*bytes*/) {
    return 1;
  }
  virtual void on_expected(Process& /*process*/, BulkHeader* /*header*/) {}
  virtual void on_frame(uint64_t /*term*/, Frame* /*frame*/) {}
  // After each thing that a process has done.
  virtual void on_settled(Process& /*process*/) {}
  // The disk.
  virtual bool acknowledges_unsynced_journal() const { return false; }
  virtual bool acknowledges_unsynced_checkpoint() const { return false; }
  virtual bool writes_checkpoint_in_place() const { return false; }
};

}  // namespace ft::sim
