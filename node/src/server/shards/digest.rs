//! What a piece of a write was made of, in one number: a repeat has the same, other rows under the same
//! request id do not. Stored with the piece, so what goes into it never changes. Pure.

use gateway::write::writer::{Change, WritePart, WriteRow};
use proto::row::Content;
use std::ops::Range;
use xxhash_rust::xxh3::Xxh3;

const DELETED: u32 = u32::MAX;
const NULL: u32 = u32::MAX;

/// The digest of those rows of a part. Event times are left out: where a writer gives none, the gateway
/// does, and a repeat has another.
pub(super) fn digest(part: &WritePart, rows: Range<usize>) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&(part.rows.len() as u64).to_le_bytes());
    for row in &part.rows[rows] {
        add(row, &mut hasher);
    }
    hasher.digest()
}

fn add(row: &WriteRow, hasher: &mut Xxh3) {
    let mut head = [0; 20];
    head[..4].copy_from_slice(&row.write.to_le_bytes());
    head[4..8].copy_from_slice(&row.row.to_le_bytes());
    head[8..12].copy_from_slice(&row.view.0.to_le_bytes());
    head[12..].copy_from_slice(&row.hash.0.to_le_bytes());
    hasher.update(&head);
    let cells = match &row.change {
        Change::Delete => return hasher.update(&DELETED.to_le_bytes()),
        Change::Set(cells) => cells,
    };
    hasher.update(&(cells.len() as u32).to_le_bytes());
    for (feature, content) in cells {
        hasher.update(&feature.0.to_le_bytes());
        match content {
            Content::Null => hasher.update(&NULL.to_le_bytes()),
            Content::Value(bytes) => {
                hasher.update(&(bytes.len() as u32).to_le_bytes());
                hasher.update(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proto::{
        id::{FeatureId, PlacementId, SchemaVersion, ShardId, ViewId},
        key::{Key, KeyHash},
        request::RequestPart,
        time::EventTime,
    };

    fn row(key: u64, change: Change) -> WriteRow {
        WriteRow {
            write: 0,
            row: key as u32,
            view: ViewId(3),
            schema: SchemaVersion(1),
            key: Key::new(),
            hash: KeyHash(key),
            event_time: EventTime::default(),
            change,
        }
    }

    fn value(number: i64) -> Change {
        let content = Content::Value(Bytes::copy_from_slice(&number.to_le_bytes()));
        Change::Set(vec![(FeatureId(0), content)])
    }

    fn part(rows: Vec<WriteRow>) -> WritePart {
        WritePart {
            shard: ShardId(0),
            placement: PlacementId(0),
            part: RequestPart(0),
            rows,
        }
    }

    #[test]
    fn a_repeat_is_the_same_at_another_time_and_anything_else_is_not() {
        let first = part(vec![row(1, value(5)), row(2, Change::Delete)]);
        let of = |rows| digest(&part(rows), 0..2);
        let mut later = first.clone();
        later.rows[0].event_time = EventTime::saturating(77);
        assert_eq!(digest(&later, 0..2), digest(&first, 0..2));
        let others = [
            vec![row(1, value(6)), row(2, Change::Delete)],
            vec![
                row(1, Change::Set(vec![(FeatureId(0), Content::Null)])),
                row(2, Change::Delete),
            ],
            vec![row(3, value(5)), row(2, Change::Delete)],
            vec![row(2, Change::Delete), row(1, value(5))],
            vec![row(1, value(5)), row(2, Change::Set(Vec::new()))],
            vec![
                row(1, value(5)),
                row(2, Change::Delete),
                row(3, Change::Delete),
            ],
        ];
        for rows in others {
            assert_ne!(of(rows.clone()), digest(&first, 0..2), "{rows:?}");
        }
    }

    #[test]
    fn the_digest_is_stored_and_stays_what_it_is() {
        let digest = digest(&part(vec![row(1, value(5)), row(2, Change::Delete)]), 0..2);
        assert_eq!(digest, 0x5aa0_7341_40b0_dbc5);
    }
}
