"""Small ONNX files and .npy arrays, byte by byte: the tests need neither onnx nor numpy."""

import struct


def _varint(value):
    out = bytearray()
    while True:
        out.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if value == 0:
            return bytes(out)


def _field(number, value):
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value & (1 << 64) - 1)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def floats(name, dims, values):
    body = b"".join(_field(1, dim) for dim in dims) + _field(2, 1) + _field(8, name)
    return body + _field(9, struct.pack(f"<{len(values)}f", *values))


def node(op, inputs, outputs, **integers):
    body = b"".join(_field(1, name) for name in inputs)
    body += b"".join(_field(2, name) for name in outputs)
    body += _field(3, outputs[0]) + _field(4, op)
    for name, value in integers.items():
        body += _field(5, _field(1, name) + _field(3, value) + _field(20, 2))
    return body


def _value(name, row):
    dims = _field(1, _field(2, "N")) + b"".join(_field(1, _field(1, dim)) for dim in row)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def model(nodes, weights, input_row, output_row, opset=14):
    """From x [N, *input_row] to y [N, *output_row]."""
    graph = b"".join(_field(1, item) for item in nodes) + _field(2, "g")
    graph += b"".join(_field(5, item) for item in weights)
    graph += _field(11, _value("x", input_row)) + _field(12, _value("y", output_row))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, opset))


def npy(descr, shape, values):
    """`descr` as numpy writes it; "<f4", "<i8", "|b1"."""
    code = {"<f4": "f", "<f8": "d", "<i8": "q", "|b1": "?", "<f2": "e"}[descr]
    shape = tuple(shape)
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * ((64 - (len(header) + 11) % 64) % 64) + b"\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    return start + struct.pack(f"<{len(values)}{code}", *values)
