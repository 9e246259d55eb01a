"""Runs named checks against a served engine and prints one JSON line for each: {"name", "ok", "detail"}."""

import argparse
import json
import traceback

import numpy as np

CHECKS = []


def check(name):
    """Adds a function, called with the arguments of the command line, as the check of this name."""

    def add(function):
        CHECKS.append((name, function))
        return function

    return add


def run():
    # No flags: kserve reads those of any program that imports it.
    parser = argparse.ArgumentParser()
    parser.add_argument("http", help="host:port of the REST server")
    parser.add_argument("grpc", help="host:port of the gRPC server")
    parser.add_argument("models", help="folder with {name}.onnx of what is served")
    target = parser.parse_args()
    for name, function in CHECKS:
        try:
            function(target)
            line = {"name": name, "ok": True, "detail": ""}
        except Exception:
            line = {"name": name, "ok": False, "detail": traceback.format_exc(limit=-3)}
        print(json.dumps(line), flush=True)


def same(actual, expected):
    """Datatype, shape and every bit: NaN equals only the NaN of the same payload, and 0 is not -0."""
    assert actual is not None, "no such output"
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    if expected.dtype == np.object_:
        assert as_bytes(actual) == as_bytes(expected), f"{actual} instead of {expected}"
        return
    assert actual.dtype == expected.dtype, f"dtype {actual.dtype}, expected {expected.dtype}"
    assert actual.tobytes() == expected.tobytes(), f"{actual} instead of {expected}"


def as_bytes(tensor):
    return [e.encode() if isinstance(e, str) else bytes(e) for e in tensor.reshape(-1)]


def raises(kind, function, *parts):
    """The text of the error of this kind that the function must raise, which must hold each of the parts."""
    try:
        function()
    except kind as error:
        text = str(error)
        for part in parts:
            assert part.lower() in text.lower(), f"{part!r} is not in {text!r}"
        return error
    raise AssertionError(f"no {kind.__name__}")
