"""What the benchmarks of whole clusters share: the model, the cluster of tests/process, and how a
list of figures is told."""

import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON = "/usr/bin/python3"
sys.path.insert(0, str(ROOT / "tests" / "process"))
sys.dont_write_bytecode = True

import cluster  # noqa: E402
import process  # noqa: E402, F401


def add_options(parser):
    """Those that every benchmark of training has."""
    parser.add_argument("--model", default="mobilenetv2")
    parser.add_argument("--data", default="synthetic:3x32x32:10")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--schedule", default="async")
    parser.add_argument("--threads", type=int, default=1, help="of each device")
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))


def export_model(name, directory):
    """Exports the models of the benchmarks; returns the path of the one with that name."""
    subprocess.run([PYTHON, ROOT / "tests/golden/export_models.py", "--bench", directory],
                   check=True, stdout=subprocess.DEVNULL)
    return next(pathlib.Path(directory).glob(f"{name}_train_*.onnx"))


def start(options, directory, words):
    """A cluster that is ready to begin."""
    pathlib.Path(directory).mkdir()
    return cluster.Cluster(directory, words, binary=f"{options.build}/ftrun")


def training_words(options, model):
    return [model, "--data", options.data, "--batch-size", options.batch, "--schedule",
            options.schedule, "--threads", options.threads]


def spread(values):
    """Median, and from the least to the greatest."""
    if not values:
        return "none"
    return f"{statistics.median(values):8.3f} ({min(values):.3f} to {max(values):.3f})"
