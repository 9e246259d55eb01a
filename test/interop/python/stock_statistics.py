"""What SciPy, scikit-learn, Fairlearn, AIF360, Evidently and river say of the data on standard input.

Input and output are one JSON document each. `../../protocol/statistics/golden/stock.py` calls `answer` for the golden file,
`statistics.test.ts` runs this file on other data; who reads the answers compares them with protocol/statistics.
"""
import json
import logging
import sys
import warnings

# AIF360 names on its way what it could do with TensorFlow.
logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

import numpy as np
import pandas as pd
from aif360.datasets import BinaryLabelDataset
from aif360.metrics import ClassificationMetric
from evidently.legacy.calculations.stattests import (
    jensenshannon_stat_test,
    psi_stat_test,
    wasserstein_stat_test,
    z_stat_test,
)
from evidently.legacy.core import ColumnType
from fairlearn import metrics as fairlearn
from river import drift
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn import metrics as sklearn
from sklearn.isotonic import IsotonicRegression

DETECTORS = {
    "adwin": drift.ADWIN,
    "page-hinkley": drift.PageHinkley,
    "kswin": lambda: drift.KSWIN(seed=0),
    "ddm": drift.binary.DDM,
    "eddm": drift.binary.EDDM,
}


def versions():
    from importlib.metadata import version

    return {
        name: version(name)
        for name in ("aif360", "evidently", "fairlearn", "numpy", "pandas", "river", "scikit-learn", "scipy")
    }


def evidently(test, reference, current, kind):
    result = test.func(pd.Series(reference), pd.Series(current), kind, 0.1)
    return float(result[0])


def distances(reference, current):
    """Of two samples of whole numbers with at most 20 different ones, which Evidently gives a bin each."""
    values = sorted(set(reference) | set(current))
    before = [reference.count(value) for value in values]
    now = [current.count(value) for value in values]
    chi = stats.chi2_contingency([before, now], correction=False)
    binary = ([int(x == values[0]) for x in reference], [int(x == values[0]) for x in current])
    numeric = ColumnType.Numerical
    return {
        "values": values,
        "ks": float(stats.ks_2samp(reference, current).statistic),
        "chiSquare": float(chi.statistic),
        "chiSquareLogP": float(stats.chi2.logsf(chi.statistic, chi.dof)),
        "jensenShannonBits": float(jensenshannon(before, now, base=2)),
        "wasserstein": float(stats.wasserstein_distance(reference, current) / np.std(reference)),
        "evidently": {
            "psi": evidently(psi_stat_test, reference, current, numeric),
            "jensenShannonNats": evidently(jensenshannon_stat_test, reference, current, numeric),
            "wasserstein": evidently(wasserstein_stat_test, reference, current, numeric),
            "zTestP": evidently(z_stat_test, *binary, ColumnType.Categorical),
        },
    }


def fairness(y, predicted, group):
    named = {"y_true": y, "y_pred": predicted, "sensitive_features": group}
    odds = fairlearn.equalized_odds_difference
    return {
        "fairlearn": {
            "demographicParityDifference": fairlearn.demographic_parity_difference(**named),
            "demographicParityRatio": fairlearn.demographic_parity_ratio(**named),
            "equalOpportunityDifference": fairlearn.equal_opportunity_difference(**named),
            "equalOpportunityRatio": fairlearn.equal_opportunity_ratio(**named),
            "equalizedOddsDifference": odds(**named),
            "equalizedOddsRatio": fairlearn.equalized_odds_ratio(**named),
            "averageOddsDifference": odds(**named, agg="mean"),
        },
        "aif360": aif360(y, predicted, group),
    }


def aif360(y, predicted, group):
    """Group 1 against the privileged group 0; others are left out."""
    frame = pd.DataFrame({"y": y, "group": group, "predicted": predicted}, dtype=float)
    frame = frame[frame.group <= 1]

    def dataset(label):
        data = frame[["group", label]].rename(columns={label: "label"})
        return BinaryLabelDataset(df=data, label_names=["label"], protected_attribute_names=["group"])

    metric = ClassificationMetric(
        dataset("y"),
        dataset("predicted"),
        unprivileged_groups=[{"group": 1}],
        privileged_groups=[{"group": 0}],
    )
    ppv = [metric.positive_predictive_value(privileged=privileged) for privileged in (False, True)]
    return {
        "statisticalParityDifference": metric.statistical_parity_difference(),
        "disparateImpact": metric.disparate_impact(),
        "equalOpportunityDifference": metric.equal_opportunity_difference(),
        "averageOddsDifference": metric.average_odds_difference(),
        "averageOddsError": metric.average_abs_odds_difference(),
        "predictiveParityDifference": ppv[0] - ppv[1],
    }


def binary(y, predicted):
    return {
        "accuracy": sklearn.accuracy_score(y, predicted),
        "precision": sklearn.precision_score(y, predicted),
        "recall": sklearn.recall_score(y, predicted),
        "specificity": sklearn.recall_score(y, predicted, pos_label=0),
        "f1": sklearn.f1_score(y, predicted),
        "balancedAccuracy": sklearn.balanced_accuracy_score(y, predicted),
        "matthews": sklearn.matthews_corrcoef(y, predicted),
    }


def multiclass(y, predicted):
    return {
        "accuracy": sklearn.accuracy_score(y, predicted),
        "macroPrecision": sklearn.precision_score(y, predicted, average="macro"),
        "macroRecall": sklearn.recall_score(y, predicted, average="macro"),
        "macroF1": sklearn.f1_score(y, predicted, average="macro"),
        "kappa": sklearn.cohen_kappa_score(y, predicted),
    }


def scored(y, score, bins):
    """AUC and isotonic regression of scores that are known by their bin and the mean score of it."""
    y, score = np.array(y), np.array(score)
    at = np.minimum((score * bins).astype(int), bins - 1)
    mean = np.array([score[at == k].mean() if (at == k).any() else np.nan for k in range(bins)])
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(mean[at], y)
    ones, zeros = at[y == 1], at[y == 0]
    # DeLong et al. 1988 as they write it: the share of the other class that each row beats.
    beats = (ones[:, None] > zeros[None, :]) + 0.5 * (ones[:, None] == zeros[None, :])
    variance = beats.mean(axis=1).var(ddof=1) / len(ones) + beats.mean(axis=0).var(ddof=1) / len(zeros)
    probability = np.array([isotonic.predict([x])[0] for x in np.linspace(0, 1, 41)])
    gaps = [abs(y[at == k].mean() - mean[k]) * (at == k).sum() for k in range(bins) if (at == k).any()]
    return {
        "auc": float(sklearn.roc_auc_score(y, at)),
        "deLongError": float(np.sqrt(variance)),
        "isotonic": probability.tolist(),
        "calibrationError": float(np.sum(gaps) / len(y)),
    }


def regression(y, predicted):
    return {
        "bias": float(np.mean(np.array(predicted) - np.array(y))),
        "meanAbsoluteError": sklearn.mean_absolute_error(y, predicted),
        "rootMeanSquaredError": sklearn.root_mean_squared_error(y, predicted),
        "rSquared": sklearn.r2_score(y, predicted),
    }


def detectors(stream):
    fired = {}
    for kind, make in DETECTORS.items():
        detector = make()
        fired[kind] = []
        for at, x in enumerate(stream):
            detector.update(x)
            if detector.drift_detected:
                fired[kind].append(at)
    return fired


def answer(data):
    decisions, classes = data["decisions"], data["classes"]
    return {
        "versions": versions(),
        "distances": distances(data["reference"], data["current"]),
        "fairness": fairness(decisions["y"], decisions["predicted"], decisions["group"]),
        "binary": binary(decisions["y"], decisions["predicted"]),
        "multiclass": multiclass(classes["y"], classes["predicted"]),
        "scored": scored(decisions["y"], decisions["score"], data["bins"]),
        "regression": regression(data["values"]["y"], data["values"]["predicted"]),
        "detectors": detectors(data["stream"]),
        "adjusted": stats.false_discovery_control(data["pValues"], method="bh").tolist(),
    }


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout, default=float)
