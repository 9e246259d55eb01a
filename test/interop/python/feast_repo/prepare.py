"""Writes the source tables beside feature_store.yaml, applies the definitions and fills the online store.

Drivers: 1001 complete, 1002 with a null in each type, 1003 older than its view's lifetime of a day; 1004 is in no table.
"""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
from feast import FeatureStore

import features

HERE = Path(__file__).parent
NOW = datetime.now(timezone.utc)


def write_tables() -> None:
    fresh = NOW - timedelta(minutes=10)
    stale = NOW - timedelta(days=3)
    drivers = pd.DataFrame(
        {
            "driver_id": pd.array([1001, 1002, 1003], dtype="int64"),
            "conv_rate": pd.array([0.1, None, 0.75], dtype="Float32"),
            "acc_rate": pd.array([0.1, None, 0.3], dtype="Float64"),
            "trips": pd.array([9007199254740993, -(2**63), 7], dtype="int64"),
            "complaints": pd.array([3, None, 1], dtype="Int64"),
            "city": pd.array(["Zürich", None, "Bern"], dtype="string"),
            "flagged": pd.array([True, None, False], dtype="boolean"),
            "event_timestamp": [fresh, fresh, stale],
        }
    )
    drivers.to_parquet(HERE / "driver_stats.parquet")
    shops = pd.DataFrame(
        {
            "shop_code": ["a-1", "b-2"],
            "rating": [4.5, -0.0],
            "city": ["Genève", "Basel"],
            "event_timestamp": [fresh, stale],
        }
    )
    shops.to_parquet(HERE / "shop_profile.parquet")


write_tables()
store = FeatureStore(repo_path=str(HERE))
store.apply(
    [
        features.driver,
        features.shop,
        features.driver_stats,
        features.shop_profile,
        features.driver_activity,
    ]
)
store.materialize(start_date=NOW - timedelta(days=30), end_date=NOW)
