//! Every limit of a request, a value or a stored thing, with its reason.
//!
//! Limits of one component's queues stand with its settings; these here are part of the interface.

use std::time::Duration;

/// Rows of one lookup: 20 times the largest candidate set we serve; bounds a worker's time.
pub const ROWS_PER_LOOKUP: usize = 10_000;
/// Features of one lookup.
pub const FEATURES_PER_LOOKUP: usize = 4_096;
/// Rows times features of one lookup: 32 MiB of 8-byte values, half of a message.
pub const VALUES_PER_LOOKUP: usize = 4_000_000;
/// A request or an answer, in bytes; the RPC library's own limit of 4 MiB is too small for us.
pub const MESSAGE_BYTES: usize = 64 << 20;
/// Rows of one write request.
pub const ROWS_PER_WRITE: usize = 10_000;
/// The canonical bytes of one entity key.
pub const KEY_BYTES: usize = 1 << 10;
/// One cell's value.
pub const CELL_BYTES: usize = 256 << 10;
/// One encoded row, and one entry: below Kafka's default record limit of 1 MiB with room for
/// headers, since an entry travels as one record.
pub const ROW_BYTES: usize = 900 << 10;
/// See [`ROW_BYTES`].
pub const ENTRY_BYTES: usize = 900 << 10;
/// A record between regions: an entry without what stays in its region is never larger than the entry.
pub const LINK_RECORD_BYTES: usize = ENTRY_BYTES;
/// Closes of one heartbeat: every shard of a cluster, in one partition.
pub const LINK_CLOSES: usize = 16_384;
/// Clocks given back in one heartbeat: the nodes of all other regions.
pub const LINK_ECHOES: usize = 4_096;
/// Reports of one heartbeat; what does not fit comes with the next.
pub const LINK_REPORTS: usize = 8_192;
/// Rows of one entry: an entry's count has 16 bits, and a smaller one keeps commits short.
pub const ROWS_PER_ENTRY: usize = 8_192;
/// Features of one view: its cells' states and offsets stay within 16 bits.
pub const FEATURES_PER_VIEW: usize = 2_048;
/// Elements of a vector feature.
pub const VECTOR_DIMENSION: usize = 16_384;
/// Join keys of one entity.
pub const KEYS_PER_ENTITY: usize = 8;
/// Characters of a name.
pub const NAME_BYTES: usize = 63;
/// Regions of a cluster: a row's slots and a token stay small.
pub const REGIONS: usize = 32;
/// Shards of a cluster; the four reference shards come on top.
pub const SHARDS: u16 = 16_384;
/// Shards that hold entities with `copies: every_node`.
pub const REFERENCE_SHARDS: u16 = 4;
/// A consistency token: it travels in HTTP bodies and gRPC metadata of every call.
pub const TOKEN_BYTES: usize = 32 << 10;
/// A message kept with a rejected row, so that a repeated request gets the first answer.
pub const REJECTION_MESSAGE_BYTES: usize = 256;

/// Access and join tokens of a cluster: every gateway holds all of them in memory.
pub const TOKENS: usize = 10_000;
/// Roles of one access token, and projects they are given in.
pub const GRANTS_PER_TOKEN: usize = 64;
/// Characters of what a token is for.
pub const TOKEN_NAME_BYTES: usize = 120;

/// How long a request id is remembered, by the log's own clock; older ids are refused.
pub const REQUEST_ID_WINDOW: Duration = Duration::from_mins(10);
/// How far ahead of the stamp an event may be dated, unless the cluster says otherwise.
pub const MAX_FUTURE: Duration = Duration::from_mins(5);
/// How far ahead of this node's clock a stamp from elsewhere may be before its entry is held.
pub const MAX_CLOCK_OFFSET: Duration = Duration::from_millis(500);
/// Schema versions of a view that a node can still answer in.
pub const SCHEMA_VERSIONS_ANSWERED: usize = 8;

const _: () = assert!(ROW_BYTES <= ENTRY_BYTES, "a row must fit an entry");
const _: () = assert!(
    CELL_BYTES + KEY_BYTES < ROW_BYTES,
    "a cell and its key must fit a row"
);
const _: () = assert!(
    ROWS_PER_ENTRY <= u16::MAX as usize,
    "an entry counts its records in 16 bits"
);
const _: () = assert!(
    VALUES_PER_LOOKUP * 8 <= MESSAGE_BYTES,
    "an answer must fit a message"
);
const _: () = assert!(
    256 + LINK_CLOSES * 28 + LINK_ECHOES * 24 + LINK_REPORTS * 26 <= LINK_RECORD_BYTES,
    "a heartbeat must fit a record"
);
