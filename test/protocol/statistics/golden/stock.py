"""Writes stock.json: fixed data, and what the stock packages say of it. Their versions stand in the file.

    python -m venv /tmp/venv
    /tmp/venv/bin/pip install --no-deps -r test/interop/requirements-statistics.txt
    cd test/protocol/statistics/golden && /tmp/venv/bin/python stock.py > stock.json
"""
import json
import pathlib
import random
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "interop/python"))
from stock_statistics import answer

rng = random.Random(20261124)


def decision():
    group = rng.choices([0, 1, 2], weights=[5, 3, 1])[0]
    score = round(rng.betavariate(2 + 0.5 * group, 3), 4)
    y = int(rng.random() < score**1.2)
    return {"group": group, "score": score, "y": y, "predicted": int(score >= 0.5)}


def columns(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


classes = [rng.choices(range(4), weights=[5, 3, 2, 1])[0] for _ in range(800)]
values = [round(rng.gauss(50, 12), 3) for _ in range(500)]
data = {
    "reference": [min(9, max(0, round(rng.gauss(4, 1.6)))) for _ in range(3000)],
    "current": [min(9, max(0, round(rng.gauss(4.6, 1.9)))) for _ in range(1200)],
    "decisions": columns([decision() for _ in range(1500)]),
    "classes": {"y": classes, "predicted": [y if rng.random() < 0.7 else rng.randrange(4) for y in classes]},
    "values": {"y": values, "predicted": [round(y + rng.gauss(0.8, 5), 3) for y in values]},
    "stream": [int(rng.random() < rate) for rate in (0.15, 0.32, 0.2) for _ in range(2500)],
    "pValues": [round(rng.random() ** 3, 6) for _ in range(40)],
    "bins": 64,
}
json.dump({"data": data, "answer": answer(data)}, sys.stdout, default=float, separators=(",", ":"))
