//! `ack: one_other | all`: a write is answered once other regions hold it, or at its deadline with those that
//! are known to.
//!
//! What other regions hold of this one's streams comes with their heartbeats, four times a second, to the
//! shards' primaries. Gateways ask those until enough is confirmed. Nothing of it changes the write, which is
//! durable here from its first answer on.

mod codec;

use super::{global::Global, methods::Call, peers::Service, region::RegionView};
use crate::{
    components::Clock,
    peer::{Class, Failure, Mesh},
};
use async_trait::async_trait;
use bytes::Bytes;
use codec::{Asked, decode_answer, decode_asked, encode_answer, encode_asked};
use futures::future::join_all;
use gateway::write::writer::{Ack, PartOutcome, WriteBatch, Writer, Written};
use parking_lot::RwLock;
use proto::{
    id::{ClusterId, NodeId, PlacementId, RegionId, ShardId, Stream},
    token::{Reached, Token},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::sleep;

/// How often primaries are asked; heartbeats come every 250 ms.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// A primary that does not answer for this long is asked again.
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// A shard's stream of one placement.
type Name = (ShardId, PlacementId);

/// What other regions hold of the streams that this node's shards lead. Clones are one.
#[derive(Clone, Default)]
pub struct Confirmations(Arc<RwLock<BTreeMap<Name, BTreeMap<RegionId, Reached>>>>);

impl Confirmations {
    /// A region says how far an own stream is durable there.
    pub fn note(&self, stream: Name, region: RegionId, reached: Reached) {
        let mut known = self.0.write();
        let known = known.entry(stream).or_default().entry(region).or_default();
        *known = (*known).max(reached);
    }

    /// The regions that hold an entry and all before it.
    #[must_use]
    pub fn of(&self, stream: Name, entry: Reached) -> BTreeSet<RegionId> {
        let known = self.0.read();
        let known = known.get(&stream).into_iter().flatten();
        // Of a later incarnation it is not known whether the entry was kept.
        let holds = |reached: &Reached| {
            reached.incarnation == entry.incarnation && reached.sequence >= entry.sequence
        };
        let holders = known.filter(|(_, reached)| holds(reached));
        holders.map(|(region, _)| *region).collect()
    }
}

/// Tells gateways of other nodes.
pub struct ConfirmationDesk(pub Confirmations);

#[async_trait]
impl Service for ConfirmationDesk {
    async fn call(&self, _: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let asked = decode_asked(&payload).map_err(|error| Failure(error.to_string()))?;
        let holders = asked
            .iter()
            .map(|(stream, entry)| self.0.of(*stream, *entry));
        Ok(encode_answer(&holders.collect::<Vec<_>>()))
    }
}

/// A writer that waits for other regions where that is asked for.
pub struct Confirming<W> {
    /// Writes in this region.
    pub inner: W,
    /// The cluster.
    pub cluster: ClusterId,
    /// Who leads what.
    pub region: RegionView,
    /// Of this node's shards.
    pub own: Confirmations,
    /// The way to the others.
    pub mesh: Arc<Mesh>,
    /// Which regions there are.
    pub global: Arc<Global>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl<W: Writer> Writer for Confirming<W> {
    async fn write(&self, batch: Arc<WriteBatch>) -> Written {
        let (ack, deadline) = (batch.ack, batch.deadline);
        let streams: Vec<Name> = batch
            .parts
            .iter()
            .map(|part| (part.shard, part.placement))
            .collect();
        let mut written = self.inner.write(batch).await;
        if ack == Ack::Region {
            return written;
        }
        let done = |part: &PartOutcome| matches!(part, PartOutcome::Done { .. });
        // Of what is open or refused nobody can hold all.
        if written.parts.is_empty() || !written.parts.iter().all(done) {
            return written;
        }
        let Ok(token) = Token::decode(&written.token, self.cluster) else {
            return written;
        };
        let entries = self.entries(&streams, &token);
        let wanted = self.wanted(&entries);
        let mut holders = BTreeSet::new();
        loop {
            if let Some(found) = self.holders(&entries).await {
                holders = found;
            }
            let enough = match ack {
                Ack::Region => true,
                Ack::OneOther => !holders.is_empty() || wanted.is_empty(),
                Ack::All => wanted.is_subset(&holders),
            };
            let now_micros = self.clock.now().monotonic_micros();
            let left = Duration::from_micros(deadline.0.saturating_sub(now_micros));
            // The answer has to be under way before the deadline.
            if enough || left <= 2 * ASK_EVERY {
                break;
            }
            sleep(ASK_EVERY).await;
        }
        written.confirmed.extend(self.names(&holders));
        written
    }
}

impl<W> Confirming<W> {
    /// The last entry of each stream that was written to.
    fn entries(&self, streams: &[Name], token: &Token) -> BTreeMap<Name, Reached> {
        let own = self.region.id();
        let of = |stream: &Stream| (stream.shard, stream.placement);
        let is_written = |stream: &Stream| stream.origin == own && streams.contains(&of(stream));
        let written = token.streams().filter(|(stream, _)| is_written(stream));
        written
            .map(|(stream, reached)| (of(&stream), reached))
            .collect()
    }

    /// The other regions that are to hold all of it.
    fn wanted(&self, entries: &BTreeMap<Name, Reached>) -> BTreeSet<RegionId> {
        let catalog = self.global.catalog();
        let registry = catalog.registry();
        let placements: BTreeSet<PlacementId> =
            entries.keys().map(|(_, placement)| *placement).collect();
        let holders = placements
            .into_iter()
            .flat_map(|placement| registry.holders(placement));
        holders
            .filter(|region| *region != self.region.id())
            .collect()
    }

    /// The regions that hold all of it; none where a primary did not answer.
    async fn holders(&self, entries: &BTreeMap<Name, Reached>) -> Option<BTreeSet<RegionId>> {
        let mut by_node: BTreeMap<NodeId, Asked> = BTreeMap::new();
        for (stream, reached) in entries {
            let target = self.region.target(stream.0)?;
            by_node
                .entry(target.primary.node)
                .or_default()
                .push((*stream, *reached));
        }
        let asked = by_node
            .into_iter()
            .map(|(node, asked)| self.ask(node, asked));
        let answers: Option<Vec<Vec<BTreeSet<RegionId>>>> =
            join_all(asked).await.into_iter().collect();
        let all = answers?.into_iter().flatten();
        all.reduce(|all, some| all.intersection(&some).copied().collect())
    }

    async fn ask(&self, node: NodeId, asked: Asked) -> Option<Vec<BTreeSet<RegionId>>> {
        if node == self.region.me() {
            let holders = asked
                .iter()
                .map(|(stream, entry)| self.own.of(*stream, *entry));
            return Some(holders.collect());
        }
        let (call, payload) = (Call::Confirmations as u8, encode_asked(&asked));
        let answer = self
            .mesh
            .call(node, Class::Request, call, payload, ASK_WITHIN);
        let holders = decode_answer(&answer.await.ok()?).ok()?;
        (holders.len() == asked.len()).then_some(holders)
    }

    fn names(&self, regions: &BTreeSet<RegionId>) -> Vec<String> {
        let catalog = self.global.catalog();
        let known = &catalog.registry().regions;
        let regions = regions.iter().filter_map(|region| known.get(region));
        regions
            .map(|region| region.settings.name.to_string())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::{Incarnation, Sequence};

    const STREAM: Name = (ShardId(3), PlacementId(0));

    fn at(incarnation: u32, sequence: u64) -> Reached {
        Reached {
            incarnation: Incarnation(incarnation),
            sequence: Sequence(sequence),
        }
    }

    #[test]
    fn a_region_holds_what_it_reported_and_nothing_of_another_incarnation() {
        let confirmations = Confirmations::default();
        let (us, ap) = (RegionId(2), RegionId(3));
        confirmations.note(STREAM, us, at(1, 9));
        // What comes late says less than what is known.
        confirmations.note(STREAM, us, at(1, 5));
        confirmations.note(STREAM, ap, at(2, 1));
        assert_eq!(confirmations.of(STREAM, at(1, 9)), BTreeSet::from([us]));
        assert_eq!(confirmations.of(STREAM, at(1, 10)), BTreeSet::new());
        assert_eq!(confirmations.of(STREAM, at(2, 1)), BTreeSet::from([ap]));
        let other = (ShardId(4), PlacementId(0));
        assert_eq!(confirmations.of(other, at(1, 1)), BTreeSet::new());
    }
}
