#!/usr/bin/python3
"""Writes small seeded ONNX models the way PyTorch 1.13 exports them, for the importer's tests.

  ./export_models.py               writes models/*.onnx beside this script (the list is FILES)
  ./export_models.py --bench DIR   writes the full-size models of the benchmarks to DIR (BENCH)

Forms of an export:
  train    TrainingMode.TRAINING, nothing folded: what a user exports to train with ftrun
  infer    the default export: constants folded, Conv+BatchNormalization fused, and initializers
           of equal *value* merged through Identity (squeezenet: one zero bias per length)
  frozen   TrainingMode.PRESERVE of model.eval(): BatchNormalization stays, with training_mode=0
"""
import argparse
import pathlib
import warnings

import onnx
import torch
import torch.nn.functional as F
from torch import nn
from torch.onnx import TrainingMode
from torchvision import models as tv
from torchvision.models.mobilenetv2 import Conv2dNormActivation
from torchvision.models.resnet import BasicBlock
from torchvision.models.squeezenet import Fire
from torchvision.models.vgg import make_layers

HERE = pathlib.Path(__file__).parent
SEED = 1


def he_init(model):
    """PyTorch's own default lets a narrow model learn too little in 20 steps to test anything."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


def calm_init(model):
    """For models with batch norm, which at PyTorch's initialisation amplify rounding in training:
    large convolution weights (batch norm undoes the factor) turn slowly, a small head pulls less.
    """
    he_init(model)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.mul_(8)
    head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.normal_(head.weight, std=0.01)
    return model


def lenet(channels=(6, 12), hidden=(48, 32)):
    return he_init(nn.Sequential(
        nn.Conv2d(1, channels[0], 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(channels[0], channels[1], 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(channels[1] * 25, hidden[0]), nn.ReLU(),
        nn.Linear(hidden[0], hidden[1]), nn.ReLU(), nn.Linear(hidden[1], 10)))


def mlp(dropout=None):
    drop = [] if dropout is None else [nn.Dropout(dropout)]
    return he_init(nn.Sequential(
        nn.Flatten(), nn.Linear(784, 24), nn.ReLU(), *drop,
        nn.Linear(24, 16), nn.Tanh(), *drop, nn.Linear(16, 10)))


def vgg_bn():
    features = make_layers([8, "M", 16, "M", 24, 24, "M", 32, 32, "M"], batch_norm=True)
    return calm_init(nn.Sequential(
        features, nn.Flatten(), nn.Linear(32 * 2 * 2, 48), nn.ReLU(True), nn.Linear(48, 10)))


def resnet18(widths=(8, 12, 16, 24)):
    """torchvision's ResNet-18; its stages are built again, narrower."""
    model = tv.ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)
    model.inplanes = widths[0]
    model.conv1 = nn.Conv2d(3, widths[0], 7, 2, padding=3, bias=False)
    model.bn1 = nn.BatchNorm2d(widths[0])
    for i, width in enumerate(widths):
        setattr(model, f"layer{i + 1}", model._make_layer(BasicBlock, width, 2, min(i + 1, 2)))
    model.fc = nn.Linear(widths[-1], 10)
    return calm_init(model)


def mobilenetv2(blocks=None):
    """torchvision's MobileNetV2 for 32x32: width 0.125, no stride in the stem, 64 last channels."""
    model = tv.MobileNetV2(num_classes=10, width_mult=0.125, round_nearest=4, dropout=0.0,
                           inverted_residual_setting=blocks)
    model.features[0][0].stride = (1, 1)
    channels = model.features[-1][0].in_channels
    model.features[-1] = Conv2dNormActivation(channels, 64, 1, activation_layer=nn.ReLU6)
    model.classifier[1] = nn.Linear(64, 10)
    return calm_init(model)


def squeezenet():
    """torchvision's SqueezeNet 1.1 at a quarter of its width; ceil_mode matters for 34x34."""
    model = tv.SqueezeNet("1_1", num_classes=10, dropout=0.0)
    for i, layer in enumerate(model.features):
        if isinstance(layer, Fire):
            squeeze, expand = layer.squeeze.out_channels, layer.expand1x1.out_channels
            model.features[i] = Fire(
                layer.squeeze.in_channels // 4, squeeze // 4, expand // 4, expand // 4)
    model.features[0] = nn.Conv2d(3, 16, 3, 2)
    model.classifier[1] = nn.Conv2d(128, 10, 1)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.bias)  # as torchvision does; the infer export merges them
    return he_init(model)


def mobilenetv2_short():
    """11 blocks instead of 17; (expansion, channels, repeats, stride)."""
    return mobilenetv2([[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2], [6, 64, 2, 2],
                        [6, 96, 1, 1], [6, 160, 2, 2], [6, 320, 1, 1]])


class Tied(nn.Module):
    """One Linear applied twice: its gradients add."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(784, 24)
        self.shared = nn.Linear(24, 24)
        self.last = nn.Linear(24, 10)

    def forward(self, x):
        x = F.relu(self.first(torch.flatten(x, 1)))
        x = F.relu(self.shared(x))
        x = F.relu(self.shared(x))
        return self.last(x)


class Branches(nn.Module):
    """`stem` has four consumers: two branches, a concatenation, and a long skip to the end."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, 2, padding=1)
        self.left = nn.Conv2d(8, 8, 3, padding=1)
        self.right = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.join = nn.Conv2d(24, 12, 1)
        self.down = nn.Conv2d(12, 8, 3, 2, padding=1)
        self.last = nn.Linear(8, 10)

    def forward(self, x):
        stem = F.relu(self.stem(x))
        left = torch.sigmoid(self.left(stem))
        right = self.right(stem) * left
        joined = F.leaky_relu(self.join(torch.cat([stem, left, right], 1)), 0.1)
        skip = F.avg_pool2d(stem, 3, 2, padding=1)
        return self.last((self.down(joined) + skip).mean([2, 3]))


GREY, RGB32, RGB34, RGB64 = (1, 28, 28), (3, 32, 32), (3, 34, 34), (3, 64, 64)

MODELS = {  # name: (builder, shape of one image)
    "lenet": (lenet, GREY),
    "mlp": (mlp, GREY),
    "mlp_dropout": (lambda: mlp(dropout=0.2), GREY),
    "vgg_bn": (vgg_bn, RGB32),
    "resnet18": (resnet18, RGB34),
    "mobilenetv2": (mobilenetv2, RGB32),
    "mobilenetv2_short": (mobilenetv2_short, RGB32),
    "squeezenet": (squeezenet, RGB34),
    "tied": (lambda: he_init(Tied()), GREY),
    "branches": (lambda: he_init(Branches()), GREY),
}

FILES = [  # (model, form, opset, fixed batch or None for a symbolic one)
    ("lenet", "train", 13, None), ("lenet", "train", 14, None), ("lenet", "infer", 13, 8),
    ("mlp", "train", 14, None), ("mlp", "infer", 17, None),
    ("mlp_dropout", "train", 13, None), ("mlp_dropout", "train", 14, None),
    ("mlp_dropout", "infer", 14, None),
    ("vgg_bn", "train", 13, 8), ("vgg_bn", "train", 14, None), ("vgg_bn", "infer", 14, None),
    ("resnet18", "train", 13, None), ("resnet18", "train", 14, None),
    ("resnet18", "train", 17, 8), ("resnet18", "infer", 13, None),
    ("resnet18", "frozen", 14, None),
    ("mobilenetv2", "train", 14, None), ("mobilenetv2", "infer", 14, None),
    ("mobilenetv2", "frozen", 13, None), ("mobilenetv2_short", "train", 16, None),
    ("squeezenet", "train", 14, None), ("squeezenet", "infer", 13, None),
    ("tied", "train", 14, None), ("tied", "infer", 13, 8),
    ("branches", "train", 13, 8), ("branches", "train", 14, None), ("branches", "infer", 14, None),
]

BENCH = {  # name: (builder, shape of one image), exported for training at opset 14
    "lenet": (lambda: lenet((6, 16), (120, 84)), GREY),
    "mobilenetv2": (lambda: tv.mobilenet_v2(num_classes=10), RGB32),
    "mobilenetv2_224": (lambda: tv.mobilenet_v2(num_classes=10), (3, 224, 224)),
    "resnet18": (lambda: tv.resnet18(num_classes=10), RGB32),
    "squeezenet1_1": (lambda: tv.squeezenet1_1(num_classes=10), RGB64),
}


def file_name(name, form, opset, batch):
    return f"{name}_{form}_op{opset}{'' if batch is None else f'_fixed{batch}'}.onnx"


def freeze_statistics(model, shape):
    """Sets the running statistics to those of one random batch, as training would."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()(torch.rand(16, *shape))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum


def build(name, form="train", table=MODELS):
    """The seeded model in the mode its export describes."""
    torch.manual_seed(SEED)
    builder, shape = table[name]
    model = builder()
    if form == "frozen":
        freeze_statistics(model, shape)
    return model.train(form == "train")


def export(path, name, form, opset, batch, table=MODELS):
    model = build(name, form, table)
    kind = {"train": TrainingMode.TRAINING, "infer": TrainingMode.EVAL,
            "frozen": TrainingMode.PRESERVE}[form]
    axes = {"image": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(
        model, torch.rand(batch or 2, *table[name][1]), str(path), training=kind,
        do_constant_folding=form == "infer", opset_version=opset, input_names=["image"],
        output_names=["logits"], dynamic_axes=axes if batch is None else None)
    onnx.checker.check_model(onnx.load(str(path)))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=pathlib.Path, metavar="DIR")
    bench = parser.parse_args().bench
    warnings.filterwarnings("ignore")  # each export repeats what README.md says about it
    torch.set_num_threads(1)  # sums in one order, whatever the machine
    folder = bench or HERE / "models"
    folder.mkdir(parents=True, exist_ok=True)
    if bench:
        for name in BENCH:
            export(folder / file_name(name, "train", 14, None), name, "train", 14, None, BENCH)
    else:
        for row in FILES:
            export(folder / file_name(*row), *row)


if __name__ == "__main__":
    main()
