//! The newest entries in memory, for backups that are a little behind and for links.

use bytes::Bytes;
use proto::id::{Position, ShardId};
use std::collections::{BTreeMap, VecDeque};

/// The newest entries of all shards, within a number of bytes.
#[derive(Debug)]
pub(crate) struct Tail {
    limit_bytes: u64,
    bytes: u64,
    shards: BTreeMap<ShardId, VecDeque<(Position, Bytes)>>,
    /// In the order of appending; entries that were cut are still named.
    order: VecDeque<(ShardId, Position)>,
}

impl Tail {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            bytes: 0,
            shards: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn push(&mut self, shard: ShardId, position: Position, entry: Bytes) {
        self.bytes += entry.len() as u64;
        self.shards
            .entry(shard)
            .or_default()
            .push_back((position, entry));
        self.order.push_back((shard, position));
        while self.bytes > self.limit_bytes {
            let Some((shard, position)) = self.order.pop_front() else {
                break;
            };
            self.forget_oldest(shard, position);
        }
    }

    fn forget_oldest(&mut self, shard: ShardId, position: Position) {
        let Some(entries) = self.shards.get_mut(&shard) else {
            return;
        };
        if entries
            .front()
            .is_some_and(|(oldest, _)| *oldest == position)
        {
            self.bytes -= entries
                .pop_front()
                .map_or(0, |(_, entry)| entry.len() as u64);
        }
    }

    /// Forgets the entries of `shard` past `after`.
    pub(crate) fn cut(&mut self, shard: ShardId, after: Position) {
        let Some(entries) = self.shards.get_mut(&shard) else {
            return;
        };
        while entries
            .back()
            .is_some_and(|(position, _)| *position > after)
        {
            self.bytes -= entries
                .pop_back()
                .map_or(0, |(_, entry)| entry.len() as u64);
        }
        self.order
            .retain(|(cut, position)| *cut != shard || *position <= after);
    }

    /// The entries from `from` on, up to `max_bytes` of them but at least one; `None` if the first
    /// is not here.
    pub(crate) fn read(
        &self,
        shard: ShardId,
        from: Position,
        max_bytes: usize,
    ) -> Option<Vec<Bytes>> {
        let entries = self.shards.get(&shard)?;
        let oldest = entries.front()?.0;
        let skip = usize::try_from(from.0.checked_sub(oldest.0)?).ok()?;
        let mut read = Vec::new();
        let mut bytes = 0;
        for (_, entry) in entries.iter().skip(skip) {
            if !read.is_empty() && bytes + entry.len() > max_bytes {
                break;
            }
            bytes += entry.len();
            read.push(entry.clone());
        }
        (!read.is_empty()).then_some(read)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(byte: u8) -> Bytes {
        Bytes::from(vec![byte; 10])
    }

    #[test]
    fn the_oldest_entries_go_and_the_rest_is_read_in_order() {
        let mut tail = Tail::new(35);
        for n in 1..=4 {
            tail.push(ShardId(1), Position(n), entry(n as u8));
        }
        assert_eq!(tail.bytes(), 30);
        assert_eq!(tail.read(ShardId(1), Position(1), 100), None);
        assert_eq!(
            tail.read(ShardId(1), Position(3), 100),
            Some(vec![entry(3), entry(4)])
        );
        assert_eq!(tail.read(ShardId(1), Position(2), 5), Some(vec![entry(2)]));
        assert_eq!(tail.read(ShardId(1), Position(5), 5), None);
    }

    #[test]
    fn a_cut_takes_the_newest_and_positions_are_used_again() {
        let mut tail = Tail::new(30);
        for n in 1..=3 {
            tail.push(ShardId(1), Position(n), entry(n as u8));
        }
        tail.cut(ShardId(1), Position(1));
        tail.push(ShardId(1), Position(2), entry(9));
        assert_eq!(
            tail.read(ShardId(1), Position(1), 100),
            Some(vec![entry(1), entry(9)])
        );
        tail.push(ShardId(2), Position(7), entry(7));
        tail.push(ShardId(2), Position(8), entry(8));
        assert_eq!(
            tail.read(ShardId(1), Position(2), 100),
            Some(vec![entry(9)])
        );
    }
}
