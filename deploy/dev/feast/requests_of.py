"""The requests that Atoll is compared with Feast's Python server on, in the order in which they are sent.

Times are written as "{T-60}": 60 seconds before the comparison starts, as ISO with a Z; "{T-60|naive}" without
a zone, "{T-60|space}" with a space, "{T-60|offset}" with +02:00. A string as body is sent as it stands.
"""

READ = "/get-online-features"
PUSH = "/push"
WRITE = "/write-to-online-store"


class Requests:
    """Collects requests under names that say what each is about."""

    def __init__(self):
        self.all = []

    def add(self, name, path, body, method="POST"):
        self.all.append({"name": name, "method": method, "path": path, "body": body})

    def read(self, name, entities, features=None, service=None, **others):
        body = {"entities": entities}
        if features is not None:
            body["features"] = features
        if service is not None:
            body["feature_service"] = service
        self.add(name, READ, body | others)

    def write(self, name, view, df, **others):
        self.add(name, WRITE, {"feature_view_name": view, "df": df} | others)

    def push(self, name, source, df, **others):
        self.add(name, PUSH, {"push_source_name": source, "df": df} | others)


def activity(customers, **columns):
    """A frame of customer_activity with plain values where none are given."""
    rows = len(customers)
    frame = {
        "customer_id": customers,
        "orders_30d": list(range(1, rows + 1)),
        "spend_30d": [10.5 * row for row in range(1, rows + 1)],
        "segment": ["regular"] * rows,
        "event_timestamp": ["{T-3600}"] * rows,
    }
    frame.update(columns)
    return {name: column for name, column in frame.items() if column is not None}


def popularity(items, **columns):
    rows = len(items)
    frame = {
        "stock_code": items,
        "views_10m": [100 + row for row in range(rows)],
        "price": [2.5] * rows,
        "segment": ["home"] * rows,
        "event_timestamp": ["{T-60}"] * rows,
    }
    frame.update(columns)
    return {name: column for name, column in frame.items() if column is not None}


def affinity(customers, items, **columns):
    rows = len(customers)
    frame = {
        "customer_id": customers,
        "stock_code": items,
        "bought": list(range(rows)),
        "score": [0.25] * rows,
        "event_timestamp": ["{T-60}"] * rows,
    }
    frame.update(columns)
    return {name: column for name, column in frame.items() if column is not None}


def types(customers, **columns):
    rows = len(customers)
    frame = {
        "customer_id": customers,
        "flag": [True] * rows,
        "small": [-7] * rows,
        "big": [2**53 + 1] * rows,
        "single": [0.5] * rows,
        "double": [0.1] * rows,
        "text": ["päivää"] * rows,
        "raw": [None] * rows,
        "seen": [None] * rows,
        "flags": [[True, False]] * rows,
        "smalls": [[1, 2]] * rows,
        "bigs": [[3, 4]] * rows,
        "singles": [[0.5, 1.5]] * rows,
        "doubles": [[0.1]] * rows,
        "texts": [["a", "b"]] * rows,
        "event_timestamp": ["{T-60}"] * rows,
    }
    frame.update(columns)
    return {name: column for name, column in frame.items() if column is not None}


ACTIVITY = [
    "customer_activity:orders_30d",
    "customer_activity:spend_30d",
    "customer_activity:segment",
]
POPULARITY = ["item_popularity:views_10m", "item_popularity:price"]
AFFINITY = ["customer_item_affinity:bought", "customer_item_affinity:score"]
TYPES = [
    "flag",
    "small",
    "big",
    "single",
    "double",
    "text",
    "raw",
    "seen",
    "flags",
    "smalls",
    "bigs",
    "singles",
    "doubles",
    "texts",
]


def fill(r):
    """Rows that the reads below find."""
    r.add("the server is healthy", "/health", None, method="GET")
    r.read("an empty store has nothing", {"customer_id": [1]}, ACTIVITY)
    r.write("customers are written", "customer_activity", activity([1, 2, 3, 4, 5]))
    r.push("items are pushed", "item_popularity", popularity(["a", "b", "c", "päivää"]))
    r.write("pairs are written", "customer_item_affinity", affinity([1, 1, 2], ["a", "b", "a"]))
    r.write("rows of every type are written", "every_type", types([1, 2]))
    r.push(
        "a push names where it goes",
        "customer_activity",
        activity([6], event_timestamp=["{T-10}"]),
        to="online",
    )
    r.write(
        "one customer with a null",
        "customer_activity",
        activity([7, 8], spend_30d=[None, 3.5], segment=[None, "new"]),
    )
    r.write(
        "an expired customer",
        "customer_activity",
        activity([9], event_timestamp=["{T-3456000}"]),
    )
    r.write("an expired item", "item_popularity", popularity(["old"], event_timestamp=["{T-7200}"]))
    r.write(
        "times without a zone are UTC",
        "customer_activity",
        activity([10], event_timestamp=["{T-120|naive}"]),
    )
    r.write(
        "times with a space",
        "customer_activity",
        activity([11], event_timestamp=["{T-130|space}"]),
    )
    r.write(
        "times of another zone",
        "customer_activity",
        activity([12], event_timestamp=["{T-140|offset}"]),
    )
    r.write(
        "a created column",
        "customer_activity",
        activity([13], created=["{T-30}"]),
    )
    r.write(
        "a created column of nulls",
        "customer_activity",
        activity([14], created=[None]),
    )
    r.write("no transformation", "customer_activity", activity([15]), transform_on_write=False)
    r.write("without the registry's cache", "customer_activity", activity([16]), allow_registry_cache=False)
    r.push("push without the registry's cache", "item_popularity", popularity(["d"]), allow_registry_cache=False)
    r.push("push without a transformation", "item_popularity", popularity(["e"]), transform_on_write=False)
    r.write("columns that nobody asked for", "customer_activity", activity([17], colour=["red"]))
    r.write("more columns in another order", "item_popularity", dict(reversed(popularity(["f", "g"]).items())))


def reads(r):
    """Lookups of many shapes that succeed."""
    for feature in ACTIVITY:
        r.read(f"one feature {feature}", {"customer_id": [1]}, [feature])
        r.read(f"one feature of many {feature}", {"customer_id": [1, 2, 3, 99]}, [feature])
    for feature in POPULARITY + ["item_popularity:segment"]:
        r.read(f"one item, {feature}", {"stock_code": ["a"]}, [feature])
        r.read(f"items, some missing, {feature}", {"stock_code": ["a", "zz", "b", ""]}, [feature])
    for feature in AFFINITY:
        r.read(f"a pair, {feature}", {"customer_id": [1], "stock_code": ["a"]}, [feature])
        r.read(f"pairs, {feature}", {"customer_id": [1, 2, 2], "stock_code": ["b", "a", "b"]}, [feature])
    for name in TYPES:
        r.read(f"type of {name}", {"customer_id": [1]}, [f"every_type:{name}"])
        r.read(f"type of {name}, some missing", {"customer_id": [2, 77]}, [f"every_type:{name}"])
    r.read("all of a view", {"customer_id": [1, 2]}, ACTIVITY)
    r.read("all of a view backwards", {"customer_id": [2, 1]}, ACTIVITY[::-1])
    r.read("full names", {"customer_id": [1, 2]}, ACTIVITY, full_feature_names=True)
    r.read("short names said so", {"customer_id": [1]}, ACTIVITY, full_feature_names=False)
    r.read("two views", {"customer_id": [1, 2], "stock_code": ["a", "b"]}, ACTIVITY[:2] + POPULARITY)
    r.read("two views, interleaved", {"customer_id": [1], "stock_code": ["a"]}, [ACTIVITY[0], POPULARITY[0], ACTIVITY[1], POPULARITY[1]])
    r.read("three views, full names", {"customer_id": [1, 2], "stock_code": ["a", "b"]}, ACTIVITY[:1] + POPULARITY + AFFINITY, full_feature_names=True)
    r.read("keys in another order", {"stock_code": ["a", "b"], "customer_id": [1, 2]}, ACTIVITY[:1] + POPULARITY[:1])
    r.read("a user repeated for candidates", {"customer_id": [1] * 5, "stock_code": ["a", "b", "c", "zz", "a"]}, ACTIVITY + POPULARITY)
    r.read("duplicates", {"customer_id": [1, 1, 2, 1, 99, 99]}, ACTIVITY)
    r.read("duplicate pairs", {"customer_id": [1, 1], "stock_code": ["a", "a"]}, AFFINITY)
    r.read("every type at once", {"customer_id": [1, 2, 3]}, [f"every_type:{name}" for name in TYPES])
    r.read("fifty candidates", {"customer_id": [1] * 50, "stock_code": [f"i{n}" for n in range(48)] + ["a", "b"]}, ACTIVITY[:1] + POPULARITY)
    r.read("nulls", {"customer_id": [7, 8]}, ACTIVITY)
    r.read("an expired row", {"customer_id": [9]}, ACTIVITY)
    r.read("an expired row among others", {"stock_code": ["a", "old", "zz"]}, POPULARITY)
    for customer in (10, 11, 12, 13, 14, 15, 16, 17):
        r.read(f"what was written for {customer}", {"customer_id": [customer]}, ACTIVITY)
    r.read("pushed without cache or transformation", {"stock_code": ["d", "e", "f", "g"]}, POPULARITY)
    r.read("pushed", {"customer_id": [6]}, ACTIVITY)
    r.read("not ascii", {"stock_code": ["päivää"]}, POPULARITY)
    r.read("a negative key", {"customer_id": [-1]}, ACTIVITY[:1])
    r.read("the largest key", {"customer_id": [2**63 - 1]}, ACTIVITY[:1])
    r.read("one feature twice", {"customer_id": [1]}, [ACTIVITY[0], ACTIVITY[0]], full_feature_names=True)
    r.read("service", {"customer_id": [1, 2], "stock_code": ["a", "b"]}, service="recommendations_v1")
    r.read("service, full names", {"customer_id": [1], "stock_code": ["a"]}, service="recommendations_v1", full_feature_names=True)
    r.read("service of one view", {"customer_id": [1, 2]}, service="types_v1")
    r.read("service of pairs", {"customer_id": [1, 2], "stock_code": ["a", "zz"]}, service="affinities_v1")
    r.read("service, missing entities", {"customer_id": [99], "stock_code": ["zz"]}, service="recommendations_v1")
    r.read("service and features: the service counts", {"customer_id": [1], "stock_code": ["a"]}, ["item_popularity:price"], service="recommendations_v1")
    r.read("service null", {"customer_id": [1]}, ACTIVITY[:1], service=None)
    r.add("service is null", READ, {"entities": {"customer_id": [1]}, "feature_service": None, "features": ACTIVITY[:1]})
    r.read("unknown keys of the body are ignored", {"customer_id": [1]}, ACTIVITY[:1], colour="red")
    r.read("version metadata", {"customer_id": [1]}, ACTIVITY[:1], include_feature_view_version_metadata=False)
    r.read("integers that are whole floats", {"customer_id": [1.0]}, ACTIVITY[:1])
    r.read("integers as text", {"customer_id": ["1", "2"]}, ACTIVITY[:1])


def faults_of_reads(r):
    """Lookups at fault."""
    r.read("unknown view", {"customer_id": [1]}, ["nothing:orders_30d"])
    r.read("unknown feature", {"customer_id": [1]}, ["customer_activity:nothing"])
    r.read("unknown feature among known", {"customer_id": [1]}, [ACTIVITY[0], "customer_activity:nothing"])
    r.read("unknown service", {"customer_id": [1]}, service="nothing_v1")
    r.read("a reference without a colon", {"customer_id": [1]}, ["orders_30d"])
    r.read("a reference with two colons", {"customer_id": [1]}, ["customer_activity:orders_30d:x"])
    r.read("an empty reference", {"customer_id": [1]}, [""])
    r.read("no features", {"customer_id": [1]}, [])
    r.read("neither service nor features", {"customer_id": [1]})
    r.read("the service's name is empty", {"customer_id": [1]}, ACTIVITY[:1], service="")
    r.read("names that collide", {"customer_id": [1], "stock_code": ["a"]}, ["customer_activity:segment", "item_popularity:segment"])
    r.read("names that would collide, in full", {"customer_id": [1], "stock_code": ["a"]}, ["customer_activity:segment", "item_popularity:segment"], full_feature_names=True)
    r.read("one feature twice by its short name", {"customer_id": [1]}, [ACTIVITY[0], ACTIVITY[0]])
    r.read("no key", {}, ACTIVITY[:1])
    r.read("another key", {"item": ["a"]}, ACTIVITY[:1])
    r.read("half of a pair", {"customer_id": [1]}, AFFINITY)
    r.read("a key too many", {"customer_id": [1], "stock_code": ["a"]}, ACTIVITY[:1])
    r.read("a key that nothing has", {"customer_id": [1], "colour": ["red"]}, ACTIVITY[:1])
    r.read("unequal lengths", {"customer_id": [1, 2], "stock_code": ["a"]}, ACTIVITY[:1] + POPULARITY[:1])
    r.read("no rows", {"customer_id": []}, ACTIVITY[:1])
    r.read("a null key", {"customer_id": [None]}, ACTIVITY[:1])
    r.read("a null key among others", {"customer_id": [1, None]}, ACTIVITY[:1])
    r.read("text for an integer", {"customer_id": ["x"]}, ACTIVITY[:1])
    r.read("an integer for text", {"stock_code": [5]}, POPULARITY[:1])
    r.read("a fraction for an integer", {"customer_id": [1.5]}, ACTIVITY[:1])
    r.read("a flag for an integer", {"customer_id": [True]}, ACTIVITY[:1])
    r.read("a list for a key", {"customer_id": [[1]]}, ACTIVITY[:1])
    r.read("an object for a key", {"customer_id": [{"a": 1}]}, ACTIVITY[:1])
    r.read("a key beyond 64 bits", {"customer_id": [2**63]}, ACTIVITY[:1])
    r.read("a scalar and not a list", {"customer_id": 1}, ACTIVITY[:1])
    r.read("text and not a list", {"stock_code": "a"}, POPULARITY[:1])
    r.read("null and not a list", {"customer_id": None}, ACTIVITY[:1])
    r.read("entities are a list", [{"customer_id": 1}], ACTIVITY[:1])
    r.read("features are text", {"customer_id": [1]}, "customer_activity:orders_30d")
    r.read("features are numbers", {"customer_id": [1]}, [1])
    r.read("features are null", {"customer_id": [1]}, None)
    r.add("features say null", READ, {"entities": {"customer_id": [1]}, "features": None})
    r.read("the service is a number", {"customer_id": [1]}, service=5)
    r.read("full names as text", {"customer_id": [1]}, ACTIVITY[:1], full_feature_names="true")
    r.read("full names as a number", {"customer_id": [1]}, ACTIVITY[:1], full_feature_names=1)
    r.read("full names as neither", {"customer_id": [1]}, ACTIVITY[:1], full_feature_names="perhaps")
    r.read("full names null", {"customer_id": [1]}, ACTIVITY[:1], full_feature_names=None)
    r.add("no entities", READ, {"features": ACTIVITY[:1]})
    r.add("an empty object", READ, {})
    r.add("a list", READ, [])
    r.add("a number", READ, 5)
    r.add("null", READ, "null")
    r.add("an empty body", READ, "")
    r.add("a body that is not JSON", READ, "{\"entities\": ")
    r.add("a body that ends in a comma", READ, "{\"entities\": {\"customer_id\": [1]},}")
    r.add("a text", READ, "\"hello\"")
    r.add("lookups are posted", READ, None, method="GET")
    r.add("health is not posted", "/health", {}, method="POST")
    r.add("a path of nobody", "/nothing", {}, method="POST")
    r.add("nothing to get", "/nothing", None, method="GET")
    r.add("writes are posted", WRITE, None, method="GET")
    r.add("pushes are posted", PUSH, None, method="DELETE")


def faults_of_writes(r):
    """Writes and pushes at fault, and what is left after them."""
    r.write("unknown view to write", "nothing", activity([1]))
    r.push("unknown push source", "nothing", activity([1]))
    r.push("push to nowhere", "customer_activity", activity([1]), to="sideways")
    r.push("push to null", "customer_activity", activity([1]), to=None)
    r.write("an empty frame", "customer_activity", {})
    r.push("an empty push", "customer_activity", {})
    r.write("a frame of no rows", "customer_activity", activity([]))
    r.write("columns of unequal lengths", "customer_activity", activity([20, 21], orders_30d=[1]))
    r.push("pushed columns of unequal lengths", "customer_activity", activity([20, 21], orders_30d=[1]))
    r.write("no key column", "customer_activity", activity([22], customer_id=None))
    r.write("no event time", "customer_activity", activity([22], event_timestamp=None))
    r.write("a missing feature column", "customer_activity", activity([22], segment=None))
    r.push("a missing feature column pushed", "customer_activity", activity([22], segment=None))
    r.write("text for a number", "customer_activity", activity([22], orders_30d=["many"]))
    r.write("a fraction for an integer, written", "customer_activity", activity([22], orders_30d=[1.5]))
    r.write("a number for a text", "customer_activity", activity([22], segment=[5]))
    r.write("an event time that is none", "customer_activity", activity([22], event_timestamp=["soon"]))
    r.write("a null event time", "customer_activity", activity([22], event_timestamp=[None]))
    r.write("a null key, written", "customer_activity", activity([22], customer_id=[None]))
    r.write("a text as key", "customer_activity", activity([22], customer_id=["x"]))
    r.write("a scalar frame", "customer_activity", {"customer_id": 1})
    r.write("the frame is a list", "customer_activity", [])
    r.write("the frame is text", "customer_activity", "x")
    r.write("the frame is null", "customer_activity", None)
    r.write("the view is a number", 5, activity([22]))
    r.write("the view is null", None, activity([22]))
    r.push("the source is null", None, activity([22]))
    r.push("the push goes to a number", "customer_activity", activity([22]), to=5)
    r.write("a flag as text", "customer_activity", activity([22]), allow_registry_cache="perhaps")
    r.add("nothing to write", WRITE, {})
    r.add("no frame", WRITE, {"feature_view_name": "customer_activity"})
    r.add("no view", WRITE, {"df": {}})
    r.add("nothing to push", PUSH, {})
    r.add("a push of no frame", PUSH, {"push_source_name": "customer_activity"})
    r.add("a write that is not JSON", WRITE, "{")
    r.add("a push that is not JSON", PUSH, "{]")
    r.add("a write that is a list", WRITE, [])
    r.read("nothing of it was written", {"customer_id": [20, 21, 22]}, ACTIVITY)


def writes(r):
    """Rows that change, and what is read then."""
    r.write("a newer row", "customer_activity", activity([2], orders_30d=[50], event_timestamp=["{T-30}"]))
    r.read("the newer row is read", {"customer_id": [1, 2]}, ACTIVITY)
    r.push("a newer row is pushed", "item_popularity", popularity(["a"], views_10m=[7], event_timestamp=["{T-20}"]), to="online")
    r.read("the pushed row is read", {"stock_code": ["a", "b"]}, POPULARITY)
    r.write("one key twice, the later one counts", "customer_activity", activity([30, 30], orders_30d=[1, 2], event_timestamp=["{T-50}", "{T-40}"]))
    r.read("the later one is read", {"customer_id": [30]}, ACTIVITY)
    r.write("the same row again", "customer_activity", activity([2], orders_30d=[50], event_timestamp=["{T-30}"]))
    r.read("and nothing changed", {"customer_id": [2]}, ACTIVITY)
    r.write("nulls over values", "customer_activity", activity([3], orders_30d=[None], spend_30d=[None], segment=[None], event_timestamp=["{T-20}"]))
    r.read("nulls are read", {"customer_id": [3]}, ACTIVITY)
    r.write("a hundred rows", "item_popularity", popularity([f"n{n}" for n in range(100)]))
    r.read("a hundred rows are read", {"stock_code": [f"n{n}" for n in range(100)]}, POPULARITY)
    r.write("whole numbers for floats", "customer_activity", activity([31], spend_30d=[5]))
    r.read("are floats", {"customer_id": [31]}, ACTIVITY)
    r.write("lists that are empty or null", "every_type", types([32, 33], texts=[[], None], bigs=[None, []], doubles=[[], [1.5, 2.5]]))
    r.read("lists that are empty or null are read", {"customer_id": [32, 33]}, [f"every_type:{name}" for name in ("texts", "bigs", "doubles")])
    r.write("times as numbers", "every_type", types([34], seen=[1700000000]))
    r.read("times as numbers are read", {"customer_id": [34]}, ["every_type:seen"])
    r.write("times as text", "every_type", types([35], seen=["2023-11-14T22:13:20Z"]))
    r.read("times as text are read", {"customer_id": [35]}, ["every_type:seen"])
    r.write("bytes as text", "every_type", types([36], raw=["aGk="]))
    r.read("bytes as text are read", {"customer_id": [36]}, ["every_type:raw"])
    r.write("extreme numbers", "every_type", types([37], small=[2**31 - 1], big=[-(2**63)], single=[3.4e38], double=[1e308]))
    r.read("extreme numbers are read", {"customer_id": [37]}, ["every_type:small", "every_type:big", "every_type:single", "every_type:double"])
    r.write("parts of a second", "customer_activity", activity([38], event_timestamp=["{T-10.25}"]))
    r.read("parts of a second are read", {"customer_id": [38]}, ACTIVITY[:1])
    r.write("a pair changes", "customer_item_affinity", affinity([1], ["a"], bought=[9], event_timestamp=["{T-5}"]))
    r.read("the pair is read", {"customer_id": [1, 1], "stock_code": ["a", "b"]}, AFFINITY)
    r.push("pairs are pushed", "customer_item_affinity", affinity([40, 41], ["x", "y"]))
    r.read("pushed pairs are read", {"customer_id": [40, 41, 40], "stock_code": ["x", "y", "y"]}, AFFINITY)


def requests():
    """All of them."""
    collected = Requests()
    for group in (fill, reads, faults_of_reads, faults_of_writes, writes):
        group(collected)
    return collected.all
