#!/usr/bin/python3
"""Times whole training steps of a torchvision model in PyTorch, as training_step does for ftrun.

Usage: pytorch_step.py MODEL BATCH THREADS STEPS [default|channels_last]
MODEL: mobilenetv2, resnet18, squeezenet1_1, lenet. Prints one line of JSON.
"""

import json
import pathlib
import statistics
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "golden"))
import export_models  # noqa: E402

WARM_UP_STEPS = 2


def main():
    name, batch, threads, steps = sys.argv[1], *map(int, sys.argv[2:5])
    layout = sys.argv[5] if len(sys.argv) > 5 else "default"
    torch.set_num_threads(threads)
    model = export_models.build(name, "train", export_models.BENCH)
    shape = export_models.BENCH[name][1]
    images = torch.rand(batch, *shape) * 2 - 1
    labels = torch.arange(batch) % 10
    if layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    loss_of = torch.nn.CrossEntropyLoss()
    times = []
    for step in range(steps + WARM_UP_STEPS):
        began = time.perf_counter()
        optimizer.zero_grad()
        loss_of(model(images), labels).backward()
        optimizer.step()
        if step >= WARM_UP_STEPS:
            times.append(1000 * (time.perf_counter() - began))
    print(json.dumps({"median_ms": statistics.median(times), "ms": times}))


if __name__ == "__main__":
    main()
