//! Step 3 of a write: rows that fit one entry of one shard go together. Pure.
//!
//! The grouping follows from the request and the registry alone, so a repeated request has the same
//! parts and each finds its first answer.

use super::{rows::PlacedRow, writer::WritePart};
use proto::{
    id::{PlacementId, ShardId},
    limits::{ENTRY_BYTES, ROWS_PER_ENTRY},
    request::RequestPart,
};
use std::collections::{BTreeMap, HashSet};

/// An entry's own header, and room for its answer: rejections made at the primary.
const AROUND_ROWS_BYTES: usize = 16 << 10;

/// Groups rows into parts, by shard and placement, each in the request's order.
///
/// No part has two rows of one key and view: each row gets a stamp of its own, and the second must
/// be merged with the first one's stamped image, which is there once the first part is appended.
#[must_use]
pub fn group(rows: Vec<PlacedRow>) -> Vec<WritePart> {
    let mut by_place: BTreeMap<(ShardId, PlacementId), Vec<PlacedRow>> = BTreeMap::new();
    for row in rows {
        by_place
            .entry((row.shard, row.placement))
            .or_default()
            .push(row);
    }
    let mut parts: Vec<WritePart> = Vec::new();
    for ((shard, placement), rows) in by_place {
        let mut room = Room::none();
        for row in rows {
            if !room.take(&row) {
                room = Room::of_new_part();
                room.take(&row);
                let part = next_number(&parts, shard);
                parts.push(WritePart {
                    shard,
                    placement,
                    part,
                    rows: Vec::new(),
                });
            }
            parts
                .last_mut()
                .expect("one was just opened")
                .rows
                .push(row.row);
        }
    }
    parts
}

/// What a part still takes.
struct Room {
    bytes: usize,
    rows: usize,
    /// Hashes of the rows in it: an accidental repeat only opens a part that need not be.
    hashes: HashSet<u64>,
}

impl Room {
    fn none() -> Self {
        Self {
            bytes: 0,
            rows: 0,
            hashes: HashSet::new(),
        }
    }

    fn of_new_part() -> Self {
        Self {
            bytes: ENTRY_BYTES - AROUND_ROWS_BYTES,
            rows: ROWS_PER_ENTRY,
            hashes: HashSet::new(),
        }
    }

    /// Takes a row if it fits. A new part takes any.
    fn take(&mut self, row: &PlacedRow) -> bool {
        let is_new_part = self.rows == ROWS_PER_ENTRY;
        let fits = self.rows > 0 && (is_new_part || row.entry_bytes <= self.bytes);
        if !fits || !self.hashes.insert(row.row.hash.with_view(row.row.view)) {
            return false;
        }
        self.bytes = self.bytes.saturating_sub(row.entry_bytes);
        self.rows -= 1;
        true
    }
}

/// Parts are numbered within their shard, whose table of requests they stand in.
fn next_number(parts: &[WritePart], shard: ShardId) -> RequestPart {
    match parts.last() {
        Some(last) if last.shard == shard => RequestPart(last.part.0 + 1),
        _ => RequestPart(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::writer::{Change, WriteRow};
    use proptest::{collection::vec, prelude::*};
    use proto::{
        id::{SchemaVersion, ViewId},
        key::{Key, KeyHash},
        time::EventTime,
    };

    fn placed(row: u32, shard: u16, placement: u16, entry_bytes: usize) -> PlacedRow {
        let row = WriteRow {
            write: 0,
            row,
            view: ViewId(1),
            schema: SchemaVersion(1),
            key: Key::new(),
            hash: KeyHash(u64::from(row)),
            event_time: EventTime::default(),
            change: Change::Delete,
        };
        PlacedRow {
            shard: ShardId(shard),
            placement: PlacementId(placement),
            entry_bytes,
            row,
        }
    }

    fn numbers(part: &WritePart) -> Vec<u32> {
        part.rows.iter().map(|row| row.row).collect()
    }

    #[test]
    fn rows_of_one_place_go_together_until_an_entry_is_full() {
        let half = ENTRY_BYTES / 2;
        let rows = vec![
            placed(0, 2, 0, half),
            placed(1, 1, 0, 10),
            placed(2, 2, 0, half),
            placed(3, 2, 1, 10),
            placed(4, 2, 0, 10),
        ];
        let parts: Vec<_> = group(rows)
            .iter()
            .map(|part| (part.shard.0, part.placement.0, part.part.0, numbers(part)))
            .collect();
        assert_eq!(
            parts,
            [
                (1, 0, 0, vec![1]),
                (2, 0, 0, vec![0]),
                (2, 0, 1, vec![2, 4]),
                (2, 1, 2, vec![3])
            ]
        );
    }

    #[test]
    fn an_entry_has_no_more_rows_than_it_can_count() {
        let rows = (0..10_000).map(|row| placed(row, 1, 0, 1)).collect();
        let counts: Vec<usize> = group(rows).iter().map(|part| part.rows.len()).collect();
        assert_eq!(counts, [ROWS_PER_ENTRY, 10_000 - ROWS_PER_ENTRY]);
    }

    #[test]
    fn a_second_row_of_one_key_opens_another_part() {
        let mut rows: Vec<PlacedRow> = (0..4).map(|row| placed(row, 1, 0, 1)).collect();
        rows[2].row.hash = rows[0].row.hash;
        let parts: Vec<_> = group(rows).iter().map(numbers).collect();
        assert_eq!(parts, [vec![0, 1], vec![2, 3]]);
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_part_of_its_place_and_no_part_is_too_large(
            rows in vec((0..3_u16, 0..2_u16, 1..=ENTRY_BYTES), 0..60),
        ) {
            let placed = rows.iter().zip(0..).map(|((shard, placement, bytes), row)| placed(row, *shard, *placement, *bytes));
            let parts = group(placed.collect());
            let mut seen: Vec<u32> = parts.iter().flat_map(numbers).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..rows.len() as u32).collect::<Vec<_>>());
            let mut names: Vec<_> = parts.iter().map(|part| (part.shard, part.part)).collect();
            names.dedup();
            prop_assert_eq!(names.len(), parts.len(), "a part's number is its own within the shard");
            for part in &parts {
                prop_assert!(numbers(part).is_sorted(), "rows keep the request's order");
                let of_part = part.rows.iter().map(|row| &rows[row.row as usize]);
                prop_assert!(of_part.clone().all(|row| (row.0, row.1) == (part.shard.0, part.placement.0)));
                let bytes: usize = of_part.map(|row| row.2).sum();
                prop_assert!(bytes <= ENTRY_BYTES - AROUND_ROWS_BYTES || part.rows.len() == 1);
            }
        }
    }
}
