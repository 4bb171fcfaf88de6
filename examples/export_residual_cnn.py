#!/usr/bin/python3
"""Makes residual_cnn.onnx: a small residual CNN for Fashion-MNIST, as a training export.

  ./export_residual_cnn.py              writes residual_cnn.onnx beside this script
  ./export_residual_cnn.py --train 3    trains it in PyTorch for 3 epochs, prints the accuracy

Needs Debian's python3-torch, python3-onnx and dataset-fashion-mnist.
"""
import argparse
import gzip
import pathlib
import time
import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import nn

DATASET = pathlib.Path("/usr/share/datasets/fashion-mnist")
SEED = 1


class Residual(nn.Module):
    """relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)).

    The shortcut is a 1x1 convolution with batch norm if the shape changes.
    """

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def residual_cnn():
    torch.manual_seed(SEED)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),  # 14x14
        Residual(16, 16, 1),
        Residual(16, 32, 2),  # 7x7
        Residual(32, 48, 2),  # 4x4
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10))


def forward_macs(model):
    """Multiply-adds of the convolutions and linear layers for one image."""
    macs = 0

    def count(module, _, output):
        nonlocal macs
        positions = output[0, 0].numel()  # 1 for a linear layer
        macs += module.weight.numel() * positions

    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    model.eval()(torch.zeros(1, 1, 28, 28))
    return macs


def load(split):
    def read(name, header_bytes):
        return np.frombuffer(gzip.open(DATASET / name).read(), np.uint8, offset=header_bytes)

    x = read(f"{split}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    y = read(f"{split}-labels-idx1-ubyte.gz", 8)
    x = (torch.from_numpy(x.astype(np.float32)) / 255 - 0.2860) / 0.3530
    return x, torch.from_numpy(y.astype(np.int64))


def train(epochs, learning_rate, batch, seed):
    x, y = load("train")
    x_test, y_test = load("t10k")
    model = residual_cnn()
    torch.manual_seed(seed)  # the order of the images
    sgd = torch.optim.SGD(model.parameters(), learning_rate, momentum=0.9)
    for epoch in range(epochs):
        start = time.time()
        model.train()
        for rows in torch.randperm(len(x)).split(batch)[: len(x) // batch]:
            sgd.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            sgd.step()
        seconds = time.time() - start
        model.eval()
        with torch.no_grad():
            logits = torch.cat([model(part) for part in x_test.split(500)])
        correct = (logits.argmax(1) == y_test).sum().item()
        accuracy = 100 * correct / len(y_test)
        print(f"epoch {epoch + 1}: test accuracy {accuracy:.2f} %, {seconds:.1f} s", flush=True)


def export(path):
    model = residual_cnn().train()
    warnings.filterwarnings("ignore")  # num_batches_tracked is not exported; nothing needs it
    torch.onnx.export(
        model, torch.zeros(2, 1, 28, 28), path, training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False, opset_version=14, input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}})
    onnx.checker.check_model(onnx.load(path))
    parameters = sum(p.numel() for p in model.parameters())
    macs = forward_macs(residual_cnn()) / 1e6
    print(f"{path}: {parameters} parameters, {macs:.2f} M multiply-adds per image")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, metavar="EPOCHS")
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.train:
        train(options.train, options.lr, options.batch_size, options.seed)
    else:
        export(str(pathlib.Path(__file__).with_name("residual_cnn.onnx")))


if __name__ == "__main__":
    main()
