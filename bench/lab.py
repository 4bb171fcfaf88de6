#!/usr/bin/python3
"""Runs an experiment on a handful of unequal devices, emulated on this machine.

Usage: bench/lab.py EXPERIMENT.toml [--mode quota|slowdown] [--rounds N] [--build build/release]
                    [--only VARIANT] [--favoured] [--json OUT]
The experiments are in bench/lab/, their format in bench/README.md. Each device is a process of
ftrun, the first one central. --mode quota (default, needs root) gives each a CPU quota of a control
group; --mode slowdown lets ftrun itself sleep after each task, and needs nothing. Links with a rate
are network namespaces (root). Each round measures every device alone and then every variant.
--favoured: other work on the machine yields to the devices (quota only). --json: all raw figures.
Exit code 0: all checks hold; 1: one does not; 2: the experiment cannot be run, or a run failed.
Needs Debian's python3-torch, python3-torchvision and python3-onnx for models given by name
(mobilenetv2, resnet18, squeezenet1_1, lenet), and a built preset.
"""

import argparse
import dataclasses
import json
import pathlib
import signal
import statistics
import subprocess
import sys

import bench_cluster
import lab_check
import lab_devices
import lab_experiment
import lab_file
import lab_machine
import lab_phases
import lab_solo
import lab_table
from lab_experiment import Refusal
from lab_run import Run


@dataclasses.dataclass
class Bench:
    """What all runs of an experiment share."""
    experiment: lab_experiment.Experiment
    binary: pathlib.Path
    model: pathlib.Path
    throttle: object
    network: object

    def training_words(self):
        one = self.experiment
        return [self.model, "--data", one.data, "--batch-size", one.batch_size, "--schedule",
                one.schedule]


def find_model(name, folder, scratch):
    """A path, as it is or beside the experiment; else one that is exported now."""
    for path in (pathlib.Path(name), folder / name, bench_cluster.ROOT / name):
        if path.is_file():
            return path.resolve()
    if name.endswith(".onnx"):
        raise Refusal(f"model {name}: no such file, here, in {folder} or in {bench_cluster.ROOT}")
    try:
        return bench_cluster.export_model(name, scratch)
    except (subprocess.CalledProcessError, StopIteration) as error:
        raise Refusal(f"model {name}: cannot be exported (apt install python3-torch "
                      "python3-torchvision python3-onnx; or give the path of an .onnx file)"
                      ) from error


def measure(bench, scratch):
    """All rounds. Odd ones in reverse order: a drift of the machine hits all variants alike."""
    one = bench.experiment
    results = lab_check.Results(one, [])
    for index in range(one.rounds):
        solo = None
        if one.solo != "none":
            solo = lab_solo.measure(bench, scratch / "solo")
            results.solo.append(solo)
        for variant in list(one.variants)[::-1 if index % 2 else 1]:
            trace = Run(bench, variant, scratch / "run").measure(index)
            phases = lab_phases.analyse(trace, one, variant, solo)
            results.add(variant, trace, phases)
            told = ", ".join("-" if each.steady is None else f"{each.steady:.0f}"
                             for each in phases)
            print(f"  round {index + 1}, {variant.name}: {told} images/s", flush=True)
    return results


def raw(bench, results, verdicts):
    one = bench.experiment
    return {
        "experiment": one.name, "mode": bench.throttle.text(), "network": bench.network.text(),
        "emulated": True, "duty": one.duty, "rounds": one.rounds, "batch_size": one.batch_size,
        "devices": [dataclasses.asdict(each) for each in one.devices.values()],
        "solo": results.solo,
        "variants": [{
            **dataclasses.asdict(variant),
            "phases": [[{**dataclasses.asdict(phase), "fraction": phase.fraction,
                         "predicted_ratio": phase.predicted_ratio} for phase in phases]
                       for phases in results.phases[variant.name]],
            "traces": results.traces[variant.name]} for variant in one.variants],
        "checks": [{**dataclasses.asdict(each),
                    "median": statistics.median(each.values) if each.values else None}
                   for each in verdicts]}


def keep_only(experiment, name):
    """The experiment with that variant alone, and the checks that need no other."""
    variants = tuple(each for each in experiment.variants if name in (each.name, each.group))
    if not variants:
        raise Refusal(f"--only {name}: no such variant; there are "
                      f"{', '.join(each.group for each in experiment.variants)}")
    checks = tuple(each for each in experiment.checks if "ratio" not in each and
                   any(name in each.values() for name in (variants[0].name, variants[0].group)))
    return dataclasses.replace(experiment, variants=variants, checks=checks)


def run(options, scratch):
    """The exit code."""
    experiment = lab_file.read(options.experiment, options.rounds)
    if options.only:
        experiment = keep_only(experiment, options.only)
    binary = pathlib.Path(options.build).resolve() / "ftrun"
    if not binary.is_file():
        raise Refusal(f"{binary} is missing: script/build release, or name another with --build")
    model = find_model(experiment.model, pathlib.Path(options.experiment).parent, scratch)
    throttle = lab_devices.make_throttle(options.mode, scratch, experiment, options.favoured)
    network = lab_devices.make_network(experiment)
    try:
        bench = Bench(experiment, binary, model, throttle, network)
        print(lab_table.header(bench), flush=True)
        results = measure(bench, scratch)
        verdicts = [lab_check.verdict(results, table) for table in experiment.checks]
        lab_table.tell(results, verdicts)
        if options.json:
            pathlib.Path(options.json).write_text(
                json.dumps(raw(bench, results, verdicts)) + "\n", encoding="utf-8")
    finally:
        network.close()
    return 0 if all(each.ok for each in verdicts) else 1


def unwind(number, _):
    """An end from outside is like any other: processes, groups, namespaces and files go. Once."""
    for other in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--mode", choices=("quota", "slowdown"), default="quota")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--build", default=str(bench_cluster.ROOT / "build" / "release"))
    parser.add_argument("--only", metavar="VARIANT")
    parser.add_argument("--favoured", action="store_true")
    parser.add_argument("--json", metavar="OUT")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, unwind)
    try:
        with lab_machine.alone(), lab_machine.scratch() as scratch:
            sys.exit(run(options, scratch))
    except (Refusal, lab_devices.Failure) as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
