#!/usr/bin/python3
"""Writes golden tensors of single ONNX operators, forward and backward: ops.json and ops.bin.

ops.json is a list of cases:
  name, op, opset, attributes   an ONNX node; an attribute that is absent has ONNX's default
  inputs, outputs               tensors in the node's order
  grad_outputs, grad_inputs     same order; null where no gradient is wanted or none exists
A tensor is {"shape": [...], "type": "float32" | "int64", "offset": bytes into ops.bin}.
ops.bin holds the values, little-endian, in row-major order (feature maps as N, C, H, W); offsets
are multiples of 8. Inputs are random float32; results are PyTorch's in double precision, rounded
to float32.
"""
import json
import pathlib
import zlib

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper, shape_inference

HERE = pathlib.Path(__file__).parent
MAP = (3, 5, 5, 9)  # N, C, H, W: nothing is a multiple of a vector
SMALL_MAP = (3, 5, 3, 7)  # for element-wise operators


class Positive(tuple):
    """The shape of an input with values from 0.5 to 2."""


# --- What PyTorch computes: function(inputs, attributes) -> output or outputs -------------------


def conv(inputs, attributes):
    function = F.conv1d if inputs[0].dim() == 3 else F.conv2d
    pads = attributes.get("pads", [0] * 2 * (inputs[0].dim() - 2))
    spatial = inputs[0].dim() - 2
    # ONNX pads are all begins, then all ends; F.pad wants (begin, end) of the last axis first.
    pairs = list(zip(pads[:spatial], pads[spatial:]))
    x = F.pad(inputs[0], [pad for pair in reversed(pairs) for pad in pair])
    return function(x, *inputs[1:], stride=attributes.get("strides", 1),
                    dilation=attributes.get("dilations", 1), groups=attributes.get("group", 1))


def batch_norm(inputs, attributes):
    x, scale, bias, mean, variance = inputs
    if not attributes["training_mode"]:
        return F.batch_norm(x, mean, variance, scale, bias, eps=attributes["epsilon"])
    y = F.batch_norm(x, None, None, scale, bias, training=True, eps=attributes["epsilon"])
    keep = attributes["momentum"]
    axes = [0, *range(2, x.dim())]
    return (y, mean * keep + x.mean(axes) * (1 - keep),
            variance * keep + x.var(axes, unbiased=False) * (1 - keep))


def gemm(inputs, attributes):
    a = inputs[0].T if attributes.get("transA") else inputs[0]
    b = inputs[1].T if attributes.get("transB") else inputs[1]
    y = attributes.get("alpha", 1.0) * (a @ b)
    return y + attributes.get("beta", 1.0) * inputs[2] if len(inputs) > 2 else y


def max_pool(inputs, attributes):
    return F.max_pool2d(inputs[0], attributes["kernel_shape"], attributes["strides"],
                        attributes["pads"][:2], ceil_mode=bool(attributes.get("ceil_mode", 0)))


def average_pool(inputs, attributes):
    return F.avg_pool2d(inputs[0], attributes["kernel_shape"], attributes["strides"],
                        attributes["pads"][:2],
                        count_include_pad=bool(attributes["count_include_pad"]))


def reduce(function):
    def reduced(inputs, attributes):
        axes = inputs[1].tolist() if len(inputs) > 1 else attributes["axes"]
        return function(inputs[0], axes, bool(attributes["keepdims"]))
    return reduced


def unary(function):
    return lambda inputs, attributes: function(inputs[0])


def binary(function):
    return lambda inputs, attributes: function(*inputs)


# --- The cases: (name, op, function, inputs, attributes[, opset]) -------------------------------
# An input is a shape (random values, with a gradient) or an array (as it is, without a gradient).


def conv_case(name, x, weight, bias=True, **attributes):
    inputs = [x, weight, (weight[0],)] if bias else [x, weight]
    return ("conv: " + name, "Conv", conv, inputs, {"kernel_shape": list(weight[2:]), **attributes})


def pool_case(name, op, kernel, strides, pads, **attributes):
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads, **attributes}
    return (f"{op}: {name}", op, max_pool if op == "MaxPool" else average_pool, [MAP], attributes)


def activation(op, function, shape=SMALL_MAP, **attributes):
    return (op, op, unary(function), [shape], attributes)


def broadcasts(op, function, divisor=tuple):
    shapes = [(SMALL_MAP, SMALL_MAP), (SMALL_MAP, (5, 1, 1)), ((3, 5, 1, 1), SMALL_MAP),
              ((3, 5, 7), ()), ((2, 1, 4), (3, 1))]
    return [(f"{op}: {list(a)} and {list(b)}", op, binary(function), [a, divisor(b)], {})
            for a, b in shapes]


def numbers(*values, dtype=np.float32):
    return np.array(values[0] if len(values) == 1 else values, dtype)


LABELS = numbers(0, 10, 3, 3, 7, 1, dtype=np.int64)
BATCH_NORM = [MAP, Positive((5,)), (5,), numbers(0.1, 0.2, 0, -0.3, 0.5), numbers(1, 2, 0.5, 1, 3)]

CASES = [
    conv_case("3x3, padded", MAP, (4, 5, 3, 3), pads=[1, 1, 1, 1]),
    conv_case("3x3, no bias, no pads", MAP, (4, 5, 3, 3), bias=False),
    conv_case("3x3, strided, padded", MAP, (4, 5, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2]),
    conv_case("3x2, uneven strides and pads", MAP, (4, 5, 3, 2), pads=[0, 1, 2, 0], strides=[1, 2]),
    conv_case("3x3, dilated", MAP, (4, 5, 3, 3), pads=[2, 2, 2, 2], dilations=[2, 2]),
    conv_case("3x3, two groups", (2, 6, 7, 9), (4, 3, 3, 3), pads=[1, 1, 1, 1], group=2),
    conv_case("5x5, three groups, strided", (2, 6, 7, 9), (3, 2, 5, 5), pads=[2, 2, 2, 2],
              strides=[2, 2], group=3),
    conv_case("depthwise 3x3", MAP, (5, 1, 3, 3), bias=False, pads=[1, 1, 1, 1], group=5),
    conv_case("depthwise 3x3, strided", MAP, (5, 1, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2],
              group=5),
    conv_case("depthwise 5x5", MAP, (5, 1, 5, 5), bias=False, pads=[2, 2, 2, 2], group=5),
    conv_case("depthwise 5x5, strided", MAP, (5, 1, 5, 5), pads=[2, 2, 2, 2], strides=[2, 2],
              group=5),
    conv_case("depthwise, two outputs a channel", MAP, (10, 1, 3, 3), pads=[1, 1, 1, 1], group=5),
    conv_case("1x1", MAP, (7, 5, 1, 1)),
    conv_case("1x1, strided, no bias", MAP, (7, 5, 1, 1), bias=False, strides=[2, 2]),
    conv_case("one dimension", (3, 5, 11), (4, 5, 3), pads=[1, 1], strides=[2]),
    ("batch norm: training", "BatchNormalization", batch_norm, BATCH_NORM,
     {"epsilon": 1e-5, "momentum": 0.9, "training_mode": 1}),
    ("batch norm: training, two dimensions", "BatchNormalization", batch_norm,
     [(6, 5), *BATCH_NORM[1:]], {"epsilon": 1e-3, "momentum": 0.8, "training_mode": 1}),
    ("batch norm: frozen", "BatchNormalization", batch_norm, BATCH_NORM,
     {"epsilon": 1e-5, "momentum": 0.9, "training_mode": 0}),
    ("layer norm", "LayerNormalization",
     lambda inputs, attributes: F.layer_norm(inputs[0], [13], *inputs[1:], attributes["epsilon"]),
     [(3, 5, 13), (13,), (13,)], {"axis": -1, "epsilon": 1e-5}, 17),
    ("gemm: linear layer", "Gemm", gemm, [(6, 13), (11, 13), (11,)],
     {"alpha": 1.0, "beta": 1.0, "transB": 1}),
    ("gemm: alpha, beta, A transposed", "Gemm", gemm, [(13, 6), (13, 11), (6, 1)],
     {"alpha": 0.5, "beta": 2.0, "transA": 1}),
    ("gemm: no C", "Gemm", gemm, [(1, 13), (13, 11)], {}),
    ("matmul: batched", "MatMul", binary(torch.matmul), [(3, 5, 7), (3, 7, 4)], {}),
    ("matmul: right side shared", "MatMul", binary(torch.matmul), [(3, 5, 7), (7, 4)], {}),
    ("matmul: broadcast batches", "MatMul", binary(torch.matmul), [(2, 3, 5, 7), (3, 7, 4)], {}),
    pool_case("2x2", "MaxPool", [2, 2], [2, 2], [0, 0, 0, 0]),
    pool_case("3x3, overlapping, padded", "MaxPool", [3, 3], [2, 2], [1, 1, 1, 1]),
    pool_case("3x3, stride 1", "MaxPool", [3, 3], [1, 1], [1, 1, 1, 1]),
    pool_case("2x3, ceil mode", "MaxPool", [2, 3], [2, 3], [0, 1, 0, 1], ceil_mode=1),
    pool_case("2x2", "AveragePool", [2, 2], [2, 2], [0, 0, 0, 0], count_include_pad=0),
    pool_case("padding counts", "AveragePool", [3, 3], [2, 2], [1, 1, 1, 1], count_include_pad=1),
    pool_case("padding does not count", "AveragePool", [3, 3], [2, 2], [1, 1, 1, 1],
              count_include_pad=0),
    ("GlobalAveragePool", "GlobalAveragePool", unary(lambda x: x.mean([2, 3], True)), [MAP], {}),
    activation("Relu", F.relu),
    ("Clip as ReLU6", "Clip", unary(F.relu6),
     [SMALL_MAP, numbers(0), numbers(6)], {}),
    ("Clip: narrow", "Clip", lambda inputs, attributes: inputs[0].clamp(-0.5, 0.75),
     [SMALL_MAP, numbers(-0.5), numbers(0.75)], {}),
    ("LeakyRelu", "LeakyRelu", lambda inputs, attributes: F.leaky_relu(inputs[0], 0.1), [SMALL_MAP],
     {"alpha": 0.1}),
    ("Elu", "Elu", lambda inputs, attributes: F.elu(inputs[0], 0.7), [SMALL_MAP], {"alpha": 0.7}),
    activation("Sigmoid", torch.sigmoid),
    activation("Tanh", torch.tanh),
    activation("HardSwish", F.hardswish),
    ("HardSigmoid", "HardSigmoid", unary(F.hardsigmoid), [SMALL_MAP],
     {"alpha": 1 / 6, "beta": 0.5}),
    activation("Erf", torch.erf, (3, 5, 7)),
    activation("Sqrt", torch.sqrt, Positive((3, 5, 7))),
    ("Pow: a square", "Pow", lambda inputs, attributes: inputs[0] ** 2,
     [(3, 5, 7), numbers(2)], {}),
    ("Softmax", "Softmax", unary(lambda x: x.softmax(-1)), [(6, 11)], {"axis": -1}),
    ("Softmax: inner axis", "Softmax", unary(lambda x: x.softmax(1)), [(3, 5, 7)], {"axis": 1}),
    ("LogSoftmax", "LogSoftmax", unary(lambda x: x.log_softmax(-1)), [(6, 11)], {"axis": -1}),
    ("cross-entropy: mean", "SoftmaxCrossEntropyLoss", binary(F.cross_entropy), [(6, 11), LABELS],
     {"reduction": "mean"}),
    *broadcasts("Add", torch.add),
    *broadcasts("Sub", torch.sub),
    *broadcasts("Mul", torch.mul),
    *broadcasts("Div", torch.div, Positive),
    ("Concat: channels", "Concat", lambda inputs, attributes: torch.cat(inputs, 1),
     [(3, 5, 3, 4), (3, 1, 3, 4), (3, 2, 3, 4)], {"axis": 1}),
    ("Concat: last axis", "Concat", lambda inputs, attributes: torch.cat(inputs, -1),
     [(3, 5, 3), (3, 5, 4)], {"axis": -1}),
    ("ReduceMean: feature map", "ReduceMean", reduce(torch.mean), [MAP],
     {"axes": [2, 3], "keepdims": 0}),
    ("ReduceMean: last axis, kept", "ReduceMean", reduce(torch.mean), [(3, 5, 7)],
     {"axes": [-1], "keepdims": 1}),
    ("ReduceSum", "ReduceSum", reduce(torch.sum), [(3, 5, 7), numbers([0, 2], dtype=np.int64)],
     {"keepdims": 1}),
]


# --- Computing and writing ----------------------------------------------------------------------


def make_input(spec, random, scale):
    if isinstance(spec, np.ndarray):
        return spec
    if isinstance(spec, Positive):
        return random.uniform(0.5, 2, spec).astype(np.float32)
    return np.asarray(random.normal(0, scale, spec), np.float32)


def check_node(op, attributes, opset, inputs, outputs):
    """ONNX accepts the node and infers the shapes that PyTorch computed."""
    def kind(array):
        return TensorProto.INT64 if array.dtype == np.int64 else TensorProto.FLOAT

    node = helper.make_node(op, [f"i{i}" for i in range(len(inputs))],
                            [f"o{i}" for i in range(len(outputs))], **attributes)
    graph = helper.make_graph(
        [node], "case",
        [helper.make_tensor_value_info(f"i{i}", kind(v), v.shape) for i, v in enumerate(inputs)],
        [helper.make_tensor_value_info(f"o{i}", kind(v), [None] * v.ndim)
         for i, v in enumerate(outputs)],
        [numpy_helper.from_array(v, f"i{i}") for i, v in enumerate(inputs)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    onnx.checker.check_model(model)
    model = shape_inference.infer_shapes(model, strict_mode=True)
    for inferred, output in zip(model.graph.output, outputs):
        shape = tuple(d.dim_value for d in inferred.type.tensor_type.shape.dim)
        assert shape == output.shape, (op, attributes, shape, output.shape)


class Blob:
    """ops.bin as it grows."""

    def __init__(self):
        self.data = bytearray()

    def add(self, array):
        if array is None:
            return None
        entry = {"shape": list(array.shape), "type": str(array.dtype), "offset": len(self.data)}
        self.data += array.astype(array.dtype.newbyteorder("<")).tobytes()
        self.data += bytes(-len(self.data) % 8)
        return entry


def make_case(blob, name, op, function, specs, attributes, opset=14):
    random = np.random.RandomState(zlib.crc32(name.encode()))
    scale = 4 if op in ("Clip", "HardSwish", "HardSigmoid") else 1  # to reach their outer pieces
    inputs = [make_input(spec, random, scale) for spec in specs]
    tensors = [torch.from_numpy(v) for v in inputs]
    tensors = [t.double() if t.is_floating_point() else t for t in tensors]
    trained = [t.requires_grad_() for t, spec in zip(tensors, specs) if isinstance(spec, tuple)]
    results = function(tensors, attributes)
    results = results if isinstance(results, tuple) else (results,)
    grad_output = np.asarray(random.normal(0, 1, results[0].shape), np.float32)
    results[0].backward(torch.from_numpy(grad_output).double())
    outputs = [r.detach().float().numpy() for r in results]
    check_node(op, attributes, opset, inputs, outputs)
    assert all(t.grad is not None for t in trained), name
    grads = [None if t.grad is None else t.grad.float().numpy() for t in tensors]
    return {
        "name": name, "op": op, "opset": opset, "attributes": attributes,
        "inputs": [blob.add(v) for v in inputs], "outputs": [blob.add(v) for v in outputs],
        "grad_outputs": [blob.add(grad_output)] + [None] * (len(outputs) - 1),
        "grad_inputs": [blob.add(g) for g in grads]}


def main():
    torch.set_num_threads(1)
    blob = Blob()
    cases = [make_case(blob, *case) for case in CASES]
    assert len({case["name"] for case in cases}) == len(cases)
    (HERE / "ops.bin").write_bytes(blob.data)
    (HERE / "ops.json").write_text(
        "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    print(f"{len(cases)} cases, {len(blob.data)} bytes")


if __name__ == "__main__":
    main()
