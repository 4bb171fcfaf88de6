"""One run of one variant: devices start, train, are struck by the experiment's events, and end.

The outcome is a trace of plain values (it goes into --json as it is). All times are seconds since
the first `reconfigured` of central arrived, by a clock outside of ftrun:
  variant, round, ended    "finished" or "seconds"
  batches                  [time, batch, replayed]
  events                   [time, event] of all others
  struck                   [time, index of the group of events, newest batch then]
  usage                    [time, {device: (CPU seconds, those of its busiest thread)}, CPU seconds
                           of the whole machine], every quarter of a second
  memory                   {device: peak MiB}
"""

import signal
import time

import lab_machine
from lab_devices import Devices, Failure
from lab_experiment import groups

TURN_S = 0.02
SAMPLE_S = 0.25
JOIN_S = 120.0  # a slow device measures the model first
BEGIN_S = 120.0
STILL_S = 120.0  # without an event of central's
END_S = 20.0
NEVER = 10 ** 9  # batches


class Run:
    def __init__(self, bench, variant, directory):
        self.bench = bench
        self.experiment = bench.experiment
        self.variant = variant
        self.devices = Devices(bench, directory)
        self.central_name = variant.order[0]
        self.speeds = {name: device.speed for name, device in self.experiment.devices.items()}
        self.groups = groups(self.experiment.events)
        self.gone = set()  # those that the experiment itself has ended
        self.seen = 0  # events of central
        self.newest = -1
        self.trace = {"variant": variant.name, "batches": [], "events": [], "struck": [],
                      "usage": [], "memory": {}}

    def words(self, name):
        """Options of a device, whatever its role."""
        device = self.experiment.devices[name]
        memory = ["--memory", device.memory] if device.memory else []
        return ["--name", name, "--threads", self.experiment.threads, *memory, *device.options,
                *self.bench.network.listen_words(name, name == self.central_name)]

    def start_central(self):
        starting = [name for name in self.variant.order[1:] if self.experiment.devices[name].starts]
        return self.devices.start(
            self.central_name, self.speeds[self.central_name],
            [*self.bench.training_words(), "--role", "central", "--workers", len(starting),
             "--batches", self.variant.batches or NEVER, "--run-dir", "run", "--progress", "json",
             *self.words(self.central_name), *self.experiment.options,
             *self.variant.options]), starting

    def start_stage(self, name):
        central = self.bench.network.central_endpoint(self.central_name)
        return self.devices.start(name, self.speeds[name],
                                  ["--role", "stage", "--central", central, *self.words(name)])

    def begin(self):
        """Stages join one after the other: their order is part of the experiment."""
        what = f"variant {self.variant.name}"
        self.central, starting = self.start_central()
        self.devices.wait(self.central_name, "started", what, BEGIN_S)
        for name in starting:
            self.start_stage(name)
            self.devices.wait(self.central_name, "device_joined", f"{what}, {name} joins", JOIN_S,
                              lambda event, name=name: event["name"] == name)
        first = self.devices.wait(self.central_name, "reconfigured", what, BEGIN_S)
        self.began = self.central.times[self.central.events.index(first)]

    def read(self):
        """What central has said since."""
        while self.seen < len(self.central.events):
            event = self.central.events[self.seen]
            at = self.central.times[self.seen] - self.began
            self.seen += 1
            if event["event"] == "batch":
                self.newest = max(self.newest, event["batch"])
                self.trace["batches"].append([at, event["batch"], event.get("replayed", False)])
            else:
                self.trace["events"].append([at, event])

    def is_due(self, moment, now):
        batch, seconds = moment
        return self.newest >= batch if batch is not None else now >= seconds

    def strike(self, now):
        index = len(self.trace["struck"])
        while index < len(self.groups) and self.is_due(self.groups[index][0], now):
            self.trace["struck"].append([now, index, self.newest])
            for event in self.groups[index][1]:
                self.act(event)
            index += 1

    def act(self, event):
        name = event.device
        if event.do == "speed":
            self.speeds[name] = event.speed
            if name in self.devices.processes:
                self.bench.throttle.set_share(name, self.experiment.duty * event.speed)
            return
        if event.do == "join":
            self.gone.discard(name)
            self.start_stage(name)
            return
        number = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "continue": signal.SIGCONT,
                  "leave": signal.SIGTERM}[event.do]
        if event.do in ("kill", "leave"):
            self.gone.add(name)
        if self.devices.is_running(name):
            self.devices.processes[name].send(number)

    def sample(self, now):
        self.trace["usage"].append([now, self.devices.usage(),
                                    lab_machine.busy_seconds()])
        for name, mib in self.devices.memory().items():
            self.trace["memory"][name] = max(mib, self.trace["memory"].get(name, 0))

    def look_at_stages(self):
        for name, each in self.devices.processes.items():
            if name in self.gone or name == self.central_name:
                continue
            code = each.popen.poll()
            if code is not None and (code != 0 or not self.is_ending()):
                raise Failure(f"variant {self.variant.name}: {name} ended by itself with exit code "
                              f"{code}\n{self.devices.tails()}")

    def is_ending(self):
        """Stages end a little earlier than central."""
        deadline = time.monotonic() + END_S
        while self.central.popen.poll() is None and time.monotonic() < deadline:
            time.sleep(TURN_S)
        return self.central.popen.poll() == 0

    def watch(self):
        """Until the run has ended. Returns how."""
        sampled = last = -STILL_S
        seen = -1
        while True:
            now = time.monotonic() - self.began
            closed = self.central.popen.poll() is not None and not self.central.open
            self.read()
            if self.seen != seen:
                seen, last = self.seen, now
            if now - sampled >= SAMPLE_S and not closed:
                self.sample(now)
                sampled = now
            if closed:
                return self.ended()
            if self.variant.seconds and now >= self.variant.seconds:
                return "seconds"
            if now - last > STILL_S:
                raise Failure(f"variant {self.variant.name}: central has been silent for "
                              f"{STILL_S:g} s, after batch {self.newest}\n{self.devices.tails()}")
            self.strike(now)
            self.look_at_stages()
            with self.central.news:
                if self.seen == len(self.central.events):
                    self.central.news.wait(TURN_S)

    def ended(self):
        if self.central.end(END_S) != 0 or not self.central.all("finished"):
            raise Failure(f"variant {self.variant.name}: central ended with exit code "
                          f"{self.central.popen.poll()}\n{self.devices.tails()}")
        return "finished"

    def measure(self, round_index):
        """The trace. Errors: Failure."""
        try:
            self.begin()
            self.trace["round"] = round_index
            self.trace["ended"] = self.watch()
            missed = [each.text() for _, group in self.groups[len(self.trace["struck"]):]
                      for each in group]
            if missed:
                raise Failure(f"variant {self.variant.name}: ended after batch {self.newest} "
                              f"before {'; '.join(missed)}: give it more batches or seconds")
            return self.trace
        finally:
            self.devices.close()
