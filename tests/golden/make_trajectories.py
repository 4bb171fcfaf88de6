#!/usr/bin/python3
"""Trains the models of export_models.py for 20 steps in PyTorch and writes trajectories.json.

Also writes the data: data/*_x.npy (uint8, N x C x H x W; a model sees value / 255, nothing else)
and data/*_y.npy (int64). Batches are taken in file order and begin again after the last one.

The losses are computed in double precision from float32 weights and images, so that they do not
depend on the machine. `tolerances` says how far a float32 implementation may be off at each step:
as far as a change of the weights by 1e-6 of themselves, some ten times float32's rounding, can move
the loss (ReLU's kinks and batch norm amplify it). The first steps are the sharp test.
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from export_models import FILES, GREY, RGB32, RGB34, build, file_name

HERE = pathlib.Path(__file__).parent
STEPS = 20
CLASSES = 10
TRIALS = 32  # perturbed runs per case
FLOOR = 1e-5  # least tolerance, relative
FLOAT32_LIMIT = 1e-4  # relative; where PyTorch's own float32 is further off, the case is chaotic

DATA = {  # name: (image shape, images)
    "grey28": (GREY, 40),
    "rgb32": (RGB32, 48),
    "rgb34": (RGB34, 24),
}

CASES = [  # (case, model, form, data, batch size, learning rate, Nesterov)
    ("lenet", "lenet", "train", "grey28", 8, 0.01, False),
    ("lenet_nesterov", "lenet", "train", "grey28", 8, 0.01, True),
    ("mlp", "mlp", "train", "grey28", 8, 0.01, False),
    ("tied", "tied", "train", "grey28", 8, 0.03, False),
    ("branches", "branches", "train", "grey28", 8, 0.01, False),
    ("squeezenet", "squeezenet", "train", "rgb34", 8, 0.005, False),
    ("vgg_bn", "vgg_bn", "train", "rgb32", 8, 0.01, False),
    ("vgg_bn_nesterov", "vgg_bn", "train", "rgb32", 16, 0.01, True),
    ("resnet18", "resnet18", "train", "rgb34", 8, 0.01, False),
    ("resnet18_frozen", "resnet18", "frozen", "rgb34", 8, 0.003, False),
    ("mobilenetv2", "mobilenetv2", "train", "rgb32", 16, 0.001, False),
    ("mobilenetv2_short", "mobilenetv2_short", "train", "rgb32", 16, 0.003, False),
]


def make_images(shape, count, seed):
    """Each class is a coarse pattern of its own; an image is its pattern plus noise."""
    random = np.random.RandomState(seed)  # a stream that NumPy promises never to change
    channels, height, width = shape
    coarse = random.uniform(0, 255, (CLASSES, channels, 4, 4))
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    patterns = coarse[:, :, rows][:, :, :, columns]
    labels = random.permutation(np.arange(count) % CLASSES)
    images = patterns[labels] + random.normal(0, 40, (count, *shape))
    return images.clip(0, 255).astype(np.uint8), labels.astype(np.int64)


def train(model, images, labels, batch, precision, options):
    """The mean cross-entropy of each batch before the step it causes."""
    x = (torch.from_numpy(images).float() / 255).to(precision)
    y = torch.from_numpy(labels)
    model.to(precision)
    sgd = torch.optim.SGD(model.parameters(), **options)
    losses = []
    for step in range(STEPS):
        first = step * batch % len(x)
        loss = F.cross_entropy(model(x[first:first + batch]), y[first:first + batch])
        losses.append(loss.item())
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    return np.array(losses)


def perturb(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.double().parameters():
            parameter.mul_(1 + 1e-6 * torch.randn_like(parameter))
    return model


def relative_tolerances(losses, perturbed_losses):
    """The largest deviation of any perturbed run up to each step, at least FLOOR, to one digit."""
    deviations = np.max(np.abs(np.array(perturbed_losses) / losses - 1), axis=0)
    return [float(f"{v:.0e}") for v in np.maximum(np.maximum.accumulate(deviations), FLOOR)]


def exports_that_match(name, form, batch):
    """The model files that must give these losses: without batch norm `infer` equals `train`."""
    has_norm = any(isinstance(m, nn.BatchNorm2d) for m in build(name).modules())
    forms = [form] if has_norm else ["train", "infer"]
    return [file_name(*row) for row in FILES
            if row[0] == name and row[1] in forms and row[3] in (None, batch)]


def make_case(case, name, form, data, batch, rate, nesterov, images, labels):
    assert len(images) % batch == 0
    options = {"lr": rate, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": nesterov}
    feed = images, labels, batch
    losses = train(build(name, form), *feed, torch.float64, options)
    single = train(build(name, form), *feed, torch.float32, options)
    perturbed = [train(perturb(build(name, form), seed), *feed, torch.float64, options)
                 for seed in range(TRIALS)]
    tolerances = relative_tolerances(losses, perturbed)
    difference = np.max(np.abs(single / losses - 1))
    print(f"{case}: loss {losses[0]:.4f} -> {losses[-1]:.4f}, float32 within {difference:.0e}, "
          f"tolerances {tolerances[0]} .. {tolerances[-1]}", flush=True)
    assert difference < FLOAT32_LIMIT
    return {
        "name": case, "models": [f"models/{f}" for f in exports_that_match(name, form, batch)],
        "x": f"data/{data}_x.npy", "y": f"data/{data}_y.npy", "batch_size": batch,
        "optimizer": {"type": "sgd", **options},
        "losses": [float(f"{v:.8g}") for v in losses], "tolerances": tolerances}


def to_json(cases):
    """One key a line, a list of numbers on one line."""
    def entry(case):
        return ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in case.items())
    return "[\n" + ",\n".join("{\n" + entry(case) + "\n}" for case in cases) + "\n]\n"


def main():
    torch.set_num_threads(1)
    (HERE / "data").mkdir(exist_ok=True)
    sets = {}
    for seed, (name, (shape, count)) in enumerate(DATA.items()):
        sets[name] = make_images(shape, count, seed)
        np.save(HERE / f"data/{name}_x.npy", sets[name][0])
        np.save(HERE / f"data/{name}_y.npy", sets[name][1])
    cases = [make_case(*row, *sets[row[3]]) for row in CASES]
    (HERE / "trajectories.json").write_text(to_json(cases))


if __name__ == "__main__":
    main()
