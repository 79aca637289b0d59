"""The shapes of Atoll's sample data as a Feast repository: what the real feature server is compared on."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import (
    Array,
    Bool,
    Bytes,
    Float32,
    Float64,
    Int32,
    Int64,
    String,
    UnixTimestamp,
)

customer = Entity(
    name="customer",
    join_keys=["customer_id"],
    value_type=ValueType.INT64,
    description="who buys",
    tags={"team": "growth"},
)
item = Entity(name="item", join_keys=["stock_code"], value_type=ValueType.STRING)


def source(name: str) -> PushSource:
    """Rows come by /push and /write-to-online-store; the file is never read."""
    batch = FileSource(
        name=f"{name}_batch", path=f"data/{name}.parquet", timestamp_field="event_timestamp"
    )
    return PushSource(name=name, batch_source=batch)


customer_activity = FeatureView(
    name="customer_activity",
    entities=[customer],
    ttl=timedelta(days=30),
    schema=[
        Field(name="orders_30d", dtype=Int64, description="orders in the last 30 days"),
        Field(name="spend_30d", dtype=Float64),
        Field(name="segment", dtype=String),
    ],
    source=source("customer_activity"),
    owner="growth@shop.example",
    description="what a customer did lately",
    tags={"core": "yes"},
)

item_popularity = FeatureView(
    name="item_popularity",
    entities=[item],
    ttl=timedelta(hours=1),
    schema=[
        Field(name="views_10m", dtype=Int64),
        Field(name="price", dtype=Float32),
        Field(name="segment", dtype=String, description="the name collides with a customer's"),
    ],
    source=source("item_popularity"),
)

customer_item_affinity = FeatureView(
    name="customer_item_affinity",
    entities=[customer, item],
    ttl=timedelta(0),
    schema=[
        Field(name="bought", dtype=Int64),
        Field(name="score", dtype=Float64),
    ],
    source=source("customer_item_affinity"),
)

every_type = FeatureView(
    name="every_type",
    entities=[customer],
    ttl=timedelta(0),
    schema=[
        Field(name="flag", dtype=Bool),
        Field(name="small", dtype=Int32),
        Field(name="big", dtype=Int64),
        Field(name="single", dtype=Float32),
        Field(name="double", dtype=Float64),
        Field(name="text", dtype=String),
        Field(name="raw", dtype=Bytes),
        Field(name="seen", dtype=UnixTimestamp),
        Field(name="flags", dtype=Array(Bool)),
        Field(name="smalls", dtype=Array(Int32)),
        Field(name="bigs", dtype=Array(Int64)),
        Field(name="singles", dtype=Array(Float32)),
        Field(name="doubles", dtype=Array(Float64)),
        Field(name="texts", dtype=Array(String)),
    ],
    source=source("every_type"),
)

recommendations = FeatureService(
    name="recommendations_v1",
    features=[customer_activity, item_popularity[["views_10m"]]],
    owner="growth@shop.example",
    description="what the first model reads",
    tags={"model": "first"},
)
affinities = FeatureService(
    name="affinities_v1",
    features=[customer_item_affinity, customer_activity[["orders_30d"]]],
)
types = FeatureService(name="types_v1", features=[every_type])
