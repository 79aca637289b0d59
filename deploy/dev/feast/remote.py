"""What remote.sh has the Feast SDK do with Atoll as its online store: writes, pushes, reads.

    remote.py SHOP DRIVERS

are the folders of the two repositories. Ends with 1 at the first difference, and says which.
"""

import math
import sys
import warnings
from datetime import datetime, timedelta, timezone

import pandas as pd
from feast import FeatureStore
from feast.data_source import PushMode
from feast.errors import FeatureViewNotFoundException

warnings.filterwarnings("ignore")
NOW = datetime.now(timezone.utc).replace(microsecond=0)
checks = 0


def check(what: str, found, expected) -> None:
    """Equal, with the same types, all the way down."""
    global checks
    if repr(found) != repr(expected):
        sys.exit(f"{what}:\n  found    {found!r}\n  expected {expected!r}")
    checks += 1
    print(f"ok: {what}")


def read(store: FeatureStore, features, rows, **more) -> dict:
    return store.get_online_features(features=features, entity_rows=rows, **more).to_dict()


def customers(store: FeatureStore) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": [1, 2, 3],
            "event_timestamp": [NOW, NOW, NOW],
            "orders_30d": [4, 9007199254740993, 0],
            "spend_30d": [12.5, -0.25, math.pi],
            "segment": ["new", "großkunde", ""],
        }
    )
    store.write_to_online_store("customer_activity", df=frame)
    rows = [{"customer_id": number} for number in (2, 1, 99, 3)]
    names = ["orders_30d", "spend_30d", "segment"]
    features = [f"customer_activity:{name}" for name in names]
    expected = {
        "customer_id": [2, 1, 99, 3],
        "orders_30d": [9007199254740993, 4, None, 0],
        "spend_30d": [-0.25, 12.5, None, math.pi],
        "segment": ["großkunde", "new", None, ""],
    }
    found = read(store, features, rows)
    check("written rows come back, and an unknown key is null", by_name(found), by_name(expected))

    older = frame.assign(event_timestamp=NOW - timedelta(hours=1), orders_30d=[7, 7, 7])
    store.write_to_online_store("customer_activity", df=older)
    check("an older event changes nothing", read(store, features, rows), found)
    newer = frame.assign(event_timestamp=NOW + timedelta(seconds=1), orders_30d=[5, 5, 5])
    store.write_to_online_store("customer_activity", df=newer)
    orders = read(store, ["customer_activity:orders_30d"], rows)["orders_30d"]
    check("a newer one does", orders, [5, 5, None, 5])


def items(store: FeatureStore) -> None:
    frame = pd.DataFrame(
        {
            "stock_code": ["85123A", "71053", "old"],
            "event_timestamp": [NOW, NOW, NOW - timedelta(hours=2)],
            "views_10m": [120, 7, 1],
            "price": [2.5, 0.75, 1.0],
            "segment": ["lamps", "mugs", "gone"],
        }
    )
    store.push("item_popularity", frame, to=PushMode.ONLINE)
    rows = [{"stock_code": code, "customer_id": 1} for code in ("71053", "85123A", "old")]
    service = store.get_feature_service("recommendations_v1")
    found = read(store, service, rows, full_feature_names=True)
    expected = {
        "stock_code": ["71053", "85123A", "old"],
        "customer_id": [1, 1, 1],
        "customer_activity__orders_30d": [5, 5, 5],
        "customer_activity__spend_30d": [12.5, 12.5, 12.5],
        "customer_activity__segment": ["new", "new", "new"],
        "item_popularity__views_10m": [7, 120, None],
    }
    what = "a service over two entities by full names; what is past its ttl is null"
    check(what, by_name(found), by_name(expected))


def pairs(store: FeatureStore) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": [1, 1],
            "stock_code": ["71053", "85123A"],
            "event_timestamp": [NOW, NOW],
            "bought": [3, 1],
            "score": [0.5, 0.125],
        }
    )
    store.write_to_online_store("customer_item_affinity", df=frame)
    rows = [{"customer_id": 1, "stock_code": code} for code in ("85123A", "none", "71053")]
    found = read(store, store.get_feature_service("affinities_v1"), rows)
    expected = {
        "customer_id": [1, 1, 1],
        "stock_code": ["85123A", "none", "71053"],
        "bought": [1, None, 3],
        "score": [0.125, None, 0.5],
        "orders_30d": [5, 5, 5],
    }
    check("a view of two entities beside one of one", by_name(found), by_name(expected))


def types(store: FeatureStore) -> None:
    # Bytes have no JSON in Feast's remote client, which fails on them before it sends anything.
    values = {
        "flag": True,
        "small": -5,
        "big": 2**53 + 1,
        "single": 0.5,
        "double": 0.1,
        "text": "text",
        "raw": None,
        "seen": NOW,
        "flags": [True, False],
        "smalls": [1, -2],
        "bigs": [2**53 + 1],
        "singles": [0.5, -1.5],
        "doubles": [0.1],
        "texts": ["a", ""],
    }
    frame = pd.DataFrame(
        {"customer_id": [1], "event_timestamp": [NOW], **{name: [value] for name, value in values.items()}}
    )
    store.write_to_online_store("every_type", df=frame)
    found = read(store, [f"every_type:{name}" for name in values], [{"customer_id": 1}])
    # Feast's feature server answers times as whole seconds, too.
    values["seen"] = int(NOW.timestamp())
    expected = {"customer_id": [1], **{name: [value] for name, value in values.items()}}
    check("values of all types but bytes", by_name(found), by_name(expected))


def drivers(store: FeatureStore, folder: str) -> None:
    """Feast's own sample: its batch file is written, and each driver's latest row is compared."""
    views = ["driver_hourly_stats", "driver_hourly_stats_fresh"]
    batch = pd.read_parquet(f"{folder}/data/driver_stats.parquet")
    batch = batch[batch["event_timestamp"] >= NOW - timedelta(hours=23)]
    for view in views:
        # In no order of time: the newest event of each driver stands all the same.
        store.write_to_online_store(view, df=batch.sample(frac=1, random_state=1))
    batch = batch.sort_values(["event_timestamp", "created"]).groupby("driver_id").tail(1)
    rows = [{"driver_id": int(number)} for number in batch["driver_id"]]
    names = ["conv_rate", "acc_rate", "avg_daily_trips"]
    for view in views:
        found = read(store, [f"{view}:{name}" for name in names], rows)
        for name in names:
            stored = batch[name].tolist()
            as_floats = [value if isinstance(value, int) else single(value) for value in found[name]]
            check(f"the newest of {len(rows)} drivers by {view}:{name}", as_floats, stored)
    refuses(
        "a materialization, which needs an offline store",
        "/materialize",
        lambda: store.materialize(NOW - timedelta(days=1), NOW, feature_views=views),
    )
    ratio = ["transformed_conv_rate:conv_rate_plus_val1"]
    refuses("a transformation", "transformed_conv_rate", lambda: read(store, ratio, rows))


def refuses(what: str, words: str, call) -> None:
    """With an error that names what is not there."""
    try:
        call()
    except (RuntimeError, FeatureViewNotFoundException) as error:
        check(f"{what} is refused by name", words in str(error), True)
    else:
        sys.exit(f"{what} was answered")


def single(value: float) -> float:
    """The nearest float32, as the file has it."""
    return float(pd.Series([value], dtype="float32")[0])


def by_name(columns: dict) -> dict:
    return dict(sorted(columns.items()))


def main() -> None:
    shop, folder = sys.argv[1:]
    store = FeatureStore(shop)
    for part in (customers, items, pairs, types):
        part(store)
    drivers(FeatureStore(folder), folder)
    print(f"{checks} checks hold")


main()
