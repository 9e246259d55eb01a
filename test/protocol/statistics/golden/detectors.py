"""Writes detectors.json: where river's drift detectors fire on fixed streams.

    python -m venv /tmp/venv
    /tmp/venv/bin/pip install river==0.26.1 numpy==2.4.6 scipy==1.17.1
    cd test/protocol/statistics/golden && /tmp/venv/bin/python detectors.py > detectors.json

The streams named `doctest` are those of the examples in river's own documentation, with its settings; what fires there is
printed in it: ADWIN 1023, Page-Hinkley 1006, KSWIN 1016, DDM warning 1084, drift 1334, warning 1492, EDDM 1059, 1278.
"""
import json
import random

import river
import scipy
from river import drift


def doctest_values():
    rng = random.Random(12345)
    return rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)


def doctest_errors():
    rng = random.Random(42)
    return rng.choices([0, 1], k=1000) + rng.choices([0, 1], k=1000, weights=[0.3, 0.7])


def errors(seed, *parts):
    rng = random.Random(seed)
    return [int(rng.random() < rate) for rate, count in parts for _ in range(count)]


def losses(seed, *parts):
    rng = random.Random(seed)
    return [round(rng.betavariate(a, b), 4) for a, b, count in parts for _ in range(count)]


STREAMS = {
    "doctestValues": doctest_values(),
    "doctestErrors": doctest_errors(),
    "step": errors(1, (0.2, 3000), (0.4, 3000), (0.1, 2000), (0.35, 2000)),
    "rare": errors(2, (0.02, 4000), (0.08, 4000)),
    "slow": errors(3, *[(0.1 + 0.03 * k, 600) for k in range(12)]),
    "losses": losses(4, (2, 8, 2500), (4, 6, 2500), (1, 9, 2000)),
}

SETTINGS = [
    ("adwin", {}),
    ("adwin", {"delta": 0.05, "clock": 1, "min_window_length": 3, "grace_period": 4}),
    ("page-hinkley", {}),
    ("page-hinkley", {"min_instances": 50, "delta": 0.01, "threshold": 8, "alpha": 0.999}),
    ("page-hinkley", {"threshold": 10, "mode": "up"}),
    ("kswin", {"alpha": 0.0001, "seed": 42}),
    ("kswin", {"seed": 7}),
    ("kswin", {"alpha": 0.01, "window_size": 600, "stat_size": 40, "seed": 5}),
    ("ddm", {}),
    ("ddm", {"warm_start": 100, "warning_threshold": 1.5, "drift_threshold": 2.5}),
    ("eddm", {}),
    ("eddm", {"alpha": 0.8, "beta": 0.75}),
]

DETECTORS = {
    "adwin": drift.ADWIN,
    "page-hinkley": drift.PageHinkley,
    "kswin": drift.KSWIN,
    "ddm": drift.binary.DDM,
    "eddm": drift.binary.EDDM,
}


def run(kind, settings, name):
    detector = DETECTORS[kind](**settings)
    drifts, warnings = [], []
    for at, x in enumerate(STREAMS[name]):
        detector.update(x)
        if detector.drift_detected:
            drifts.append(at)
        elif getattr(detector, "warning_detected", False):
            warnings.append(at)
    return {
        "kind": kind,
        "settings": settings,
        "stream": name,
        "drifts": drifts,
        "warnings": len(warnings),
        "firstWarning": warnings[0] if warnings else None,
    }


def runs():
    for kind, settings in SETTINGS:
        for name, stream in STREAMS.items():
            if kind in ("ddm", "eddm") and not set(stream) <= {0, 1}:
                continue
            yield run(kind, settings, name)


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "versions": {"river": river.__version__, "scipy": scipy.__version__},
                "streams": STREAMS,
                "runs": list(runs()),
            },
            separators=(",", ":"),
        )
    )
