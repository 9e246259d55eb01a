"""Writes reference.json: what SciPy, NumPy and statsmodels say about fixed inputs.

    python -m venv /tmp/venv
    /tmp/venv/bin/pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 mpmath==1.4.1
    cd test/protocol/statistics && /tmp/venv/bin/python reference.py > reference.json
"""
import json

import mpmath
import numpy as np
import scipy
import statsmodels
from scipy import special, stats
from scipy.spatial.distance import jensenshannon
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    proportion_confint,
    proportions_ztest,
)

mpmath.mp.dps = 60

PAIRS = [
    ([50, 60, 70, 80], [55, 58, 77, 70]),
    ([625] * 16, [20, 25, 31, 40, 44, 37, 30, 35, 28, 33, 29, 41, 36, 22, 27, 22]),
    ([100, 200, 300], [300, 200, 100]),
    ([12, 7, 9, 30], [9, 40, 22, 11]),
    ([5000, 5000, 5000], [9000, 500, 10]),
]


def psi(r, c):
    r, c = np.array(r, float), np.array(c, float)
    p = (r + 0.5) / (r.sum() + len(r) / 2)
    q = (c + 0.5) / (c.sum() + len(c) / 2)
    return float(np.sum((q - p) * np.log(q / p)))


def pair(r, c):
    chi = stats.chi2_contingency([r, c], correction=False)
    fr, fc = np.array(r) / sum(r), np.array(c) / sum(c)
    gap = float(np.max(np.abs(np.cumsum(fr) - np.cumsum(fc))))
    t = gap * np.sqrt(sum(r) * sum(c) / (sum(r) + sum(c)))
    return {
        "reference": r,
        "current": c,
        "chiSquare": float(chi.statistic),
        "df": int(chi.dof),
        "logP": chi_square_log_sf(chi.statistic, chi.dof),
        "psi": psi(r, c),
        "jensenShannon": float(jensenshannon(r, c, base=2)),
        "lInfinity": float(np.max(np.abs(fr - fc))),
        "ks": gap,
        "ksP": float(stats.kstwobign.sf(t)),
    }


def wasserstein():
    rng = np.random.default_rng(7)
    reference = np.round(rng.normal(20, 4, 400), 3)
    current = np.round(np.concatenate([rng.normal(22, 5, 150), [0.0] * 30]), 3)
    return {
        "reference": reference.tolist(),
        "current": current.tolist(),
        "distance": float(stats.wasserstein_distance(reference, current)),
        "sigma": float(reference.std()),
    }


def chi_square_log_sf(x, df):
    """By mpmath, because SciPy's chi2.logsf is -inf below the smallest float64."""
    tail = mpmath.gammainc(mpmath.mpf(df) / 2, mpmath.mpf(x) / 2, mpmath.inf, regularized=True)
    log_p = float(mpmath.log(tail))
    scipy_log_p = stats.chi2.logsf(x, df)
    assert np.isneginf(scipy_log_p) or np.isclose(log_p, scipy_log_p, rtol=1e-9), (x, df)
    return log_p


def log_e_value(log_p):
    p = mpmath.exp(log_p)
    return float(mpmath.log((1 - p + p * log_p) / (p * mpmath.mpf(log_p) ** 2)))


def equal_samples_log_p(n, steps):
    """Of two samples of n values whose distribution functions lie steps / n apart at most."""
    a = np.arange(n)
    return float(np.log(stats.ks_2samp(a, a + steps - 0.5, method="exact").pvalue))


P_VALUES = [0.01, 0.02, 0.03, 0.04, 0.5, 0.9, 1.0, 0.0, 0.0004, 0.02, 0.3]
print(
    json.dumps(
        {
            "versions": {
                "mpmath": mpmath.__version__,
                "numpy": np.__version__,
                "scipy": scipy.__version__,
                "statsmodels": statsmodels.__version__,
            },
            "pairs": [pair(r, c) for r, c in PAIRS],
            "chiSquareLogSurvival": [
                [x, df, chi_square_log_sf(x, df)]
                for df in (1, 2, 3, 31, 64, 255)
                for x in (1e-3, 0.5, 3.0, 30.0, 250.0, 700.0, 1400.0, 5000.0, 1e6)
                # 0.0 for the logarithm of a p-value that rounds to 1 is no reference.
                if stats.chi2.cdf(x, df) > 1e-12
            ],
            "kolmogorovLogSurvival": [
                [t, float(np.log(stats.kstwobign.sf(t)))]
                for t in (0.3, 0.5, 0.8, 1.0, 1.17, 1.18, 1.36, 2.0, 5.0, 15.0)
            ],
            "logGamma": [[x, float(special.gammaln(x))] for x in (0.5, 1, 1.5, 4.2, 32, 127.5)],
            "wilson": [
                [k, n, *map(float, proportion_confint(k, n, alpha=0.05, method="wilson"))]
                for k, n in ((0, 10), (1, 10), (5, 10), (10, 10), (45, 509), (1, 100000))
            ],
            "newcombe": [
                [a, m, b, n, *map(float, confint_proportions_2indep(a, m, b, n, method="newcomb"))]
                for a, m, b, n in ((45, 500, 60, 480), (0, 12, 5, 40), (9, 9, 3, 10), (500, 900, 20, 800))
            ],
            "normalQuantile": [
                [p, float(stats.norm.ppf(p))]
                for p in (1e-300, 1e-20, 1e-4, 0.025, 0.3, 0.4999, 0.5, 0.51, 0.9, 0.975, 0.9999)
            ],
            "normalLogSurvival": [
                [z, float(stats.norm.logsf(z))] for z in (-9.0, -1.0, -1e-3, 0.0, 0.2, 1.96, 8.0, 40.0)
            ],
            "equalSamplesLogP": [
                [n, steps, equal_samples_log_p(n, steps)]
                for n, steps in ((30, 2), (30, 4), (30, 11), (30, 14), (30, 30), (7, 3), (500, 60), (300, 30))
            ],
            "twoProportions": [
                [a, m, b, n, *map(float, proportions_ztest([b, a], [n, m]))]
                for a, m, b, n in ((45, 500, 60, 480), (10, 1000, 10, 1000), (500, 900, 20, 800))
            ],
            "benjaminiHochberg": [
                P_VALUES,
                stats.false_discovery_control(P_VALUES, method="bh").tolist(),
            ],
            "logEValue": [
                [log_p, log_e_value(log_p)]
                for log_p in (-1e6, -2000.0, -700.0, -20.0, -3.0, -0.51, -0.49, -0.1, -1e-5, -1e-12)
            ],
            "wasserstein": wasserstein(),
        },
        indent=1,
        allow_nan=False,
    )
)
