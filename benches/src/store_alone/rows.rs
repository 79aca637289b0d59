//! The rows that are written and read: one vector of 237 numbers each, 948 bytes that do not compress.

use bytes::Bytes;
use node::demo::lookups::Draw;
use proto::{
    hlc::Hlc,
    id::{EntityId, ProjectId, RegionId, SchemaVersion, ShardId, ViewId},
    key::Key,
    record::{self, RecordKind},
    row::{Cell, Content, Row},
    schema::{Column, RowSchema},
    time::EventTime,
    types::{Element, Type},
    version::Version,
};
use store::{Copy, Plan, Run};

/// The one view.
pub const VIEW: ViewId = ViewId(1);
/// Shards that the rows are spread over.
pub const SHARDS: u64 = 8;
/// Bytes of a row's value.
pub const ROW_BYTES: usize = 948;
/// Numbers of the vector.
const NUMBERS: u32 = 237;
/// Values are cut out of this many random bytes.
const NOISE_BYTES: usize = 64 << 10;

/// The table.
pub struct Table {
    /// Its keys are the numbers below.
    pub rows: u64,
    schema: RowSchema,
    noise: Bytes,
}

/// The shard with that number.
pub fn shard(at: u64) -> ShardId {
    ShardId(u16::try_from(at).expect("few shards"))
}

/// The canonical bytes of key `n`.
pub fn key(n: u64) -> Key {
    let mut key = Key::new();
    key.push_number(n.cast_signed())
        .expect("a number is short enough");
    key
}

/// Its index hash.
pub fn hash(key: &Key) -> u64 {
    key.hash(ProjectId(1), EntityId(1)).with_view(VIEW)
}

/// The plan that copies whole values.
pub fn plan() -> Plan {
    let length = u32::try_from(ROW_BYTES).expect("it is small");
    let runs = vec![Run {
        source: 0,
        target: 0,
        length,
    }];
    Plan {
        view: VIEW,
        copy: Copy::Runs {
            schema: SchemaVersion(1),
            runs,
            stride: length,
        },
    }
}

impl Table {
    /// A table of `rows` rows.
    pub fn new(rows: u64) -> Self {
        let column = Column::of(Type::Vector(Element::Float32, NUMBERS));
        let mut draw = Draw::new(1);
        let noise = (0..NOISE_BYTES).map(|_| draw.below(256) as u8).collect();
        Self {
            rows,
            schema: RowSchema::new(VIEW, SchemaVersion(1), vec![column]),
            noise,
        }
    }

    /// The record of key `n`, not yet sealed. Its value begins with the key.
    pub fn record(&self, n: u64, key: &Key, stamp: Hlc, event_micros: u64) -> Vec<u8> {
        let at = (n as usize * 64 + event_micros as usize) % (NOISE_BYTES - ROW_BYTES);
        let mut value = self.noise[at..at + ROW_BYTES].to_vec();
        value[..8].copy_from_slice(&n.to_le_bytes());
        let version = Version {
            event_time: EventTime::saturating(event_micros),
            write_time: stamp,
            origin: RegionId(1),
        };
        let cell = Cell::Latest {
            version,
            content: Content::Value(value.into()),
        };
        let row = Row {
            deletion: None,
            cells: vec![Some(cell)],
        };
        let encoded = record::encode(&row, RecordKind::OwnDelta, key.as_bytes(), &self.schema);
        encoded.expect("a row of one value fits").bytes
    }
}
