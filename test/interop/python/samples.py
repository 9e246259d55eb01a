"""The extremes of each datatype, and reference outputs computed by ONNX Runtime itself."""

from pathlib import Path

import numpy as np

FLOAT_BITS = np.array([0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 0x80000000, 1], "u4")

SAMPLES = {
    "BOOL": np.array([True, False, True]),
    "UINT8": np.array([0, 1, 255], "u1"),
    "UINT16": np.array([0, 1, 65535], "u2"),
    "UINT32": np.array([0, 1, 2**32 - 1], "u4"),
    "UINT64": np.array([0, 2**53 + 1, 2**64 - 1], "u8"),
    "INT8": np.array([-128, 0, 127], "i1"),
    "INT16": np.array([-32768, 0, 32767], "i2"),
    "INT32": np.array([-(2**31), 0, 2**31 - 1], "i4"),
    "INT64": np.array([-(2**63), -(2**53) - 1, 0, 2**53 + 1, 2**63 - 1], "i8"),
    "FP16": np.array([0x3C00, 0x8000, 0x0001, 0x7BFF], "u2").view("f2"),
    "FP32": np.array([-0.0, 1.5, 2.0**-149, 3.4028234663852886e38, 0.1], "f4"),
    "FP64": np.array([-0.0, 5e-324, 1.7976931348623157e308, 0.1], "f8"),
    "BYTES": np.array(["", "é😀", "plain"], np.object_),
}
# Infinities, two NaN with different payloads, -0 and the smallest denormal.
NON_FINITE = FLOAT_BITS.view("f4")


def rows(count, seed):
    """FP32 rows of the `curve` model, from a fixed seed."""
    return np.random.default_rng(seed).normal(size=(count, 5)).astype("f4")


class Reference:
    """ONNX Runtime of our own version, on the very file that is served."""

    def __init__(self, folder, name):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = str(Path(folder) / f"{name}.onnx")
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])

    def __call__(self, **inputs):
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, inputs)))
