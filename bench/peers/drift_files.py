"""Writes two Parquet files for drift-report: reference.parquet and current.parquet in the folder given.

Arguments: folder rows. Forty numeric columns (normal, lognormal, gamma, rounded, zero-inflated; a fifth has nulls) and
ten categorical ones (3 to 40 values, one of 5,000). Seeded. In `current`, two of each kind have moved.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMERIC = 40
CATEGORICAL = 10


def numeric(rng, k, rows, moved):
    shape = k % 5
    if shape == 0:
        values = rng.normal(10 * k, 2, rows) + (0.8 if moved else 0)
    elif shape == 1:
        values = rng.lognormal(1, 0.8, rows) * (1.3 if moved else 1)
    elif shape == 2:
        values = rng.gamma(2, 3, rows)
    elif shape == 3:
        values = np.round(rng.normal(50, 12, rows), 1)
    else:
        values = np.where(rng.random(rows) < 0.4, 0.0, rng.exponential(5, rows))
    missing = rng.random(rows) < 0.02 if k % 5 == 2 else None
    return pa.array(values, mask=missing)


def categorical(rng, k, rows, moved):
    size = 5000 if k == 9 else 3 + 4 * k
    weights = 1 / np.arange(1, size + 1)
    if moved:
        weights[:2] = weights[:2][::-1]
    codes = rng.choice(size, rows, p=weights / weights.sum())
    names = np.array([f"value-{code}" for code in range(size)])
    return pa.array(names[codes])


def write(path, seed, rows, drifted):
    rng = np.random.default_rng(seed)
    columns = {f"n{k}": numeric(rng, k, rows, drifted and k < 2) for k in range(NUMERIC)}
    columns |= {f"c{k}": categorical(rng, k, rows, drifted and k < 2) for k in range(CATEGORICAL)}
    pq.write_table(pa.table(columns), path)


folder, rows = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
write(folder / "reference.parquet", 1, rows, False)
write(folder / "current.parquet", 2, rows, True)
