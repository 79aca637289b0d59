//! The merge rule as a user meets it: event time decides, not the order of arrival.

use super::process::Node;
use serde_json::{Value as Json, json};

const DEFINITIONS: &str = "
project: lab
entities:
  - name: thing
    keys: [{ name: id, type: int64 }]
views:
  - name: state
    version: 1
    entity: thing
    features:
      - { name: a, type: int64 }
      - { name: b, type: string }
      - { name: c, type: float64 }
";

fn node() -> Node {
    let node = Node::start();
    node.apply(DEFINITIONS);
    node
}

/// The n-th second of an hour long gone.
fn at(second: u32) -> String {
    format!("2024-03-01T10:00:{second:02}Z")
}

fn absent() -> Json {
    let never = json!([null, "NOT_FOUND", null]);
    json!({ "a": never, "b": never, "c": never })
}

fn present(value: impl Into<Json>, second: u32) -> Json {
    json!([value.into(), "PRESENT", at(second)])
}

/// How many rows of a write were accepted, and how many of these were superseded.
fn counts(answer: &Json) -> (u64, u64) {
    (
        answer["accepted"].as_u64().unwrap(),
        answer["superseded"].as_u64().unwrap(),
    )
}

#[test]
fn an_older_event_after_a_newer_one_is_accepted_and_changes_nothing() {
    let mut node = node();
    let newer = node.write(
        "state",
        json!([{ "id": 1, "event_time": at(20), "a": 2, "b": "new", "c": 2.5 }]),
    );
    assert_eq!(counts(&newer), (1, 0));
    let older = node.write(
        "state",
        json!([{ "id": 1, "event_time": at(10), "a": 1, "b": "old", "c": 1.5 }]),
    );
    assert_eq!(counts(&older), (1, 1));
    let expected = json!({ "a": present(2, 20), "b": present("new", 20), "c": present(2.5, 20) });
    assert_eq!(node.row("state", 1), expected);
    node.kill_and_restart();
    assert_eq!(node.row("state", 1), expected);
}

#[test]
fn a_partial_update_keeps_the_other_features_and_each_value_its_event_time() {
    let mut node = node();
    node.write(
        "state",
        json!([{ "id": 1, "event_time": at(10), "a": 1, "b": "x", "c": 0.5 }]),
    );
    node.write(
        "state",
        json!([{ "id": 1, "event_time": at(20), "b": "y" }]),
    );
    // Older than b and newer than c: one of its two features stands.
    let between = node.write(
        "state",
        json!([{ "id": 1, "event_time": at(15), "b": "z", "c": 1.5 }]),
    );
    assert_eq!(counts(&between), (1, 0));
    let expected = json!({ "a": present(1, 10), "b": present("y", 20), "c": present(1.5, 15) });
    assert_eq!(node.row("state", 1), expected);
    node.kill_and_restart();
    assert_eq!(node.row("state", 1), expected);
}

#[test]
fn null_is_a_value_and_an_absent_feature_is_none() {
    let node = node();
    node.write(
        "state",
        json!([{ "id": 1, "event_time": at(10), "a": 1, "b": "x" }]),
    );
    node.write(
        "state",
        json!([{ "id": 1, "event_time": at(20), "a": null }]),
    );
    let expected = json!({ "a": [null, "NULL_VALUE", at(20)], "b": present("x", 10), "c": [null, "NOT_FOUND", null] });
    assert_eq!(node.row("state", 1), expected);
}

#[test]
fn the_same_key_twice_in_one_request_keeps_the_requests_order() {
    let node = node();
    let answer = node.write(
        "state",
        json!([
            { "id": 1, "event_time": at(10), "a": 1, "b": "first" },
            { "id": 2, "event_time": at(10), "a": 7 },
            { "id": 1, "event_time": at(10), "a": 2 },
            { "id": 1, "event_time": at(10), "a": 3 },
            { "id": 1, "event_time": at(9), "a": 4 },
        ]),
    );
    assert_eq!(counts(&answer), (5, 1));
    let expected =
        json!({ "a": present(3, 10), "b": present("first", 10), "c": [null, "NOT_FOUND", null] });
    assert_eq!(node.row("state", 1), expected);
}

#[test]
fn a_late_partial_update_older_than_a_deletion_does_not_bring_the_row_back() {
    let mut node = node();
    node.write(
        "state",
        json!([{ "id": 1, "event_time": at(10), "a": 1, "b": "x", "c": 0.5 }]),
    );
    node.delete("state", &[1], &at(20));
    assert_eq!(node.row("state", 1), absent());
    let late = node.write("state", json!([{ "id": 1, "event_time": at(15), "a": 9 }]));
    assert_eq!(counts(&late), (1, 1));
    assert_eq!(node.row("state", 1), absent());
    // A newer one makes the row anew, with what it names and nothing of before; the deletion still
    // shadows what comes late.
    node.write(
        "state",
        json!([{ "id": 1, "event_time": at(30), "b": "again" }]),
    );
    let late = node.write(
        "state",
        json!([{ "id": 1, "event_time": at(19), "a": 9, "c": 9.0 }]),
    );
    assert_eq!(counts(&late), (1, 1));
    let never = json!([null, "NOT_FOUND", null]);
    let expected = json!({ "a": never, "b": present("again", 30), "c": never });
    assert_eq!(node.row("state", 1), expected);
    node.kill_and_restart();
    assert_eq!(node.row("state", 1), expected);
}

#[test]
fn of_an_update_and_a_deletion_of_the_same_event_time_the_later_written_stands() {
    let node = node();
    node.write("state", json!([{ "id": 1, "event_time": at(20), "a": 1 }]));
    node.delete("state", &[1], &at(20));
    assert_eq!(node.row("state", 1), absent());
    let late = node.write("state", json!([{ "id": 1, "event_time": at(20), "a": 2 }]));
    // Of equal event times the later write stands, so the row is made anew.
    assert_eq!(counts(&late), (1, 0));
    assert_eq!(node.row("state", 1)["a"], present(2, 20));
}

#[test]
fn an_older_deletion_takes_away_only_what_is_not_newer() {
    let node = node();
    node.write(
        "state",
        json!([{ "id": 1, "event_time": at(10), "a": 1, "b": "x" }]),
    );
    node.write(
        "state",
        json!([{ "id": 1, "event_time": at(30), "c": 0.5 }]),
    );
    node.delete("state", &[1], &at(20));
    let never = json!([null, "NOT_FOUND", null]);
    assert_eq!(
        node.row("state", 1),
        json!({ "a": never, "b": never, "c": present(0.5, 30) })
    );
}

/// What happens to a row, at one second each.
enum Event {
    Set(&'static str),
    Delete,
}

/// All orders of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1).into_iter();
    let longer = shorter.flat_map(|order| {
        (0..count).map(move |place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    });
    longer.collect()
}

#[test]
fn the_same_events_in_any_order_with_repeats_give_the_same_rows() {
    let mut node = node();
    let events = [
        Event::Set(r#"{ "a": 1, "b": "one", "c": 1.0 }"#),
        Event::Set(r#"{ "a": 2 }"#),
        Event::Delete,
        Event::Set(r#"{ "b": "four", "c": null }"#),
        Event::Set(r#"{ "b": "five" }"#),
    ];
    let orders = orders(events.len());
    // One row per order: in each step, every row gets the next event of its order. Then all of it
    // once more, backwards.
    let steps = (0..events.len()).chain((0..events.len()).rev());
    for step in steps {
        for (number, event) in events.iter().enumerate() {
            let rows = (0..)
                .zip(&orders)
                .filter(|(_, order)| order[step] == number);
            let ids: Vec<u64> = rows.map(|(id, _)| id).collect();
            let time = at(u32::try_from(number).unwrap() + 1);
            match event {
                Event::Delete => _ = node.delete("state", &ids, &time),
                Event::Set(features) => {
                    let row = |id: &u64| {
                        let mut row: Json = serde_json::from_str(features).unwrap();
                        row["id"] = json!(id);
                        row["event_time"] = json!(time);
                        row
                    };
                    node.write("state", ids.iter().map(row).collect());
                }
            }
        }
    }
    let expected = json!({
        "a": [null, "NOT_FOUND", null], "b": present("five", 5), "c": [null, "NULL_VALUE", at(4)],
    });
    let ids: Vec<u64> = (0..).take(orders.len()).collect();
    for _ in 0..2 {
        for (row, order) in node.rows("state", &ids).into_iter().zip(&orders) {
            assert_eq!(row, expected, "{order:?}");
        }
        node.kill_and_restart();
    }
}
