#!/usr/bin/python3
"""Predicted against measured memory of whole processes, and refusal under a real limit.

  bench/memory.py [--build build/release] [--models lenet,mlp,...] [--keep DIR] [--stages] [--limit]

Solo: what `ftrun inspect --memory` says against the greatest resident size (/usr/bin/time) of a run
with three checkpoints in 8 batches. --stages: central and one or two stages with fixed cuts, by what
the event `reconfigured` says of each, and with no more --memory than that. --limit: each model in a memory control group (root, v1) of
exactly what was predicted: it must train there, and --memory must refuse it with a MiB less.
Prints tables in Markdown; exit code 1 when a figure is outside 1.00 to 1.10. Models have random
weights and are made with Debian's torchvision; --keep keeps them for the next time.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import bench_cluster

sys.path.insert(0, str(bench_cluster.ROOT / "tests" / "golden"))
MIB = 2 ** 20
GROUP = pathlib.Path("/sys/fs/cgroup/memory")

# name: (image, batch, cuts for two stages, cuts for three)
MODELS = {
    "lenet": ("1x28x28", 64, "3", "2,4"),
    "mlp": ("1x28x28", 64, "1", "1,2"),
    "resnet18": ("3x32x32", 32, "10", "6,14"),
    "mobilenetv2": ("3x32x32", 32, "20", "12,30"),
    "mobilenetv2_224": ("3x224x224", 8, "20", "8,30"),
    "squeezenet1_1": ("3x64x64", 32, "12", "8,18"),
    "densenet121": ("3x64x64", 16, "50", "30,80"),
    "regnet_y_400mf": ("3x64x64", 16, "50", "30,70"),
    "regnet_x_400mf": ("3x64x64", 16, "35", "20,50"),
    "vgg11_bn": ("3x64x64", 16, "7", "4,9"),
}
VARIANTS = [[], ["--threads", "2"], ["--momentum", "0"],
            ["--schedule", "sync", "--micro-batches", "4"]]
CUTS = ["--replicate-every", "2", "--global-every", "1"]


def export_models(names, directory):
    import export_models as golden
    import torch
    from torch import nn
    from torchvision import models as tv

    def mlp():
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024),
                             nn.ReLU(), nn.Linear(1024, 10))

    def vgg():
        model = tv.vgg11_bn(num_classes=10)
        model.avgpool = nn.Identity()
        model.classifier = nn.Sequential(nn.Linear(512 * 2 * 2, 1024), nn.ReLU(True), nn.Dropout(),
                                         nn.Linear(1024, 10))
        return model

    rgb64 = (3, 64, 64)
    table = dict(golden.BENCH, mlp=(mlp, golden.GREY), vgg11_bn=(vgg, rgb64),
                 **{name: (lambda name=name: getattr(tv, name)(num_classes=10), rgb64)
                    for name in ("densenet121", "regnet_y_400mf", "regnet_x_400mf")})
    torch.set_num_threads(1)
    for name in names:
        path = directory / f"{name}.onnx"
        if not path.exists():
            golden.export(path, name, "train", 14, None, table)


class Bench:
    def __init__(self, options, models):
        self.binary = str(pathlib.Path(options.build).resolve() / "ftrun")
        self.models = models
        self.outside = 0

    def ratio(self, planned, measured):
        value = planned / measured
        good = 1 <= value <= 1.1
        self.outside += not good
        return f"{value:.2f}" + ("" if good else " **")

    def plan(self, name, words):
        out = subprocess.run(
            [self.binary, "inspect", self.models / f"{name}.onnx", "--memory", "--json", *words],
            check=True, stdout=subprocess.PIPE, text=True).stdout
        return json.loads(out)["memory"]["total_bytes"]

    def training(self, name, batch, image, directory):
        return [str(self.models / f"{name}.onnx"), "--data", f"synthetic:{image}:10:2048", "--batch-size",
                str(batch), "--batches", "8", "--lr", "0.001", "--run-dir", f"{directory}/run"]

    def run(self, name, words, group=None):
        """(exit code, greatest resident bytes, what it said) of a run alone."""
        image, batch = MODELS[name][:2]
        with tempfile.TemporaryDirectory() as scratch:
            peak = pathlib.Path(scratch) / "peak"
            enter = None if group is None else (lambda: (group / "tasks").write_text(str(os.getpid())))
            done = subprocess.run(
                ["/usr/bin/time", "-f", "%M", "-o", peak, self.binary,
                 *self.training(name, batch, image, scratch), "--progress", "none", *CUTS, *words],
                stderr=subprocess.PIPE, text=True, preexec_fn=enter)
            return done.returncode, int(peak.read_text().split()[-1]) * 1024, done.stderr

    def solo(self, name):
        for words in VARIANTS:
            planned_words = words if "--threads" in words else ["--threads", "1", *words]
            planned = self.plan(name, ["--batch-size", str(MODELS[name][1]), *planned_words])
            code, peak, text = self.run(name, [*planned_words, "--memory", str(planned)])
            if code != 0:
                print(f"{name}: {text}", file=sys.stderr)
            print(f"| {name} | {' '.join(words)} | {planned / MIB:.1f} | {peak / MIB:.1f} | "
                  f"{self.ratio(planned, peak)} |", flush=True)

    def cluster(self, name, cuts, words, memories):
        """(range by plan, measured) of each process; `memories` is --memory by name."""
        image, batch = MODELS[name][:2]
        stages = [f"s{i}" for i in range(len(cuts.split(",")))]
        endpoint = f"tcp://127.0.0.1:{bench_cluster.cluster.free_port()}"
        with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
            def start(tag, *more):
                out = stack.enter_context(open(f"{scratch}/{tag}.out", "w+"))
                return subprocess.Popen(
                    ["/usr/bin/time", "-f", "%M", "-o", f"{scratch}/{tag}", self.binary, *more,
                     "--name", tag, "--threads", "1", "--memory", str(memories.get(tag, "16GB"))],
                    stdout=out, stderr=out)
            central = start("c", *self.training(name, batch, image, scratch), "--role", "central",
                            "--listen", endpoint, "--workers", str(len(stages)), "--partition",
                            f"fixed:{cuts}", "--progress", "json", *words)
            others = []
            for tag in stages:  # ranges go by the order of joining
                others.append(start(tag, "--role", "stage", "--central", endpoint))
                while central.poll() is None and f'"{tag}"' not in pathlib.Path(f"{scratch}/c.out").read_text():
                    time.sleep(0.05)
            for process in [central, *others]:
                process.wait(300)
            events = [json.loads(line) for line in open(f"{scratch}/c.out") if line.startswith("{")]
            begun = [event for event in events if event["event"] == "reconfigured"]
            if not begun:
                raise SystemExit(f"{name}: " + pathlib.Path(f"{scratch}/c.out").read_text()[-1000:])
            ranges = begun[-1]["ranges"]
            for part in ranges:
                peak = int(pathlib.Path(scratch, part["name"]).read_text().split()[-1]) * 1024
                yield part, peak

    def stages(self, name):
        for cuts in MODELS[name][2:]:
            for words in (VARIANTS[0], VARIANTS[3]):
                # With no more than is planned nobody has room for replicas of others.
                plans = {part["name"]: part["memory_bytes"]
                         for part, _ in self.cluster(name, cuts, words, {})}
                plans["c"] = "16GB"  # central's whole bound is another matter
                for part, peak in self.cluster(name, cuts, words, plans):
                    if part["name"] == "c":
                        continue
                    planned = part["memory_bytes"]
                    print(f"| {name} | [{part['first']}, {part['last']}) of {cuts} {' '.join(words)} | "
                          f"{planned / MIB:.1f} | {peak / MIB:.1f} | {self.ratio(planned, peak)} |",
                          flush=True)

    def limit(self, name):
        """It trains in a group of what was predicted, and is refused with a MiB less."""
        planned = self.plan(name, ["--batch-size", str(MODELS[name][1]), "--threads", "1"])
        group = GROUP / f"ftrun-memory-{os.getpid()}"
        group.mkdir()
        try:
            (group / "memory.limit_in_bytes").write_text(str(planned))
            words = ["--threads", "1", "--memory", str(planned)]
            code, _, text = self.run(name, words, group)
            peak = int((group / "memory.max_usage_in_bytes").read_text())
        finally:
            group.rmdir()
        refused = self.run(name, ["--threads", "1", "--memory", str(planned - MIB)])[0] == 2
        good = code == 0 and refused
        self.outside += not good
        ending = "trained" if code == 0 else f"exit code {code} {text[-200:]}"
        print(f"| {name} | {planned / MIB:.1f} | {ending} | {peak / MIB:.1f} | "
              f"{'refused' if refused else 'not refused **'} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(bench_cluster.ROOT / "build" / "release"))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--limit", action="store_true")
    options = parser.parse_args()
    names = options.models.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        models = options.keep or pathlib.Path(scratch)
        export_models(names, models)
        bench = Bench(options, models)
        if options.limit:
            print("| model | limit, MiB | there | charged at most | with 1 MiB less |\n|---|---|---|---|---|")
            for name in names:
                bench.limit(name)
            return bench.outside > 0
        print("| model | how | predicted, MiB | measured | ratio |\n|---|---|---|---|---|")
        for name in names:
            (bench.stages if options.stages else bench.solo)(name)
    return bench.outside > 0


if __name__ == "__main__":
    sys.exit(main())
