//! Snapshots on their way: begun, arriving, installed or broken off.

use crate::world::{Action, Snapshot, World};
use proto::id::BootId;
use replication::{Event, Fence, Member};

impl World {
    pub fn send_snapshot(
        &mut self,
        from: usize,
        to: Member,
        boot: BootId,
        fence: Fence,
        session: u32,
    ) {
        let own = &self.nodes[from];
        let replica = own.replica.as_ref().expect("it just stepped");
        let snapshot = Snapshot {
            from,
            from_boot: own.boot,
            to: self.at(to.node),
            boot,
            fence,
            session,
            base: replica.base().clone(),
        };
        let cut = self.cut[from][snapshot.to];
        if !cut && !self.rng.chance(self.weather.loss) {
            let delay = self.rng.between(500, 50_000);
            self.after(delay, Action::Snapshot(snapshot.clone()));
            if self.rng.chance(self.weather.repeat * 4) {
                let late = self.rng.between(50_000, 3_000_000);
                self.after(late, Action::Snapshot(snapshot.clone()));
            }
        }
        let event = Event::SnapshotEnded { peer: to };
        let delay = self.rng.between(100_000, 500_000);
        let boot = snapshot.from_boot;
        self.after(
            delay,
            Action::Local {
                node: from,
                boot,
                event,
            },
        );
    }

    pub fn begin_snapshot(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let to = snapshot.to;
        if self.nodes[to].replica.is_none() || self.nodes[to].paused {
            return Ok(());
        }
        let (boot, before) = (self.nodes[to].boot, self.nodes[to].emptied);
        self.step(
            to,
            Event::SnapshotBegun {
                fence: snapshot.fence,
                boot: snapshot.boot,
                session: snapshot.session,
            },
        )?;
        if self.nodes[to].emptied == before {
            return Ok(());
        }
        self.nodes[to].awaited = Some((snapshot.fence, snapshot.session));
        let delay = self.rng.between(1_000, 300_000);
        self.after(delay, Action::Install { snapshot, boot });
        Ok(())
    }

    /// The scan ends where the sender is by now: until the receiver is there too, its rows are torn.
    pub fn install_snapshot(&mut self, mut snapshot: Snapshot, boot: BootId) -> Result<(), String> {
        let to = snapshot.to;
        let awaited = Some((snapshot.fence, snapshot.session));
        if !self.runs(to, boot) || self.nodes[to].awaited != awaited {
            return Ok(());
        }
        if self.nodes[to].paused {
            self.after(50_000, Action::Install { snapshot, boot });
            return Ok(());
        }
        self.nodes[to].awaited = None;
        let sender = self.runs(snapshot.from, snapshot.from_boot);
        if !sender || self.rng.chance(self.weather.loss) {
            return self.step(to, Event::SnapshotAborted);
        }
        let scanned = self.nodes[snapshot.from].replica.as_ref();
        let scanned = scanned.expect("the sender runs").committed().position;
        snapshot.base.serves_from = scanned;
        self.count("installed a snapshot");
        if scanned > snapshot.base.committed.position {
            self.count("snapshot torn until its scan's end");
        }
        self.nodes[to].disk.install(&snapshot.base);
        self.nodes[to].applied_seen = snapshot.base.committed.position;
        let Snapshot {
            fence,
            session,
            base,
            ..
        } = snapshot;
        self.step(
            to,
            Event::SnapshotInstalled {
                fence,
                session,
                base,
            },
        )
    }
}
