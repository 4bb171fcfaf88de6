"""What a trace says: the phases of a run, from one moment with events to the next, and for each its
steady throughput, how that was reached, and what the planner had predicted.

Steady: from the last reconfiguration in the first half of the phase's batches and `warm_up` batches
on, to the phase's end; of a run that ended by itself, without the batches that empty the pipeline.
Only new batches count, so one that is trained again after a failure is time lost.
"""

import dataclasses

from lab_experiment import groups

INTERVALS_MIN = 10
RECOVERED = 0.9  # of the new steady throughput
RECOVERY_BATCHES = 10  # over which throughput is told after an event


@dataclasses.dataclass
class Phase:
    label: str
    begin_s: float
    end_s: float
    batches: list  # [time, batch], new ones
    reconfigured: list  # [time, event]
    steady: float | None = None  # images/s
    whole: float | None = None
    window: tuple | None = None  # first and last batch of `steady`
    ideal: float | None = None
    busy: dict | None = None  # device -> part of its share that it used
    outside: dict | None = None  # device -> part of what it used outside its busiest thread
    foreign_cores: float | None = None
    predicted: float | None = None
    ranges: list | None = None
    recovery_batches: int | None = None
    recovery_seconds: float | None = None

    @property
    def fraction(self):
        return self.steady / self.ideal if self.steady and self.ideal else None

    @property
    def predicted_ratio(self):
        return self.predicted / self.steady if self.predicted and self.steady else None


def new_batches(trace):
    newest = -1
    for at, batch, _ in trace["batches"]:
        if batch > newest:
            newest = batch
            yield [at, batch]


def split(trace, experiment):
    """The phases, with nothing but what happened in them."""
    labels = ["start"] + ["; ".join(event.text() for event in group)
                          for _, group in groups(experiment.events)]
    batches = list(new_batches(trace))
    last_s = batches[-1][0] if batches else 0.0
    begins = [0.0] + [at for at, _, _ in trace["struck"]]
    ends = begins[1:] + [max(last_s, begins[-1])]
    phases = []
    for label, begin, end in zip(labels, begins, ends):
        reconfigured = [[at, event] for at, event in trace["events"]
                        if event["event"] == "reconfigured" and begin <= at <= end]
        inside = [each for each in batches if begin < each[0] <= end]
        phases.append(Phase(label, begin, end, inside, reconfigured))
    return phases


def throughput(batches, batch_size):
    """Images/s from the first to the last; None when there are too few."""
    if len(batches) < 2 or batches[-1][0] <= batches[0][0]:
        return None
    return (batches[-1][1] - batches[0][1]) * batch_size / (batches[-1][0] - batches[0][0])


def steady_batches(phase, warm_up, drained, measure):
    """Those that count. `drained`: how many at the end empty the pipeline."""
    batches = phase.batches[:len(phase.batches) - drained]
    if measure:
        return [each for each in batches if measure[0] <= each[1] <= measure[1]]
    half_s = batches[len(batches) // 2][0] if batches else 0
    first_s = max((at for at, _ in phase.reconfigured if at <= half_s), default=phase.begin_s)
    return [each for each in batches if each[0] >= first_s][warm_up:]


def between(usage, begin, end):
    """The first and the last sample within that window: a device that ended later is in both."""
    inside = [each for each in usage if begin <= each[0] <= end]
    return (inside[0], inside[-1]) if len(inside) > 1 else (None, None)


def measure_busy(phase, trace, state, duty, begin, end):
    first, last = between(trace["usage"], begin, end)
    if first is None:
        return
    seconds = last[0] - first[0]
    used, compute = [{name: last[1][name][which] - first[1][name][which] for name in first[1]
                      if name in last[1] and name in state} for which in (0, 1)]
    phase.busy = {name: used[name] / (seconds * duty * state[name]) for name in used}
    phase.outside = {name: 1 - compute[name] / used[name] for name in used if used[name]}
    phase.foreign_cores = max(0.0, (last[2] - first[2] - sum(used.values())) / seconds)


def measure_recovery(phase, batch_size):
    """From the event to the first batch from which on throughput is back."""
    for index in range(len(phase.batches) - RECOVERY_BATCHES):
        rate = throughput(phase.batches[index:index + RECOVERY_BATCHES + 1], batch_size)
        if rate and rate >= RECOVERED * phase.steady:
            phase.recovery_batches = index
            phase.recovery_seconds = phase.batches[index][0] - phase.begin_s
            return


def analyse(trace, experiment, variant, solo):
    """The phases of that run. `solo`: for each phase the images/s of its devices, or None."""
    phases = split(trace, experiment)
    ranges = predicted = None
    for index, (phase, state) in enumerate(zip(phases, experiment.states())):
        for _, event in phase.reconfigured:
            ranges = event["ranges"]
            predicted = event.get("predicted_images_per_second")
        phase.ranges, phase.predicted = ranges, predicted
        phase.whole = throughput([[phase.begin_s, phase.batches[0][1] - 1], *phase.batches]
                                 if phase.batches else [], experiment.batch_size)
        phase.ideal = sum(solo[index].values()) if solo else None
        drained = len(experiment.devices)
        drained *= index == len(phases) - 1 and trace["ended"] == "finished"
        counted = steady_batches(phase, experiment.warm_up, drained, variant.measure)
        if len(counted) <= INTERVALS_MIN:
            continue
        phase.steady = throughput(counted, experiment.batch_size)
        phase.window = (counted[0][1], counted[-1][1])
        measure_busy(phase, trace, state, experiment.duty, counted[0][0], counted[-1][0])
        if index > 0:
            measure_recovery(phase, experiment.batch_size)
    return phases
