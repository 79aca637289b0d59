//! A region's own log: writes, what is committed of it, and whom that is told.

use super::{
    region::{Logged, is_write},
    rows::{Written, own, reached, version},
    world::{Action, Plant, Scene, World},
};
use proto::{
    entry::EntryKind,
    hlc::Hlc,
    id::{RegionId, Sequence},
    token::Reached,
};
use replication::link::{LinkEvent, OutboxEvent};

impl World {
    pub fn write(&mut self, region: usize) {
        let gap = self.weather.write_gap;
        if self.is_calm {
            return;
        }
        if self.acting(region) {
            let keys = if self.scene == Scene::SideDoor { 30 } else { 4 };
            let key = self.rng.index(keys) as u8;
            let event = self.now / 1_000_000 + self.rng.between(0, 2);
            self.append_own(region, EntryKind::Rows, Some((key, event, None)));
        }
        let delay = self.rng.between(gap / 4, gap * 2);
        self.after(delay, Action::Write(region));
    }

    /// The next own entry; a write begins the stream where that has not begun.
    pub fn append_own(
        &mut self,
        region: usize,
        kind: EntryKind,
        row: Option<(u8, u64, Option<Hlc>)>,
    ) {
        let now = self.now;
        let own_region = &mut self.regions[region];
        let (id, incarnation) = (own_region.id, own_region.incarnation);
        if own_region.end.head().incarnation != incarnation {
            let lineage = own_region.lineage();
            let first = Reached {
                incarnation,
                sequence: Sequence(1),
            };
            let hlc = own_region.stamp(now);
            let entry = own(id, EntryKind::Start, first, hlc, &lineage, None);
            let parent = lineage.last().map_or_else(Reached::default, |cut| Reached {
                incarnation: cut.incarnation,
                sequence: cut.kept,
            });
            self.oracle.begin(id, incarnation, parent);
            own_region.push(Logged::Own { entry, row: None });
        }
        let next = Reached {
            incarnation,
            sequence: own_region.end.head().sequence.next(),
        };
        let hlc = own_region.stamp(now);
        let written: Written =
            row.map(|(key, event, stamp)| (key, version(event, stamp.unwrap_or(hlc), id)));
        let entry = own(id, kind, next, hlc, &[], written);
        if self.rng.chance(self.weather.unknown) {
            let until = self.now + self.rng.between(100_000, 4_000_000);
            self.unknown_until.insert((id, next), until);
        }
        let ready = (self.plant == Plant::ShippedBeforeCommit).then(|| entry.clone());
        self.regions[region].push(Logged::Own {
            entry,
            row: written,
        });
        self.commit_soon(region);
        if let (Some(entry), Some(boot)) = (ready, self.boot(region)) {
            self.send(region, boot, 1, &entry);
        }
    }

    pub fn commit_soon(&mut self, region: usize) {
        let (epoch, length) = (self.regions[region].epoch, self.regions[region].log.len());
        let slow = self.rng.chance(self.weather.slow_commit);
        let delay = if slow {
            self.rng.between(20_000, 900_000)
        } else {
            self.rng.between(300, 6_000)
        };
        self.after(
            delay,
            Action::Commit {
                region,
                epoch,
                length,
            },
        );
    }

    /// What the in-sync replicas of the newest epoch hold is committed, and its writes are answered.
    pub fn commit(&mut self, region: usize, epoch: u32, length: usize) -> Result<(), String> {
        if self.regions[region].epoch != epoch {
            return Ok(());
        }
        let now = self.now;
        while self.regions[region].committed < length.min(self.regions[region].log.len()) {
            let own_region = &mut self.regions[region];
            let logged = own_region.log[own_region.committed].clone();
            own_region.seen.follow(&logged);
            own_region.committed += 1;
            let id = own_region.id;
            match logged {
                Logged::Own { entry, row } => {
                    self.oracle
                        .commit(now, id, reached(&entry), row, is_write(&entry));
                    self.ready(region, entry)?;
                }
                Logged::Remote { origin, mark, .. } => {
                    self.note_committed(region, origin, mark.reached)?;
                }
                Logged::Merged { marks, .. } => {
                    self.count("snapshot merged");
                    for (origin, mark) in marks {
                        self.check_watermark(region, origin)?;
                        self.tell_link(region, origin, LinkEvent::SnapshotMerged(mark))?;
                    }
                }
                Logged::Position { .. } => {}
            }
        }
        Ok(())
    }

    fn ready(&mut self, region: usize, entry: replication::Entry) -> Result<(), String> {
        let Some(boot) = self
            .boot(region)
            .filter(|_| self.plant != Plant::ShippedBeforeCommit)
        else {
            return Ok(());
        };
        self.outbox(region, boot, OutboxEvent::Ready(entry))
    }

    fn note_committed(
        &mut self,
        region: usize,
        origin: RegionId,
        reached: Reached,
    ) -> Result<(), String> {
        self.check_watermark(region, origin)?;
        self.tell_link(region, origin, LinkEvent::Committed(reached))
    }

    fn check_watermark(&mut self, region: usize, origin: RegionId) -> Result<(), String> {
        let region = &self.regions[region];
        let mark = region.seen.marks.get(&origin).copied().unwrap_or_default();
        self.oracle
            .watermark(region.id, origin, mark.reached, &region.seen.rows)
    }

    fn tell_link(
        &mut self,
        region: usize,
        origin: RegionId,
        event: LinkEvent,
    ) -> Result<(), String> {
        match self.boot(region) {
            Some(boot) => self.link(region, boot, origin, event),
            None => Ok(()),
        }
    }
}
