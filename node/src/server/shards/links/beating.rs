//! Heartbeats: four times a second each node says in every partition that it ships to what its streams
//! there are closed through, what it has of others', and what time others said it was.

use super::{Driver, sending::BEAT};
use crate::{
    region_log::{Partition, WriteError},
    server::shards::{LinkReport, OutboxReport},
};
use proto::{
    hlc::Hlc,
    id::{PlacementId, RegionId, ShardId, Stream},
    link::HeldReport,
};
use replication::{Micros, link::Said};
use std::collections::BTreeMap;

/// What one heartbeat says.
#[derive(Default)]
struct Beat {
    closes: Vec<Said>,
    reports: Vec<HeldReport>,
}

impl Driver {
    /// Says it to each log that is written to. One that is full hears it the next time.
    pub(super) fn beat(&mut self) {
        let mut beats: BTreeMap<(PlacementId, Partition), Beat> = BTreeMap::new();
        for (shard, links) in &self.links.shards {
            let partition = self.links.partition(self.place.region, *shard);
            for (placement, sending) in &links.sending {
                let beat = beats.entry((*placement, partition)).or_default();
                let (reached, hlc, sent_at) = sending.said();
                // What a lost incarnation had acknowledged may come back from others: nothing is over yet.
                let (hlc, sent_at) = if sending.is_reborn() {
                    (Hlc::ZERO, None)
                } else {
                    (hlc, sent_at)
                };
                beat.closes.push(Said {
                    shard: *shard,
                    placement: *placement,
                    reached,
                    hlc,
                    sent_at,
                });
            }
            for ((origin, placement), receiving) in &links.receiving {
                if let Some(beat) = beats.get_mut(&(*placement, partition)) {
                    beat.reports.push(HeldReport {
                        stream: Stream {
                            origin: *origin,
                            shard: *shard,
                            placement: *placement,
                        },
                        reached: receiving.link.committed(),
                        closed: receiving.closed(),
                    });
                }
            }
        }
        let now = Micros(self.now.monotonic_micros());
        if !self.links.is_shared() {
            let reports = beats.into_values().flat_map(|beat| beat.reports);
            let heartbeat = self.links.echoes.beat(now, [], reports);
            self.links.board.beat(heartbeat);
            return;
        }
        for ((placement, partition), beat) in beats {
            let Some(outgoing) = self.links.outgoing.get_mut(&placement) else {
                continue;
            };
            let Some(writer) = outgoing.writer.as_mut() else {
                continue;
            };
            let heartbeat = self.links.echoes.beat(now, beat.closes, beat.reports);
            if let Err(WriteError::Broken(fault)) =
                writer.send(partition, BEAT, &heartbeat.encode())
            {
                outgoing.fault = Some(fault);
            }
        }
    }

    /// Tells primaries that are about to close their streams how old what they have of others' can be:
    /// their backups go by that.
    pub(super) fn tell_ages(&mut self, now: Micros) {
        for (shard, replica) in &mut self.replicas {
            if !replica.is_beat_due(now) {
                continue;
            }
            let Some(links) = self.links.shards.get(shard) else {
                continue;
            };
            let mut origins: BTreeMap<RegionId, Option<Micros>> = BTreeMap::new();
            for ((origin, _), receiving) in &links.receiving {
                let complete_at = receiving.complete_at(self.now);
                let known = origins.entry(*origin).or_insert(complete_at);
                *known = (*known).min(complete_at);
            }
            let known = origins.into_iter();
            replica.know_origins(
                known
                    .filter_map(|(origin, at)| Some((origin, at?)))
                    .collect(),
            );
        }
    }

    /// How the streams of other regions stand at a shard that this node leads.
    pub(in crate::server::shards) fn link_reports(&self, shard: ShardId) -> Vec<LinkReport> {
        let links = self.links.shards.get(&shard).into_iter();
        let all = links.flat_map(|links| &links.receiving);
        all.map(|((origin, placement), receiving)| LinkReport {
            origin: *origin,
            placement: *placement,
            state: receiving.link.state(),
            complete_at: receiving.complete_at(self.now),
            reached: receiving.link.committed(),
        })
        .collect()
    }

    /// How its own streams stand on their way to a log that others read.
    pub(in crate::server::shards) fn outbox_reports(&self, shard: ShardId) -> Vec<OutboxReport> {
        // Where others read this log itself, what they still lack is theirs to say.
        let links = self.links.shards.get(&shard);
        let links = links.filter(|_| self.links.is_shared()).into_iter();
        let all = links.flat_map(|links| &links.sending);
        all.map(|(placement, sending)| OutboxReport {
            placement: *placement,
            end: sending.outbox.end(),
            delivered: sending.outbox.delivered(),
            backlog_bytes: sending.outbox.backlog(),
        })
        .collect()
    }

    /// Of each other region that may write what a shard holds: everything acknowledged there before this
    /// instant of this node's clock is applied here; None is *unknown*.
    pub(in crate::server::shards) fn origins(
        &self,
        shard: ShardId,
    ) -> Vec<(RegionId, Option<Micros>)> {
        let regions = self.links.streams.regions();
        let links = self.links.shards.get(&shard);
        let replica = self.replicas.get(&shard);
        let complete_at = |origin: RegionId| match links {
            Some(links) => {
                let streams = links.receiving.iter().filter(|((of, _), _)| *of == origin);
                // Unknown is less than every instant: one stream that does not know decides.
                let instants = streams.map(|(_, receiving)| receiving.complete_at(self.now));
                instants.min().flatten()
            }
            None => replica.and_then(|replica| replica.origin_complete_at(origin)),
        };
        let origins = regions.into_iter();
        origins
            .map(|origin| (origin, complete_at(origin)))
            .collect()
    }
}
