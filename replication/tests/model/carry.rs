//! Carrying out: what a driver does with a core's effects, and what the oracle thinks of it.

use crate::{
    node::{Naming, Node},
    oracle::By,
    world::{Action, Plant, World},
};
use proto::{
    hlc::Hlc,
    id::{BootId, NodeId, PlacementId, Position, StoreId},
};
use replication::{
    Effect, Event, Fence, Member, Message, Proposal, Read, RoleName, Ticket, message::Body,
    write::Answer,
};

impl World {
    /// One event at one node, and all that follows from it there.
    pub fn step(&mut self, node: usize, event: Event) -> Result<(), String> {
        if self.nodes[node].paused {
            self.nodes[node].backlog.push(event);
            return Ok(());
        }
        if self.nodes[node].replica.is_none() {
            return Ok(());
        }
        for effect in self.nodes[node].step(self.now, event) {
            self.nodes[node].disk.take(&effect);
            self.carry_out(node, effect)?;
        }
        self.say_what_is_written(node);
        if let Some((records, through)) = self.nodes[node].disk.begin_sync() {
            let window = if self.counts_memory(node) {
                self.rng.between(0, 200_000)
            } else {
                0
            };
            let delay = window
                + if self.rng.chance(self.weather.slow_sync) {
                    self.rng.between(20_000, 1_500_000)
                } else {
                    self.rng.between(200, 5_000)
                };
            let boot = self.nodes[node].boot;
            self.after(
                delay,
                Action::Synced {
                    node,
                    boot,
                    records,
                    through,
                },
            );
        }
        self.check_claims(node)
    }

    /// Whether the driver says what is written before it is synced.
    fn counts_memory(&self, node: usize) -> bool {
        self.nodes[node].naming == Naming::Boot || self.plant == Plant::MemoryOfWhoeverRestarts
    }

    fn say_what_is_written(&mut self, node: usize) {
        if !self.counts_memory(node) {
            return;
        }
        let (boot, through) = (self.nodes[node].boot, self.nodes[node].disk.written());
        let delay = self.rng.between(10, 400);
        self.after(
            delay,
            Action::Written {
                node,
                boot,
                through,
            },
        );
    }

    pub fn written(&mut self, node: usize, boot: BootId, through: Ticket) -> Result<(), String> {
        let is_news = self.runs(node, boot) && self.nodes[node].said < through;
        if !is_news {
            return Ok(());
        }
        self.nodes[node].said = through;
        let event = if self.plant == Plant::MemoryOfWhoeverRestarts {
            Event::Durable { through }
        } else {
            Event::Written { through }
        };
        self.step(node, event)
    }

    pub fn synced(
        &mut self,
        node: usize,
        boot: BootId,
        records: usize,
        through: Ticket,
    ) -> Result<(), String> {
        if !self.runs(node, boot) {
            return Ok(());
        }
        self.nodes[node].disk.end_sync(records);
        self.step(node, Event::Durable { through })
    }

    fn carry_out(&mut self, node: usize, effect: Effect) -> Result<(), String> {
        self.mix(&effect);
        match effect {
            Effect::Append { .. } => {}
            Effect::Cut { .. } => self.count("cut after promotion"),
            Effect::StartEmpty { .. } => {
                self.nodes[node].applied_seen = Position(0);
                self.nodes[node].emptied += 1;
            }
            Effect::Commit { through } => return self.applied(node, through.position),
            Effect::Send { to, message } => self.send(node, to, message),
            Effect::Reply { to, answer } => {
                if answer == Answer::Unknown {
                    self.count("unknown");
                }
                return self.client.answered(self.now, &mut self.oracle, to, answer);
            }
            Effect::Propose(proposal) => self.propose(proposal),
            Effect::RaiseClockBound { above } => self.raise(node, above),
            Effect::ReadLog { peer, from, .. } => self.read_log(node, peer, from),
            Effect::StartSnapshot {
                to,
                boot,
                fence,
                session,
            } => {
                self.send_snapshot(node, to, boot, fence, session);
            }
            Effect::Closed { round, .. } => {
                if self.fence(node) < self.service.current.fence {
                    self.count("close across promotion");
                }
                for close in round.closes() {
                    self.oracle.close(close)?;
                }
            }
            Effect::Settled(_) => {}
            Effect::Stop(broken) => return Err(format!("stopped: {broken}")),
        }
        Ok(())
    }

    pub fn fence(&self, node: usize) -> Fence {
        let replica = self.nodes[node].replica.as_ref();
        replica.map_or_else(Fence::default, replication::Replica::fence)
    }

    fn mix(&mut self, effect: &Effect) {
        let number: u64 = match effect {
            Effect::Append { entry, .. } => entry.header().hlc.0,
            Effect::Cut { after, .. } => after.0 ^ 0xc07,
            Effect::Commit { through } => through.position.0 ^ 0xc0,
            Effect::Send { to, .. } => to.0,
            Effect::Reply { to, .. } => to.0 ^ 0x4e,
            _ => 7,
        };
        self.trace = (self.trace ^ number ^ self.now)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(23);
    }

    fn applied(&mut self, node: usize, through: Position) -> Result<(), String> {
        let replica = self.nodes[node].replica.as_ref().expect("it just stepped");
        let by = if replica.role() == RoleName::Primary {
            By::Primary
        } else {
            By::Follower
        };
        if by == By::Primary && self.fence(node) < self.service.current.fence {
            self.count("commit across promotion");
        }
        while self.nodes[node].applied_seen < through {
            let next = self.nodes[node].applied_seen.next();
            self.nodes[node].applied_seen = next;
            let entry = self.nodes[node]
                .disk
                .entry(next)
                .ok_or("an applied entry is not in the log")?;
            self.oracle.apply(by, entry)?;
        }
        Ok(())
    }

    /// What a reader would be told: how far streams are closed, and how old rows can be.
    fn check_claims(&mut self, node: usize) -> Result<(), String> {
        let own = &mut self.nodes[node];
        let replica = own.replica.as_ref().expect("it just stepped");
        for placement in [1, 2] {
            let Some(close) = replica.closed(PlacementId(placement)) else {
                continue;
            };
            if own.closed_seen.insert(placement, close) != Some(close) {
                self.oracle.close(close)?;
            }
        }
        let monotonic = own.monotonic(self.now);
        let Some(age) = replica.age(monotonic) else {
            return Ok(());
        };
        let committed = replica.committed().position;
        let instant = self.now as i64 - age.0 as i64;
        self.oracle
            .complete(u64::try_from(instant).unwrap_or(0), committed)
    }

    pub fn raise(&mut self, node: usize, above: Hlc) {
        let bound = self.nodes[node].bound_above(self.now, above);
        if self.nodes[node].raising >= bound {
            return;
        }
        self.nodes[node].raising = bound;
        let slow = self.rng.chance(self.weather.slow_sync);
        let delay = self.rng.between(200, if slow { 1_500_000 } else { 20_000 });
        let boot = self.nodes[node].boot;
        self.after(delay, Action::Bound { node, boot, bound });
    }

    pub fn propose(&mut self, proposal: Proposal) {
        self.proposals.push(proposal.clone());
        let lost = !self.calm && self.rng.chance(100);
        let delay = self.rng.between(500, self.weather.news);
        if lost {
            self.proposals.pop();
        } else {
            self.after(delay, Action::Propose(proposal));
        }
    }

    fn read_log(&mut self, node: usize, peer: Member, from: Position) {
        let own = &self.nodes[node];
        let committed = own
            .replica
            .as_ref()
            .expect("it just stepped")
            .committed()
            .position;
        let kept = from.0 + self.weather.log_kept > committed.0;
        let found = if kept {
            own.disk.read(from, committed)
        } else {
            None
        };
        if found.is_some() {
            self.count("read from the log");
        }
        let read = found.map_or(Read::Gone, Read::Entries);
        let boot = self.nodes[node].boot;
        let event = Event::LogRead { peer, from, read };
        let delay = self.rng.between(100, 3_000);
        self.after(delay, Action::Local { node, boot, event });
    }

    pub fn wipe(&mut self, node: usize) {
        let old = self.nodes[node].member();
        self.nodes[node].crash(&mut self.rng);
        let in_flight = self.proposals.iter().any(|proposal| {
            proposal.in_sync.contains(&old) && !self.service.current.in_sync.contains(&old)
        });
        if in_flight {
            self.count("joiner wiped in flight");
        }
        let store = if self.plant == Plant::WipedDiskKeepsStoreId {
            self.nodes[node].tainted = true;
            old.store
        } else {
            StoreId(old.store.0 + 1)
        };
        self.nodes[node].disk = crate::disk::Disk::new(store);
        let placed: Vec<_> = self.nodes.iter().map(Node::member).collect();
        self.service.place(&placed);
    }

    fn send(&mut self, from: usize, to: NodeId, message: Message) {
        let to = self.at(to);
        if self.cut[from][to] || self.rng.chance(self.weather.loss) {
            return;
        }
        if let Body::Mismatch(_) = message.body {
            self.count("mismatch");
        }
        let copies = 1 + u64::from(self.rng.chance(self.weather.repeat));
        for _ in 0..copies {
            let delay = if self.rng.chance(self.weather.late) {
                self.rng.between(10_000, 4_000_000)
            } else {
                self.rng.between(200, 4_000)
            };
            let event = Event::Message {
                from: self.nodes[from].id,
                message: message.clone(),
            };
            self.after(delay, Action::Deliver { to, event });
        }
    }
}
