//! The gather step against an oracle that looks at one cell at a time.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use bytes::Bytes;
use gateway::{catalog::View, edge::Deadline};
use proptest::{collection::vec, option, prelude::*};
use proto::{
    hlc::Hlc,
    id::{FeatureId, RegionId, SchemaVersion, ShardId, ViewId},
    key::Key,
    row::{Cell, Content, Row, Slot},
    schema::{Column, Combine, RowSchema},
    shard::Copies,
    time::EventTime,
    types::Type,
    value::{self, Value},
    version::Version,
};
use std::time::Duration;
use support::{
    START_MICROS, World,
    catalog::{catalog, combined, entity, feature, view, with_default},
};
use wire::{codec::joined, twin};

/// The ttl that the times are drawn around; a longer one, or none, lies beyond the floor.
const TTL: u64 = 50;
const TTLS: [Option<u64>; 3] = [Some(TTL), Some(200), None];
const FLOOR: u64 = START_MICROS - 80;
const REGIONS: u16 = 3;

/// The columns: name, type in the older schema (none: added later), type now, combine, default.
struct Spec {
    name: &'static str,
    old: Option<&'static str>,
    ty: &'static str,
    combine: Combine,
    default: Option<Value>,
}

fn specs() -> Vec<Spec> {
    let spec = |name, old, ty, combine, default| Spec {
        name,
        old,
        ty,
        combine,
        default,
    };
    let latest = Combine::Latest;
    vec![
        spec("a", Some("int32"), "int64", latest, Some(Value::Int64(-1))),
        spec("b", Some("float32"), "float64", latest, None),
        spec(
            "c",
            Some("string"),
            "string",
            latest,
            Some(Value::String("none".into())),
        ),
        spec("d", Some("bool"), "bool", latest, None),
        spec(
            "e",
            Some("vector<float16, 3>"),
            "vector<float16, 3>",
            latest,
            None,
        ),
        spec(
            "f",
            Some("int32"),
            "int64",
            Combine::Sum,
            Some(Value::Int64(9)),
        ),
        spec("g", Some("list<string>"), "list<string>", latest, None),
        spec("h", None, "int32", latest, Some(Value::Int32(5))),
        spec(
            "i",
            None,
            "list<int64>",
            latest,
            Some(Value::List(vec![Value::Int64(1)])),
        ),
        spec("j", None, "int64", Combine::Max, None),
    ]
}

fn schema(is_old: bool) -> RowSchema {
    let columns = specs().into_iter().filter_map(|spec| {
        let ty = if is_old { spec.old? } else { spec.ty };
        Some(Column {
            ty: ty.parse().unwrap(),
            combine: spec.combine,
        })
    });
    RowSchema::new(
        ViewId(1),
        SchemaVersion(if is_old { 1 } else { 2 }),
        columns.collect(),
    )
}

fn random_view(ttl: Option<u64>) -> View {
    let definitions = specs()
        .into_iter()
        .map(|spec| match (spec.combine, spec.default) {
            (Combine::Latest, Some(default)) => with_default(spec.name, spec.ty, default),
            (Combine::Latest, None) => feature(spec.name, spec.ty),
            (combine, default) => support::catalog::Definition {
                default,
                ..combined(spec.name, spec.ty, combine)
            },
        });
    let customer = entity(1, "customer", &[("customer_id", "int64")], &[0]);
    View {
        ttl: ttl.map(Duration::from_micros),
        floor: EventTime::saturating(FLOOR),
        ..view(1, "v", &customer, 2, definitions.collect())
    }
}

/// Times around the present, the ttl and the floor.
fn times() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(START_MICROS - 10),
        1 => (0..100_u64).prop_map(|back| START_MICROS - back),
        1 => Just(START_MICROS - TTL),
        1 => Just(START_MICROS - TTL - 1),
        1 => Just(FLOOR),
        1 => Just(FLOOR - 1),
    ]
}

fn values(ty: Type) -> BoxedStrategy<Vec<u8>> {
    let text = prop_oneof![
        Just("x".to_owned()),
        Just(String::new()),
        Just("å".to_owned())
    ];
    match (ty, ty.width()) {
        (Type::Scalar(proto::types::Scalar::Bool), _) => {
            any::<bool>().prop_map(|flag| vec![u8::from(flag)]).boxed()
        }
        (_, Some(width)) => vec(any::<u8>(), width).boxed(),
        (Type::List(proto::types::Scalar::Int64), _) => vec(any::<[u8; 8]>(), 0..3)
            .prop_map(|items| items.concat())
            .boxed(),
        (Type::List(_), _) => {
            let list = vec(text.prop_map(Value::String), 0..3);
            list.prop_map(move |items| Value::List(items).encode(ty).unwrap())
                .boxed()
        }
        (Type::Scalar(_) | Type::Vector(..), None) => text.prop_map(String::into_bytes).boxed(),
    }
}

fn contents(ty: Type) -> impl Strategy<Value = Content> {
    prop_oneof![1 => Just(Content::Null), 5 => values(ty).prop_map(|bytes| Content::Value(bytes.into()))]
}

fn version(time: u64, region: u16) -> Version {
    Version {
        event_time: EventTime::saturating(time),
        write_time: Hlc(1),
        origin: RegionId(region),
    }
}

fn cells(column: Column) -> BoxedStrategy<Option<Cell>> {
    if column.combine == Combine::Latest {
        let latest = (times(), contents(column.ty));
        let cell = latest.prop_map(|(time, content)| Cell::Latest {
            version: version(time, 1),
            content,
        });
        return option::weighted(0.8, cell).boxed();
    }
    let slots = vec(
        option::of((times(), contents(column.ty))),
        usize::from(REGIONS),
    );
    slots
        .prop_map(|slots| {
            let slots = slots.into_iter().zip(1..).filter_map(|(slot, region)| {
                let (time, content) = slot?;
                Some(Slot {
                    region: RegionId(region),
                    version: version(time, region),
                    content,
                })
            });
            let slots: smallvec::SmallVec<[Slot; 1]> = slots.collect();
            (!slots.is_empty()).then_some(Cell::Slots(slots))
        })
        .boxed()
}

fn rows() -> impl Strategy<Value = (bool, Row)> {
    let of_schema = |is_old: bool| {
        let columns: Vec<_> = schema(is_old)
            .columns()
            .iter()
            .map(|column| cells(*column))
            .collect();
        (option::weighted(0.2, Just(version(FLOOR - 5, 1))), columns).prop_map(
            move |(deletion, mut cells)| {
                while cells.last().is_some_and(Option::is_none) {
                    cells.pop();
                }
                (is_old, Row { deletion, cells })
            },
        )
    };
    prop_oneof![
        of_schema(true),
        of_schema(false),
        plain_rows(true),
        plain_rows(false)
    ]
}

/// Most real rows hold a value in every column, all under one version: they take the path of bytes.
fn plain_rows(is_old: bool) -> impl Strategy<Value = (bool, Row)> {
    let columns: Vec<_> = schema(is_old)
        .columns()
        .iter()
        .map(|column| values(column.ty))
        .collect();
    (times(), columns).prop_map(move |(time, values)| {
        let mut row = Row::default();
        let version = version(time, 1);
        for ((column, value), place) in schema(is_old).columns().iter().zip(values).zip(0..) {
            let content = Content::Value(value.into());
            let slot = Slot {
                region: RegionId(1),
                version,
                content: content.clone(),
            };
            let cell = match column.combine {
                Combine::Latest => Cell::Latest { version, content },
                _ => Cell::Slots([slot].into_iter().collect()),
            };
            row.set(FeatureId(place), cell);
        }
        (is_old, row)
    })
}

/// What the oracle expects of one place.
#[derive(Debug, PartialEq)]
struct Expected {
    status: u8,
    time: u64,
    bytes: Option<Vec<u8>>,
}

struct Rules {
    has_failed: bool,
    defaults: bool,
    ttl: Option<u64>,
}

fn expected(stored: Option<&(bool, Row)>, place: u16, rules: &Rules) -> Expected {
    let bare = |status| Expected {
        status,
        time: 0,
        bytes: None,
    };
    let spec = &specs()[usize::from(place)];
    let ty: Type = spec.ty.parse().unwrap();
    let not_found = || match spec.default.as_ref().filter(|_| rules.defaults) {
        None => bare(3),
        Some(default) => Expected {
            bytes: Some(default.encode(ty).unwrap()),
            ..bare(3 + 16)
        },
    };
    if rules.has_failed {
        return bare(5);
    }
    let Some(cell) = stored.and_then(|(_, row)| row.cell(FeatureId(place))) else {
        return not_found();
    };
    let was: Type = if stored.unwrap().0 {
        spec.old.unwrap().parse().unwrap()
    } else {
        ty
    };
    let parts = parts_of(cell, was, ty);
    let kept: Vec<_> = parts
        .into_iter()
        .filter(|(time, _)| *time >= FLOOR)
        .collect();
    let newest = |parts: &Parts| parts.iter().map(|(time, _)| *time).max();
    let Some(newest_kept) = newest(&kept) else {
        return not_found();
    };
    let young: Vec<_> = kept
        .into_iter()
        .filter(|(time, _)| rules.ttl.is_none_or(|ttl| *time >= START_MICROS - ttl))
        .collect();
    let Some(newest_young) = newest(&young) else {
        return Expected {
            status: 4,
            time: newest_kept,
            bytes: None,
        };
    };
    let values: Vec<_> = young
        .into_iter()
        .filter(|(_, value)| value.is_some())
        .collect();
    let Some(time) = newest(&values) else {
        return Expected {
            status: 2,
            time: newest_young,
            bytes: None,
        };
    };
    let bytes = combine(
        spec.combine,
        values.into_iter().flat_map(|(_, value)| value).collect(),
    );
    Expected {
        status: 1,
        time,
        bytes: Some(bytes),
    }
}

fn combine(how: Combine, values: Vec<Vec<u8>>) -> Vec<u8> {
    let number = |bytes: &Vec<u8>| i128::from(i64::from_le_bytes(bytes[..].try_into().unwrap()));
    let word = |number: i128| {
        (number.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
            .to_le_bytes()
            .to_vec()
    };
    let numbers = || values.iter().map(number);
    match how {
        Combine::Latest => values[0].clone(),
        Combine::Sum => word(numbers().sum()),
        Combine::Max => word(numbers().max().unwrap()),
        Combine::Min => word(numbers().min().unwrap()),
    }
}

/// Event times, with the values or nulls that hold them.
type Parts = Vec<(u64, Option<Vec<u8>>)>;

fn parts_of(cell: &Cell, was: Type, ty: Type) -> Parts {
    match cell {
        Cell::Latest { version, content } => {
            vec![(version.event_time.micros(), wide(content, was, ty))]
        }
        Cell::Slots(slots) => {
            let part = |slot: &Slot| {
                (
                    slot.version.event_time.micros(),
                    wide(&slot.content, was, ty),
                )
            };
            slots.iter().map(part).collect()
        }
    }
}

fn wide(content: &Content, from: Type, to: Type) -> Option<Vec<u8>> {
    match content {
        Content::Null => None,
        Content::Value(bytes) => value::widen(from, to, bytes),
    }
}

/// What the answer says of one place.
fn given(answer: &twin::LookupResponse, place: usize, row: usize) -> (Expected, Vec<u8>) {
    let column = &answer.columns[place];
    let status = match (column.statuses as usize).checked_sub(1) {
        None => 1,
        Some(array) => answer.statuses[array][row],
    };
    let times = joined(&answer.times[column.times as usize - 1].micros);
    let time = u64::from_le_bytes(*times[row * 8..].first_chunk().unwrap());
    let ty: Type = specs()[place].ty.parse().unwrap();
    let bytes = stored_bytes(column, ty, row);
    let has_value = status == 1 || status >= 16;
    (
        Expected {
            status,
            time,
            bytes: has_value.then(|| bytes.clone()),
        },
        bytes,
    )
}

fn stored_bytes(column: &twin::Column, ty: Type, row: usize) -> Vec<u8> {
    let fixed: Bytes = [
        &column.f64,
        &column.f32,
        &column.i64,
        &column.i32,
        &column.bools,
    ]
    .into_iter()
    .find(|pieces| !pieces.is_empty())
    .map_or(column.raw.clone(), |pieces| joined(pieces));
    let span = |ends: &[u32]| if row == 0 { 0 } else { ends[row - 1] as usize }..ends[row] as usize;
    match (ty, ty.width()) {
        (_, Some(width)) => fixed[row * width..(row + 1) * width].to_vec(),
        (Type::List(proto::types::Scalar::Int64), _) => {
            let items = span(&column.ends);
            fixed[items.start * 8..items.end * 8].to_vec()
        }
        (Type::List(_), _) => {
            let items = column.strings[span(&column.ends)].iter();
            let items = items.map(|text| Value::String(String::from_utf8(text.to_vec()).unwrap()));
            Value::List(items.collect()).encode(ty).unwrap()
        }
        (Type::Scalar(_) | Type::Vector(..), None) => column.strings[row].to_vec(),
    }
}

fn customer(number: i64) -> Key {
    let mut key = Key::new();
    key.push_number(number).unwrap();
    key
}

fn request(keys: &[i64], wanted: &[usize], defaults: bool) -> twin::LookupRequest {
    let names = wanted
        .iter()
        .map(|place| format!("v:{}", specs()[*place].name))
        .collect();
    let ints: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
    twin::LookupRequest {
        project: "shop".into(),
        select: Some(twin::lookup_request::Select::Features(twin::Features {
            names,
        })),
        rows: vec![twin::KeyColumn {
            name: "customer_id".into(),
            ints: vec![ints.into()],
            ..Default::default()
        }],
        event_times: true,
        no_defaults: !defaults,
        ..Default::default()
    }
}

fn lookup(world: &World, request: &twin::LookupRequest) -> twin::LookupResponse {
    let clock = std::sync::Arc::clone(&world.clock) as std::sync::Arc<dyn gateway::edge::Clock>;
    let rows =
        std::sync::Arc::clone(&world.rows) as std::sync::Arc<dyn gateway::lookup::fetch::Replicas>;
    let lookups = gateway::lookup::Lookups::new(rows, clock, "eu".into());
    let catalog = world.gateway.catalog().unwrap();
    let answer = lookups.lookup(&catalog, request, (Deadline(u64::MAX), None));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(answer).unwrap().answer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_place_is_what_the_oracle_says(
        stored in vec(option::weighted(0.9, rows()), 1..30),
        asked in vec(any::<prop::sample::Index>(), 1..40),
        wanted in prop::sample::subsequence((0..specs().len()).collect::<Vec<_>>(), 1..=specs().len()).prop_shuffle(),
        failed in vec(0..8_u16, 0..3),
        defaults: bool,
        ttl in prop::sample::select(&TTLS[..]),
    ) {
        let world = World::with(catalog(1, vec![random_view(ttl)], &[]));
        world.rows.learn_schema(schema(true));
        let sharding = world.gateway.catalog().unwrap().sharding;
        let shard_of = |number: usize| sharding.shard_of(proto::id::ProjectId(1), &customer(number as i64), Copies::Sharded);
        for (number, row) in stored.iter().enumerate() {
            if let Some((is_old, row)) = row && (row.has_cells() || row.deletion.is_some()) {
                let version = SchemaVersion(if *is_old { 1 } else { 2 });
                world.rows.put(ViewId(1), &customer(number as i64), shard_of(number), version, row.clone());
            }
        }
        world.rows.fail(failed.iter().copied().map(ShardId));
        let asked: Vec<usize> = asked.iter().map(|index| index.index(stored.len())).collect();
        let keys: Vec<i64> = asked.iter().map(|number| *number as i64).collect();
        let answer = lookup(&world, &request(&keys, &wanted, defaults));
        let renamed: Vec<&str> = answer.columns.iter().map(|column| column.feature.as_str()).collect();
        prop_assert_eq!(renamed, wanted.iter().map(|place| format!("v:{}", specs()[*place].name)).collect::<Vec<_>>());
        let by_place = reorder(answer, &wanted);
        for (row, number) in asked.iter().enumerate() {
            let has_failed = failed.contains(&shard_of(*number).0);
            for place in &wanted {
                let rules = Rules { has_failed, defaults, ttl };
                let expected = expected(stored[*number].as_ref(), *place as u16, &rules);
                let (given, bytes) = given(&by_place, *place, row);
                prop_assert_eq!(&given, &expected, "row {} feature {}", row, specs()[*place].name);
                let is_empty = bytes.iter().all(|byte| *byte == 0);
                prop_assert!(given.bytes.is_some() || is_empty, "a place without a value holds nothing");
            }
        }
    }
}

/// The answer with its columns at their features' places.
fn reorder(mut answer: twin::LookupResponse, wanted: &[usize]) -> twin::LookupResponse {
    let mut columns = vec![twin::Column::default(); specs().len()];
    for (column, place) in answer.columns.drain(..).zip(wanted) {
        columns[*place] = column;
    }
    answer.columns = columns;
    answer
}
