"""What each device does alone: the same model and batch on `--role solo`, under its own throttle.

The sum over the devices is the ideal that a pipeline is measured against. By default all devices of
a state (see Experiment.states) are measured at the same time: they then meet the same contention
for memory and caches, which real devices would not have, as in the pipeline.
"""

import time

from lab_devices import Devices, Failure

SKIPPED = 2  # the first batches: memory is new, caches are cold
SECONDS_MIN = 5.0
INTERVALS_MIN = 5
INTERVALS_MAX = 30
LONGEST_S = 300.0
TURN_S = 0.05
NEVER = 10 ** 9


def key_of(state):
    """Equal for states with equal devices."""
    return tuple(sorted(state.items()))


def progress(process):
    """(intervals between batches, seconds they took)."""
    at = [time_s for time_s, event in zip(process.times, process.events)
          if event["event"] == "batch"][SKIPPED:]
    return (len(at) - 1, at[-1] - at[0]) if len(at) > 1 else (0, 0.0)


def is_enough(process):
    intervals, seconds = progress(process)
    return (intervals >= INTERVALS_MIN and seconds >= SECONDS_MIN) or intervals >= INTERVALS_MAX


def measure_together(bench, state, directory):
    """Images/s of each device of `state` (device -> speed), all at once."""
    devices = Devices(bench, directory)
    try:
        for name, speed in state.items():
            devices.start(name, speed, [
                *bench.training_words(), "--role", "solo", "--threads", bench.experiment.threads,
                "--batches", NEVER, "--run-dir", f"run-{name}", "--progress", "json",
                *bench.experiment.options])
        deadline = time.monotonic() + LONGEST_S
        while not all(is_enough(each) for each in devices.processes.values()):
            ended = [name for name in state if not devices.is_running(name)]
            if ended or time.monotonic() > deadline:
                raise Failure(f"solo: {', '.join(ended) or 'the devices'} did not train "
                              f"{INTERVALS_MIN} batches within {LONGEST_S:g} s\n{devices.tails()}")
            time.sleep(TURN_S)
        figures = {}
        for name, each in devices.processes.items():
            intervals, seconds = progress(each)
            figures[name] = intervals * bench.experiment.batch_size / seconds
        return figures
    finally:
        devices.close()


def measure_apart(bench, state, directory, known):
    """One after the other; `known` holds speeds that were measured in this round."""
    for name, speed in state.items():
        if speed not in known:
            known[speed] = measure_together(bench, {name: speed}, directory)[name]
    return {name: known[speed] for name, speed in state.items()}


def measure(bench, directory):
    """For each phase of the experiment: images/s of each device that takes part. One round."""
    measured, known, figures = {}, {}, []
    for state in bench.experiment.states():
        key = key_of(state)
        if key not in measured and bench.experiment.solo == "together":
            measured[key] = measure_together(bench, state, directory)
        elif key not in measured:
            measured[key] = measure_apart(bench, state, directory, known)
        figures.append(measured[key])
    return figures
