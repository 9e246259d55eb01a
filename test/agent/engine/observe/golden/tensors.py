"""Writes tensors.json: what numpy makes of rows that tensors.ts makes again from the same formula.

    python -m venv /tmp/venv
    /tmp/venv/bin/pip install --no-deps -r test/interop/requirements-statistics.txt
    cd test/agent/engine/observe/golden && /tmp/venv/bin/python tensors.py > tensors.json
"""
import json

import numpy

ROWS, WIDTH, AXES, CENTROIDS = 12, 37, 3, 4
LONG = 10_001
SIDE, HEIGHT, ACROSS = 4, 9, 14
FEATURES, SEED, BANDWIDTH = 16, 77, 4.0


def wave(rows, width, speed):
    r = numpy.arange(rows, dtype=numpy.float64)[:, None]
    k = numpy.arange(width, dtype=numpy.float64)[None, :]
    return numpy.sin(1.7 * r + speed * k + 0.1 * r * k).astype(numpy.float32).astype(numpy.float64)


def uniform(seed):
    state, mask = seed, 0xFFFFFFFF
    while True:
        state = (state + 0x6D2B79F5) & mask
        mixed = ((state ^ (state >> 15)) * (state | 1)) & mask
        mixed ^= (mixed + (((mixed ^ (mixed >> 7)) * (mixed | 61)) & mask)) & mask
        yield (mixed ^ (mixed >> 14)) / 2**32


def hadamard(size):
    matrix = numpy.ones((1, 1))
    while len(matrix) < size:
        matrix = numpy.block([[matrix, matrix], [matrix, -matrix]])
    return matrix / numpy.sqrt(size)


def fourier(rows):
    """Structured orthogonal random features, by their definition (Yu et al. 2016): sqrt(n) / sigma · H D H D H D."""
    size = 64
    draws = uniform(SEED)
    signs = [numpy.array([-1 if next(draws) < 0.5 else 1 for _ in range(size)]) for _ in range(3)]
    padded = numpy.zeros((len(rows), size))
    padded[:, : rows.shape[1]] = rows
    for sign in signs:
        padded = (padded * sign) @ hadamard(size)
    angles = (padded * numpy.sqrt(size) / BANDWIDTH)[:, : FEATURES // 2]
    return numpy.concatenate([numpy.cos(angles), numpy.sin(angles)], axis=1)


def vectors():
    rows = wave(ROWS, WIDTH, 0.31)
    mean = rows.mean(axis=0)
    centred = rows - mean
    axes = numpy.linalg.svd(centred, full_matrices=False)[2][:AXES]
    scores = centred @ axes.T
    centroids = scores[:CENTROIDS]
    distances = numpy.linalg.norm(scores[:, None, :] - centroids[None, :, :], axis=2)
    return {
        "mean": mean.tolist(),
        "axes": axes.ravel().tolist(),
        "centroids": centroids.ravel().tolist(),
        "norm": numpy.linalg.norm(rows, axis=1).tolist(),
        "residual": numpy.linalg.norm(centred - scores @ axes, axis=1).tolist(),
        "nearest": distances.argmin(axis=1).tolist(),
        "fourier": fourier(centred).tolist(),
    }


def long():
    rows = wave(3, LONG, 0.0007)[:, ::3]
    return {"width": rows.shape[1], "norm": numpy.linalg.norm(rows, axis=1).tolist()}


def image():
    """One image, channels last, read at the middle of SIDE × SIDE equal areas; luma of BT.601."""
    pixels = wave(1, HEIGHT * ACROSS * 3, 0.011).reshape(HEIGHT, ACROSS, 3)
    ys = ((numpy.arange(SIDE) + 0.5) * HEIGHT / SIDE).astype(int)
    xs = ((numpy.arange(SIDE) + 0.5) * ACROSS / SIDE).astype(int)
    low, high = numpy.array([-1.0, -0.9, -1.0]), numpy.array([1.0, 0.8, 1.0])
    seen = (pixels[numpy.ix_(ys, xs)] - low) / (high - low)
    light = seen @ numpy.array([0.299, 0.587, 0.114])
    least, most = seen.min(axis=2), seen.max(axis=2)
    per_channel = [f(seen[:, :, c]) for c in range(3) for f in (numpy.mean, numpy.std)]
    sharpness = numpy.mean(numpy.diff(light, axis=1) ** 2)
    clipped = numpy.mean((least <= 0) | (most >= 1))
    measures = [*per_channel, light.mean(), sharpness, clipped, (most - least).mean()]
    return {"measures": [float(x) for x in measures], "light": light.ravel().tolist()}


print(json.dumps({"numpy": numpy.__version__, "vectors": vectors(), "long": long(), "image": image()}))
