//! How far the clocks of other nodes are from this one's: asked of them, every few seconds.
//!
//! What a node's clock shows when it is asked lies somewhere between the question and the answer. In the middle is
//! the best guess, and wrong by half the round trip at most; so of the last answers the fastest counts.

use super::{consensus::Consensus, methods::Call, peers::Service};
use crate::{
    components::{Clock, Now},
    peer::{Class, Failure, Mesh},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use parking_lot::Mutex;
use proto::id::NodeId;
use raft::placement::Placement;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::sleep;

/// How often all are asked.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// An answer that takes longer says nothing worth knowing.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Answers that are kept of a node: as many as come in a minute, so that a clock that was set shows soon.
const KEPT: usize = 12;

/// Answers what this node's clock shows: microseconds since 1970, 8 bytes, little endian.
pub struct ClockDesk(pub Arc<dyn Clock>);

#[async_trait]
impl Service for ClockDesk {
    async fn call(&self, _: NodeId, _: Bytes) -> Result<Bytes, Failure> {
        let shown = self.0.now().wall_micros;
        Ok(Bytes::copy_from_slice(&shown.to_le_bytes()))
    }
}

/// One answer: by how much the other clock is ahead, and how long it took to hear so. Microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heard {
    ahead: i64,
    round_trip: u64,
}

impl Heard {
    /// What a clock showed between two looks at this node's.
    fn between(asked: Now, shown: u64, answered: Now) -> Self {
        let round_trip = answered
            .monotonic_micros()
            .saturating_sub(asked.monotonic_micros());
        // The monotonic clock counts the way: this node's own clock may be set in between.
        let middle = i128::from(asked.wall_micros) + i128::from(round_trip / 2);
        let ahead = i128::from(shown) - middle;
        let bound = |ahead: i128| ahead.clamp(i64::MIN.into(), i64::MAX.into());
        Self {
            ahead: i64::try_from(bound(ahead)).unwrap_or(i64::MAX),
            round_trip,
        }
    }
}

/// The last answers of each node. Clones are one.
#[derive(Clone, Default)]
pub struct Clocks(Arc<Mutex<BTreeMap<NodeId, VecDeque<Heard>>>>);

impl Clocks {
    fn hear(&self, node: NodeId, heard: Option<Heard>) {
        let mut all = self.0.lock();
        let kept = all.entry(node).or_default();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        match heard {
            Some(heard) => kept.push_back(heard),
            // One that does not answer is forgotten as fast as others are heard.
            None => drop(kept.pop_front()),
        }
    }

    fn keep(&self, nodes: &[NodeId]) {
        self.0.lock().retain(|node, _| nodes.contains(node));
    }

    /// By node, the seconds by which its clock is ahead of this one's; none of those that do not answer.
    #[must_use]
    pub fn ahead(&self) -> Vec<(NodeId, f64)> {
        let all = self.0.lock();
        let ahead = all.iter().filter_map(|(node, kept)| {
            let fastest = kept.iter().min_by_key(|heard| heard.round_trip)?;
            Some((*node, fastest.ahead as f64 / 1e6))
        });
        ahead.collect()
    }

    /// Asks the region's nodes, for ever.
    pub async fn follow(
        self,
        regional: Consensus<Placement>,
        mesh: Arc<Mesh>,
        clock: Arc<dyn Clock>,
    ) {
        loop {
            sleep(ASK_EVERY).await;
            let members = regional.newest();
            let others = members.members.keys().copied();
            let others: Vec<_> = others.filter(|node| *node != mesh.me().node).collect();
            self.keep(&others);
            join_all(others.into_iter().map(|node| {
                let (mesh, clock, own) = (&mesh, &clock, &self);
                async move { own.hear(node, ask(mesh, &**clock, node).await) }
            }))
            .await;
        }
    }
}

async fn ask(mesh: &Mesh, clock: &dyn Clock, node: NodeId) -> Option<Heard> {
    let (call, asked) = (Call::Clock as u8, clock.now());
    let answer = mesh.call(node, Class::Metadata, call, Bytes::new(), ANSWER_WITHIN);
    let answer = answer.await.ok()?;
    let shown = u64::from_le_bytes(answer.as_ref().try_into().ok()?);
    Some(Heard::between(asked, shown, clock.now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(monotonic: u64, wall_micros: u64) -> Now {
        Now {
            monotonic: Duration::from_micros(monotonic),
            wall_micros,
        }
    }

    #[test]
    fn the_other_clock_is_compared_with_the_middle_of_the_way() {
        let heard = Heard::between(at(100, 5_000), 5_700, at(500, 5_400));
        let expected = Heard {
            ahead: 500,
            round_trip: 400,
        };
        assert_eq!(heard, expected);
        // This node's own clock was set back by an hour while it waited.
        let set = Heard::between(at(100, 5_000), 5_700, at(500, 0));
        assert_eq!(set, expected);
        let behind = Heard::between(at(0, 9_000), 2_000, at(10, 9_010));
        assert_eq!(behind.ahead, -7_005);
        let mad = Heard::between(at(0, 0), u64::MAX, at(0, 0));
        assert_eq!(mad.ahead, i64::MAX);
    }

    #[test]
    fn the_fastest_of_the_last_answers_counts_and_the_silent_are_forgotten() {
        let (clocks, node) = (Clocks::default(), NodeId(7));
        let hear = |ahead, round_trip| clocks.hear(node, Some(Heard { ahead, round_trip }));
        hear(3_000_000, 50);
        for _ in 1..KEPT {
            hear(9_000_000, 900);
        }
        assert_eq!(clocks.ahead(), [(node, 3.0)]);
        hear(9_000_000, 900);
        assert_eq!(
            clocks.ahead(),
            [(node, 9.0)],
            "the clock was set a minute ago"
        );
        for _ in 0..KEPT {
            clocks.hear(node, None);
        }
        assert_eq!(clocks.ahead(), []);
        clocks.keep(&[]);
        assert!(clocks.0.lock().is_empty());
    }
}
