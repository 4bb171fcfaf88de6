"""An experiment: the devices, their links, what befalls them, the variants and the checks.

Plain values; lab_file.py makes them from a file, and README.md tells what each key means.
"""

import dataclasses
import itertools


class Refusal(Exception):
    """The experiment cannot be run: what, why, and what helps."""


@dataclasses.dataclass(frozen=True)
class Device:
    name: str
    speed: float = 1.0
    memory: str = ""
    rate: float = 0  # bytes/s of its access link, each way; 0: unlimited
    latency_s: float = 0
    starts: bool = True
    options: tuple = ()


@dataclasses.dataclass(frozen=True)
class Link:
    """A wire of its own between two devices, instead of their access links."""
    between: tuple
    rate: float = 0
    latency_s: float = 0


@dataclasses.dataclass(frozen=True)
class Event:
    device: str
    do: str
    at_batch: int | None = None
    at_seconds: float | None = None
    speed: float | None = None

    def text(self):
        what = f"{self.device}: {self.do}" + (f" {self.speed:g}" if self.do == "speed" else "")
        when = f"batch {self.at_batch}" if self.at_batch is not None else f"{self.at_seconds:g} s"
        return f"{what} at {when}"


@dataclasses.dataclass(frozen=True)
class Variant:
    name: str
    group: str  # the name in the file; `name` has the order as well when there are several
    order: tuple
    options: tuple = ()
    batches: int | None = None
    seconds: float | None = None
    measure: tuple | None = None  # first and last batch


@dataclasses.dataclass(frozen=True)
class Experiment:
    name: str
    model: str
    data: str
    batch_size: int
    schedule: str
    threads: int
    options: tuple
    duty: float
    rounds: int
    warm_up: int
    solo: str
    devices: dict
    links: tuple
    events: tuple
    variants: tuple
    checks: tuple

    @property
    def is_shaped(self):
        """Some link has a rate or a latency."""
        return any(each.rate or each.latency_s for each in (*self.devices.values(), *self.links))

    @property
    def changes_speed(self):
        return any(event.do == "speed" for event in self.events)

    def states(self):
        """The speeds of the devices that take part, after the first n groups of events, for all n:
        one state for each phase of a run."""
        now = {name: device.speed for name, device in self.devices.items() if device.starts}
        speeds = {name: device.speed for name, device in self.devices.items()}
        states = [now]
        for _, group in groups(self.events):
            now = dict(now)
            for event in group:
                if event.do == "speed":
                    speeds[event.device] = event.speed
                if event.do in ("kill", "leave", "stop"):
                    now.pop(event.device, None)
                elif event.do in ("join", "continue") or event.device in now:
                    now[event.device] = speeds[event.device]
            states.append(now)
        return states


def groups(events):
    """Events that strike at the same moment, together: [(moment, events)] in the file's order."""
    return [(moment, list(group)) for moment, group in
            itertools.groupby(events, lambda event: (event.at_batch, event.at_seconds))]
