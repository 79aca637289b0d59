"""What a Feast repository can hold and no definition of Atoll can say, or says otherwise: what `atoll import feast`
is tested on beside the plain shapes of ../repo."""

from datetime import timedelta

import pandas as pd

from feast import (
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    LabelView,
    PushSource,
    RequestSource,
    ValueType,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Bool, Float32, Float64, Int64, Json, Map, Set, String, UnixTimestamp, Uuid

user = Entity(name="User", join_keys=["UserId"], value_type=ValueType.INT64, owner="me@shop.example")
item = Entity(name="item", join_keys=["sku"], value_type=ValueType.STRING)
# Its name is what the entities of another view are called together.
pair = Entity(name="user_item", join_keys=["pair"], value_type=ValueType.STRING)
moment = Entity(name="moment", join_keys=["at"], value_type=ValueType.UNIX_TIMESTAMP)
score = Entity(name="score", join_keys=["score"], value_type=ValueType.DOUBLE)


def source(name: str) -> FileSource:
    """A batch source that is never read."""
    return FileSource(name=name, path=f"data/{name}.parquet", timestamp_field="event_timestamp")


clicks_batch = source("clicks_batch")
clicks = FeatureView(
    name="Clicks",
    entities=[user],
    ttl=timedelta(minutes=90),
    schema=[
        Field(name="UserId", dtype=Int64),
        Field(name="Count", dtype=Int64),
        Field(name="event_time", dtype=UnixTimestamp),
        Field(name="embedding", dtype=Array(Float32), vector_index=True, vector_length=4),
        Field(name="seen", dtype=Array(UnixTimestamp)),
        Field(name="profile", dtype=Map),
        Field(name="settings", dtype=Json),
        Field(name="colours", dtype=Set(String)),
        Field(name="session", dtype=Uuid),
    ],
    source=PushSource(name="clicks_push", batch_source=clicks_batch),
    tags={"core": ""},
)
pairs = FeatureView(
    name="pairs",
    entities=[pair],
    ttl=timedelta(0),
    schema=[Field(name="pair", dtype=String), Field(name="together", dtype=Int64)],
    source=source("pairs_batch"),
)
both = FeatureView(
    name="both",
    entities=[user, item],
    schema=[
        Field(name="UserId", dtype=Int64),
        Field(name="sku", dtype=String),
        Field(name="bought", dtype=Bool),
    ],
    source=source("both_batch"),
)
moments = FeatureView(
    name="moments",
    entities=[moment],
    schema=[Field(name="at", dtype=UnixTimestamp), Field(name="sales", dtype=Float64)],
    source=source("moments_batch"),
)
scores = FeatureView(
    name="scores",
    entities=[score],
    schema=[Field(name="score", dtype=Float64), Field(name="rank", dtype=Int64)],
    source=source("scores_batch"),
)
everywhere = FeatureView(
    name="everywhere",
    entities=[],
    schema=[Field(name="rate", dtype=Float64)],
    source=source("everywhere_batch"),
)
only_maps = FeatureView(
    name="only_maps",
    entities=[item],
    schema=[Field(name="sku", dtype=String), Field(name="m", dtype=Map)],
    source=source("only_maps_batch"),
)

asked = RequestSource(name="asked", schema=[Field(name="extra", dtype=Int64)])


@on_demand_feature_view(sources=[both, asked], schema=[Field(name="more", dtype=Int64)])
def more(inputs: pd.DataFrame) -> pd.DataFrame:
    """A transformation at the time of a request."""
    return pd.DataFrame({"more": inputs["extra"] + 1})


labels = LabelView(
    name="labels",
    entities=[item],
    schema=[
        Field(name="sku", dtype=String),
        Field(name="is_good", dtype=Int64),
        Field(name="labeler", dtype=String),
    ],
    source=PushSource(name="labels_push", batch_source=source("labels_batch")),
    labeler_field="labeler",
)

model = FeatureService(
    name="model",
    features=[
        clicks[["Count", "profile"]].with_name("mine"),
        pairs.with_join_key_map({"pair": "couple"}),
        both,
        more,
        everywhere,
    ],
)
nothing = FeatureService(name="nothing", features=[everywhere, only_maps])
