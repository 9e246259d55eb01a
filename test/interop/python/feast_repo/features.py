"""What the feature server of the interop tests knows: two views, one with a lifetime, and a service over both."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Bool, Float32, Float64, Int64, String

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
shop = Entity(name="shop", join_keys=["shop_code"], value_type=ValueType.STRING)

driver_stats = FeatureView(
    name="driver_stats",
    entities=[driver],
    ttl=timedelta(days=1),
    schema=[
        Field(name="conv_rate", dtype=Float32),
        Field(name="acc_rate", dtype=Float64),
        Field(name="trips", dtype=Int64),
        Field(name="complaints", dtype=Int64),
        Field(name="city", dtype=String),
        Field(name="flagged", dtype=Bool),
    ],
    source=FileSource(path="driver_stats.parquet", timestamp_field="event_timestamp"),
)

shop_profile = FeatureView(
    name="shop_profile",
    entities=[shop],
    ttl=timedelta(0),
    schema=[
        Field(name="rating", dtype=Float64),
        Field(name="city", dtype=String),
    ],
    source=FileSource(path="shop_profile.parquet", timestamp_field="event_timestamp"),
)

driver_activity = FeatureService(
    name="driver_activity",
    features=[driver_stats[["conv_rate", "trips"]], shop_profile[["rating"]]],
)
