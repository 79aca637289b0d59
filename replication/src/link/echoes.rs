//! Heartbeats: what a node says of its own clock, and gives back of others'.
//!
//! A node hears its own clock back, moved on by the time it was held elsewhere: an instant on its own
//! clock that lies no later than when the heartbeat was sent. So an age is a difference of two readings
//! of one clock, and no clock of another machine is ever compared with it.

use super::freshness::Covering;
use crate::{
    context::Micros,
    planted::{Bug, Planted},
    settings::ECHO_KEPT,
};
use proto::{
    hlc::Hlc,
    id::{BootId, ClusterId, NodeId, PlacementId, RegionId, ShardId, Stream},
    limits::{LINK_CLOSES, LINK_ECHOES, LINK_REPORTS},
    link::{Heartbeat, HeldClose, HeldEcho, HeldReport},
    token::Reached,
};
use std::collections::BTreeMap;

/// What may be told of a stream: a close, or how far it goes at least. Its entries were given to the
/// transport before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The stream's shard.
    pub shard: ShardId,
    /// The stream's placement.
    pub placement: PlacementId,
    /// The last entry that it covers.
    pub reached: Reached,
    /// Nothing past that is stamped at or below this.
    pub hlc: Hlc,
    /// When its round was sent to the replicas, on this node's clock; none of what is no close.
    pub sent_at: Option<Micros>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    clock: Micros,
    at: Micros,
}

impl Heard {
    /// No later than that clock stands at `now`: it may run a thousandth slower than this one.
    fn instant(self, now: Micros) -> Micros {
        let held = now.since(self.at).0;
        self.clock
            .plus(Micros(held.saturating_sub(held / 1_000 + 1)))
    }
}

/// One run of one node, and the clocks it heard.
#[derive(Debug)]
pub struct Echoes {
    cluster: ClusterId,
    region: RegionId,
    node: NodeId,
    boot: BootId,
    heard: BTreeMap<(NodeId, BootId), Heard>,
    planted: Planted,
}

impl Echoes {
    /// A run that has heard nobody.
    #[must_use]
    pub const fn new(cluster: ClusterId, region: RegionId, node: NodeId, boot: BootId) -> Self {
        Self {
            cluster,
            region,
            node,
            boot,
            heard: BTreeMap::new(),
            planted: Planted::NONE,
        }
    }

    /// Takes a rule out, for a test.
    #[cfg(feature = "planted-bugs")]
    pub const fn plant(&mut self, bug: Bug) {
        self.planted = Planted::with(bug);
    }

    /// Takes note of another node's clock.
    pub fn hear(&mut self, heartbeat: &Heartbeat, now: Micros) {
        let run = (heartbeat.node, heartbeat.boot);
        let heard = Heard {
            clock: Micros(heartbeat.clock),
            at: now,
        };
        if self.heard.len() >= LINK_ECHOES && !self.heard.contains_key(&run) {
            return;
        }
        // One that was long under way, or is read a second time, knows less than the one before.
        let known = self.heard.entry(run).or_insert(heard);
        if known.instant(now) < heard.clock {
            *known = heard;
        }
    }

    /// The next heartbeat. What exceeds a list's limit is left for another one.
    pub fn beat(
        &mut self,
        now: Micros,
        closes: impl IntoIterator<Item = Said>,
        reports: impl IntoIterator<Item = HeldReport>,
    ) -> Heartbeat {
        self.heard
            .retain(|_, heard| now.since(heard.at) < ECHO_KEPT);
        let echo = |((node, boot), heard): (&(NodeId, BootId), &Heard)| HeldEcho {
            node: *node,
            boot: *boot,
            instant: heard.instant(now).0,
        };
        let closes = closes.into_iter().map(|said| self.held(now, said));
        Heartbeat {
            cluster: self.cluster,
            origin: self.region,
            node: self.node,
            boot: self.boot,
            clock: now.0,
            echoes: self.heard.iter().map(echo).collect(),
            closes: closes.take(LINK_CLOSES).collect(),
            reports: reports.into_iter().take(LINK_REPORTS).collect(),
        }
    }

    /// One so old that its age does not fit has no date: a younger one will come.
    fn held(&self, now: Micros, said: Said) -> HeldClose {
        let now_said = self.planted.has(Bug::CloseDatedWhenSaid);
        let behind = |sent_at| if now_said { 0 } else { now.since(sent_at).0 };
        HeldClose {
            shard: said.shard,
            placement: said.placement,
            reached: said.reached,
            hlc: said.hlc,
            behind: said.sent_at.and_then(|at| u32::try_from(behind(at)).ok()),
        }
    }

    /// The closes of another node's heartbeat as this one understands them.
    pub fn closes<'a>(
        &'a self,
        heartbeat: &'a Heartbeat,
    ) -> impl Iterator<Item = (Stream, Covering)> + 'a {
        let any_boot = self.planted.has(Bug::EchoOfAnotherBoot);
        let own = |echo: &&HeldEcho| echo.node == self.node && (echo.boot == self.boot || any_boot);
        let echo = heartbeat.echoes.iter().find(own).map(|echo| echo.instant);
        heartbeat.closes.iter().map(move |close| {
            let stream = Stream {
                origin: heartbeat.origin,
                shard: close.shard,
                placement: close.placement,
            };
            let covering = Covering {
                reached: close.reached,
                hlc: close.hlc,
                instant: echo.zip(close.behind).and_then(moved_back),
            };
            (stream, covering)
        })
    }
}

/// The instant `behind` before another one, and a little more: this clock may run faster than the one
/// that measured. None where it lies before this run.
fn moved_back((instant, behind): (u64, u32)) -> Option<Micros> {
    let behind = u64::from(behind);
    instant.checked_sub(behind + behind / 1_000 + 1).map(Micros)
}
