//! What a gateway learned of each node from its answers: how fast it is, and whether it is to be
//! avoided for a while. Pure: the time comes in.
//!
//! A node that failed, or that another had to stand in for, is asked only where nobody else can
//! answer, for a span that doubles while it goes on. After each span one lookup tries it again, so a
//! frozen node costs a hedge now and then, and one that woke is back soon.

use proto::id::NodeId;
use std::collections::BTreeMap;

/// Latencies that are remembered of a node: enough for a p95, few enough to follow a change.
const RECENT: usize = 64;
/// Fewer say nothing about a p95.
const ENOUGH: usize = 8;
/// A hedge before this would race answers that are on their way.
const HEDGE_LEAST_MICROS: u64 = 1_000;
/// A hedge after this saves nobody's p99.
const HEDGE_MOST_MICROS: u64 = 50_000;
/// While little is known of a node.
const HEDGE_AT_FIRST_MICROS: u64 = 10_000;
/// How long a node is avoided at first, and at most.
const AVOID_FIRST_MICROS: u64 = 250_000;
const AVOID_MOST_MICROS: u64 = 2_000_000;

/// How near a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// It is this process.
    Process,
    /// It stands in this failure domain.
    Zone,
    /// It stands elsewhere in the region.
    Region,
}

#[derive(Debug, Default)]
struct Record {
    recent: Vec<u32>,
    /// Where the next one goes, once there are enough.
    oldest: usize,
    /// Exponentially weighted mean, an eighth from each new one.
    mean_micros: Option<u64>,
    avoided: Option<Avoided>,
}

#[derive(Debug, Clone, Copy)]
struct Avoided {
    until: u64,
    span: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Health {
    nodes: BTreeMap<NodeId, Record>,
    lookups: u64,
}

impl Health {
    /// A node answered after so long.
    pub fn answered(&mut self, node: NodeId, took_micros: u64) {
        let record = self.nodes.entry(node).or_default();
        record.avoided = None;
        record.note(took_micros);
    }

    /// A node could not be reached, refused to answer, or is waited for too long since `asked_at`.
    pub fn failed(&mut self, node: NodeId, asked_at: u64, now: u64) {
        let record = self.nodes.entry(node).or_default();
        let span = match record.avoided {
            // Calls that were on their way together failed together: that is one failure.
            Some(avoided) if asked_at + avoided.span < avoided.until => return,
            Some(avoided) => (avoided.span * 2).min(AVOID_MOST_MICROS),
            None => AVOID_FIRST_MICROS,
        };
        record.avoided = Some(Avoided {
            until: now + span,
            span,
        });
    }

    /// Forgets nodes that are gone.
    pub fn keep(&mut self, is_member: impl Fn(NodeId) -> bool) {
        self.nodes.retain(|node, _| is_member(*node));
    }

    /// How long to wait for a node before another is asked: longer than 19 of 20 answers took.
    #[must_use]
    pub fn hedge_after_micros(&self, node: NodeId) -> u64 {
        let recent = self.nodes.get(&node).map(|record| &record.recent);
        let Some(recent) = recent.filter(|recent| recent.len() >= ENOUGH) else {
            return HEDGE_AT_FIRST_MICROS;
        };
        let mut sorted = recent.clone();
        let at = (sorted.len() * 95 / 100).min(sorted.len() - 1);
        let (_, p95, _) = sorted.select_nth_unstable(at);
        u64::from(*p95).clamp(HEDGE_LEAST_MICROS, HEDGE_MOST_MICROS)
    }

    /// The order in which one lookup prefers nodes. Those that are alike take turns between lookups;
    /// within one the order is the same for all shards, so that few nodes are asked.
    pub fn order(
        &mut self,
        nodes: impl IntoIterator<Item = (NodeId, Nearness)>,
        now: u64,
    ) -> Vec<NodeId> {
        self.lookups += 1;
        let turn = self.lookups;
        let mut ranked: Vec<_> = nodes
            .into_iter()
            .map(|(node, nearness)| {
                let is_avoided = self.is_avoided(node, now);
                let slowness = self.slowness(node);
                (is_avoided, nearness, slowness, mixed(node, turn), node)
            })
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(.., node)| node).collect()
    }

    /// Whether a node is to be avoided now. Once its span is over, the lookup that asks here first
    /// tries it, and the next span begins.
    fn is_avoided(&mut self, node: NodeId, now: u64) -> bool {
        let record = self.nodes.get_mut(&node);
        let Some(avoided) = record.and_then(|record| record.avoided.as_mut()) else {
            return false;
        };
        let is_over = avoided.until <= now;
        if is_over {
            avoided.until = now + avoided.span;
        }
        !is_over
    }

    /// A coarse measure, so that noise does not choose: one step is a factor of two, from 1 ms.
    fn slowness(&self, node: NodeId) -> u32 {
        let mean = self.nodes.get(&node).and_then(|record| record.mean_micros);
        u64::BITS - (mean.unwrap_or_default() / 1_024).leading_zeros()
    }
}

impl Record {
    fn note(&mut self, took_micros: u64) {
        let mean = self.mean_micros.unwrap_or(took_micros);
        self.mean_micros = Some((mean * 7 + took_micros) / 8);
        let took = u32::try_from(took_micros).unwrap_or(u32::MAX);
        if self.recent.len() < RECENT {
            self.recent.push(took);
        } else {
            self.recent[self.oldest] = took;
            self.oldest = (self.oldest + 1) % RECENT;
        }
    }
}

/// Another order of nodes each turn, the same each time.
fn mixed(node: NodeId, turn: u64) -> u64 {
    (node.0 ^ turn.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    fn order(health: &mut Health, now: u64) -> Vec<u64> {
        let nodes = [
            (NodeId(1), Nearness::Region),
            (NodeId(2), Nearness::Zone),
            (NodeId(3), Nearness::Process),
        ];
        let order = health.order(nodes, now);
        order.into_iter().map(|node| node.0).collect()
    }

    #[test]
    fn the_nearest_comes_first_unless_it_failed_lately() {
        let mut health = Health::default();
        assert_eq!(order(&mut health, 0), [3, 2, 1]);
        health.failed(NodeId(2), 0, 10 * MS);
        assert_eq!(order(&mut health, 11 * MS), [3, 1, 2]);
        health.answered(NodeId(2), 300);
        assert_eq!(order(&mut health, 12 * MS), [3, 2, 1]);
    }

    #[test]
    fn a_node_that_goes_on_failing_is_tried_by_one_lookup_now_and_then() {
        let mut health = Health::default();
        let mut tries = 0;
        let mut at_last = 0;
        for now in (0..60_000 * MS).step_by(MS as usize) {
            if order(&mut health, now)[1] == 2 {
                tries += 1;
                at_last = now;
                health.failed(NodeId(2), now, now + 5 * MS);
            }
        }
        // At 0, 0.25, 0.75, 1.75, 3.75 s and from then on every 2 s.
        assert!((30..=35).contains(&tries), "{tries}");
        assert!(at_last > 57_000 * MS);
    }

    #[test]
    fn calls_that_fail_together_are_one_failure() {
        let mut health = Health::default();
        for _ in 0..100 {
            health.failed(NodeId(2), 0, 5 * MS);
        }
        let after_the_first_span = 5 * MS + AVOID_FIRST_MICROS;
        assert_eq!(order(&mut health, after_the_first_span), [3, 2, 1]);
    }

    #[test]
    fn alike_nodes_take_turns_and_slow_ones_come_later() {
        let mut health = Health::default();
        let alike = [1, 2, 3].map(|node| (NodeId(node), Nearness::Zone));
        let mut first: BTreeMap<NodeId, u32> = BTreeMap::new();
        for _ in 0..300 {
            *first.entry(health.order(alike, 0)[0]).or_default() += 1;
        }
        assert!(
            first.len() == 3 && first.values().all(|times| *times > 50),
            "{first:?}"
        );
        (0..40).for_each(|_| health.answered(NodeId(1), 20 * MS));
        assert!((0..300).all(|_| health.order(alike, 0)[2] == NodeId(1)));
    }

    #[test]
    fn a_hedge_waits_for_the_p95_within_bounds() {
        let mut health = Health::default();
        let node = NodeId(1);
        assert_eq!(health.hedge_after_micros(node), HEDGE_AT_FIRST_MICROS);
        (0..94).for_each(|_| health.answered(node, 3 * MS));
        assert_eq!(health.hedge_after_micros(node), 3 * MS);
        (0..8).for_each(|_| health.answered(node, 9 * MS));
        assert_eq!(health.hedge_after_micros(node), 9 * MS);
        (0..64).for_each(|_| health.answered(node, 20));
        assert_eq!(health.hedge_after_micros(node), HEDGE_LEAST_MICROS);
        (0..64).for_each(|_| health.answered(node, 900 * MS));
        assert_eq!(health.hedge_after_micros(node), HEDGE_MOST_MICROS);
    }

    #[test]
    fn nodes_that_are_gone_are_forgotten() {
        let mut health = Health::default();
        health.failed(NodeId(2), 0, 0);
        health.keep(|node| node != NodeId(2));
        assert_eq!(order(&mut health, 1), [3, 2, 1]);
    }
}
