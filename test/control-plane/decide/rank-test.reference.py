"""Writes rank-test.reference.json: what SciPy's Mann-Whitney test says about counts on ordered cells.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install numpy==2.4.6 scipy==1.17.1
    cd test/control-plane/decide && /tmp/venv/bin/python rank-test.reference.py > rank-test.reference.json
"""
import json

import numpy as np
import scipy
from scipy import stats

PAIRS = [
    ([50, 60, 70, 80], [55, 58, 77, 70]),
    ([625] * 16, [20, 25, 31, 40, 44, 37, 30, 35, 28, 33, 29, 41, 36, 22, 27, 22]),
    ([100, 200, 300], [300, 200, 100]),
    ([12, 0, 9, 30], [9, 40, 0, 11]),
    ([1000] * 4, [20, 25, 30, 35]),
]


def case(reference, current):
    x = np.repeat(np.arange(len(current)), current)
    y = np.repeat(np.arange(len(reference)), reference)
    result = stats.mannwhitneyu(x, y, alternative="two-sided", method="asymptotic", use_continuity=False)
    return {"reference": reference, "current": current, "pValue": result.pvalue, "above": bool(np.mean(x) > np.mean(y))}


print(json.dumps({
    "numpy": np.__version__,
    "scipy": scipy.__version__,
    "cases": [case(*pair) for pair in PAIRS],
}, indent=2))
