//! What becomes of a row, by what stands.

use super::*;
use proto::{
    id::{FeatureId, SchemaVersion, ViewId},
    key::Key,
    record::{seal, stamp},
};
use raft::registry::{Registry, RegistryCommand, Request, parse_yaml, region};
use std::collections::BTreeMap;

const NOW_MILLIS: u64 = 1_795_000_000_000;
const EVENT: u64 = NOW_MILLIS * 1_000;

const DEFINITIONS: &str = "
project: shop
entities:
  - { name: customer, keys: [{ name: id, type: int64 }] }
views:
  - { name: facts, entity: customer, max_late: 1h, features: [{ name: a, type: int64 }, { name: b, type: int64 }] }
  - { name: log, entity: customer, order_by: write_time, features: [{ name: a, type: int64 }] }
  - { name: counts, entity: customer, features: [{ name: n, type: int64, combine: sum }] }
";

/// A registry with three views of one entity, in one region.
pub fn catalog() -> Catalog {
    catalog_of(&["eu"])
}

/// The same in several regions.
pub fn catalog_of(regions: &[&str]) -> Catalog {
    let mut registry = Registry::default();
    let region = |name: &&str| region::RegionSettings {
        name: name.parse().unwrap(),
        copies: 1,
        min_in_sync: 1,
        durability: region::Durability::Fsync,
        kafka: None,
        objects: None,
    };
    let founding = region::Founding {
        cluster: proto::id::ClusterId(1),
        name: "test".into(),
        sharding: proto::shard::Sharding {
            shards: 4,
            seed: 1,
            algorithm: proto::shard::ShardHash::Xxh3Multiply,
        },
        transport: region::Transport::Direct,
        max_offset_millis: 500,
        max_future_millis: 300_000,
    };
    let definitions = parse_yaml("test.yaml", DEFINITIONS).unwrap();
    for request in [
        Request::Found {
            founding,
            regions: regions.iter().map(region).collect(),
            security: None,
        },
        Request::Apply {
            definitions,
            prune: false,
            expect_revision: None,
            breaking: Default::default(),
        },
    ] {
        registry.apply(RegistryCommand {
            author: "test".into(),
            at_millis: 1,
            request,
        });
    }
    Catalog::of(&registry, &Catalog::default())
}

/// What stands, by view; as the index and the log would give it.
#[derive(Default)]
struct Stands(BTreeMap<u32, Vec<u8>>);

impl StandingRows for Stands {
    fn known(&self, row: RowKey<'_>) -> Known {
        let Some(bytes) = self.0.get(&row.view.0) else {
            return Known::Absent;
        };
        let record = RecordView::parse(bytes).unwrap();
        if record.is_full() {
            Known::Full(record.version().event_time)
        } else {
            Known::Other
        }
    }

    fn read(&self, row: RowKey<'_>) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(self.0.get(&row.view.0).cloned())
    }
}

struct Unreadable;

impl StandingRows for Unreadable {
    fn known(&self, _: RowKey<'_>) -> Known {
        Known::Other
    }

    fn read(&self, _: RowKey<'_>) -> Result<Option<Vec<u8>>, Refusal> {
        Err(Refusal::new(Reason::Damaged, "rot"))
    }
}

fn view(catalog: &Catalog, name: &str) -> ViewId {
    let found = catalog.views().find(|view| view.view.name.as_str() == name);
    found.unwrap().view.id
}

fn sent(catalog: &Catalog, name: &str, event_micros: u64, change: Change) -> WriteRow {
    row(catalog, name, 7, event_micros, change)
}

/// A row of customer `number`.
pub fn row(
    catalog: &Catalog,
    name: &str,
    number: i64,
    event_micros: u64,
    change: Change,
) -> WriteRow {
    let mut key = Key::new();
    key.push_number(number).unwrap();
    WriteRow {
        write: 0,
        row: 0,
        view: view(catalog, name),
        schema: SchemaVersion(1),
        hash: key.hash(proto::id::ProjectId(1), proto::id::EntityId(1)),
        key,
        event_time: EventTime::saturating(event_micros),
        change,
    }
}

/// Sets features by their ids.
pub fn set(cells: &[(u16, i64)]) -> Change {
    let cell = |(feature, value): &(u16, i64)| {
        (
            FeatureId(*feature),
            Content::Value(value.to_le_bytes().to_vec().into()),
        )
    };
    Change::Set(cells.iter().map(cell).collect())
}

fn run(catalog: &Catalog, row: WriteRow, standing: &impl StandingRows) -> Prepared {
    let terms = Terms {
        catalog,
        region: RegionId(1),
        slot: RegionId(1),
        stamp_at_least: Hlc::from_millis(NOW_MILLIS),
        max_future: Duration::from_mins(5),
    };
    prepare(&[row], &terms, standing)
}

/// Prepares, stamps and keeps the row as it would stand then.
fn write(
    catalog: &Catalog,
    stands: &mut Stands,
    stamp_counter: u64,
    row: WriteRow,
) -> Vec<RecordKind> {
    let (at, order) = (row.view.0, row.view);
    let prepared = run(catalog, row, stands);
    let mut kinds = Vec::new();
    for row in prepared.rows {
        for mut record in row.records {
            let hlc = Hlc(Hlc::from_millis(NOW_MILLIS).0 + stamp_counter);
            let is_write_time = row.order == Order::WriteTime;
            stamp(&mut record, hlc, is_write_time.then(|| hlc.event_time()));
            seal(&mut record.bytes, proto::id::Position(stamp_counter));
            let view = RecordView::parse(&record.bytes).unwrap();
            assert_eq!(view.view(), order);
            kinds.push(view.kind());
            if view.kind().is_indexed() {
                stands.0.insert(at, record.bytes);
            }
        }
    }
    kinds
}

fn cells(catalog: &Catalog, stands: &Stands, name: &str) -> Vec<Option<i64>> {
    let id = view(catalog, name);
    let record = RecordView::parse(&stands.0[&id.0]).unwrap();
    let row = record.to_row(catalog.view(id).unwrap().newest()).unwrap();
    let value = |cell: &Option<Cell>| match cell {
        Some(Cell::Latest {
            content: Content::Value(bytes),
            ..
        }) => Some(i64::from_le_bytes(bytes.as_ref().try_into().unwrap())),
        _ => None,
    };
    row.cells.iter().map(value).collect()
}

#[test]
fn a_row_that_sets_every_feature_replaces_an_older_whole_row_unread() {
    let (catalog, mut stands) = (catalog(), Stands::default());
    write(
        &catalog,
        &mut stands,
        1,
        sent(&catalog, "facts", EVENT, set(&[(0, 1), (1, 2)])),
    );
    let kinds = write(
        &catalog,
        &mut stands,
        2,
        sent(&catalog, "facts", EVENT + 1, set(&[(0, 3), (1, 4)])),
    );
    assert_eq!(kinds, [RecordKind::OwnDelta]);
    assert_eq!(cells(&catalog, &stands, "facts"), [Some(3), Some(4)]);
}

#[test]
fn a_row_that_cannot_be_read_is_not_taken_for_absent() {
    let catalog = catalog();
    let row = sent(&catalog, "facts", EVENT, set(&[(0, 1), (1, 2)]));
    let refused = run(&catalog, row, &Unreadable).outcome.rejected;
    assert_eq!(refused[0].refusal.reason, Reason::Damaged);
}

#[test]
fn an_older_row_is_shipped_and_changes_nothing() {
    let (catalog, mut stands) = (catalog(), Stands::default());
    write(
        &catalog,
        &mut stands,
        1,
        sent(&catalog, "facts", EVENT, set(&[(0, 1), (1, 2)])),
    );
    let late = sent(&catalog, "facts", EVENT - 5, set(&[(0, 9), (1, 9)]));
    assert_eq!(run(&catalog, late.clone(), &stands).outcome.superseded, 1);
    assert_eq!(write(&catalog, &mut stands, 2, late), [RecordKind::Delta]);
    assert_eq!(cells(&catalog, &stands, "facts"), [Some(1), Some(2)]);
}

#[test]
fn a_partial_row_is_shipped_as_sent_and_stored_merged() {
    let (catalog, mut stands) = (catalog(), Stands::default());
    write(
        &catalog,
        &mut stands,
        1,
        sent(&catalog, "facts", EVENT, set(&[(0, 1), (1, 2)])),
    );
    let kinds = write(
        &catalog,
        &mut stands,
        2,
        sent(&catalog, "facts", EVENT + 9, set(&[(1, 5)])),
    );
    assert_eq!(kinds, [RecordKind::Delta, RecordKind::Image]);
    assert_eq!(cells(&catalog, &stands, "facts"), [Some(1), Some(5)]);
}

#[test]
fn a_deletion_shadows_late_parts_and_lets_newer_ones_through() {
    let (catalog, mut stands) = (catalog(), Stands::default());
    write(
        &catalog,
        &mut stands,
        1,
        sent(&catalog, "facts", EVENT, set(&[(0, 1), (1, 2)])),
    );
    let kinds = write(
        &catalog,
        &mut stands,
        2,
        sent(&catalog, "facts", EVENT + 10, Change::Delete),
    );
    assert_eq!(kinds, [RecordKind::Tombstone]);
    let late = write(
        &catalog,
        &mut stands,
        3,
        sent(&catalog, "facts", EVENT + 9, set(&[(0, 7)])),
    );
    assert_eq!(late, [RecordKind::Delta]);
    let newer = write(
        &catalog,
        &mut stands,
        4,
        sent(&catalog, "facts", EVENT + 11, set(&[(0, 8)])),
    );
    assert_eq!(
        newer,
        [RecordKind::Delta, RecordKind::Image],
        "the deletion is remembered beside the cell"
    );
    assert_eq!(cells(&catalog, &stands, "facts"), [Some(8)]);
}

#[test]
fn under_write_time_the_later_write_wins_whatever_its_event_time() {
    let (catalog, mut stands) = (catalog(), Stands::default());
    write(
        &catalog,
        &mut stands,
        1,
        sent(&catalog, "log", EVENT + 500, set(&[(0, 1)])),
    );
    write(
        &catalog,
        &mut stands,
        2,
        sent(&catalog, "log", EVENT - 500, set(&[(0, 2)])),
    );
    assert_eq!(cells(&catalog, &stands, "log"), [Some(2)]);
}

#[test]
fn a_feature_that_combines_is_written_to_its_slot() {
    let (catalog, mut stands) = (catalog(), Stands::default());
    write(
        &catalog,
        &mut stands,
        1,
        sent(&catalog, "counts", EVENT, set(&[(0, 5)])),
    );
    let id = view(&catalog, "counts");
    let record = RecordView::parse(&stands.0[&id.0]).unwrap();
    let row = record.to_row(catalog.view(id).unwrap().newest()).unwrap();
    assert!(
        matches!(row.cell(FeatureId(0)), Some(Cell::Slots(slots)) if slots[0].region == RegionId(1))
    );
}

#[test]
fn event_times_too_far_ahead_and_too_late_are_refused_by_row() {
    let catalog = catalog();
    let refused = |event_micros| {
        let row = sent(&catalog, "facts", event_micros, set(&[(0, 1)]));
        run(&catalog, row, &Stands::default())
            .outcome
            .rejected
            .first()
            .map(|rejection| rejection.refusal.reason)
    };
    let (minute, hour) = (60_000_000, 3_600_000_000);
    assert_eq!(refused(EVENT + 5 * minute), None);
    assert_eq!(
        refused(EVENT + 5 * minute + 1_000),
        Some(Reason::EventTimeInFuture)
    );
    assert_eq!(refused(EVENT - hour), None);
    assert_eq!(refused(EVENT - hour - 1_000), Some(Reason::EventTimeTooOld));
}
