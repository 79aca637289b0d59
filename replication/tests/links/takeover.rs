//! A new primary takes over what its region's log has.

use super::{
    primary::{Begin, Primary, Reader},
    world::{Deed, World},
};
use proto::{
    entry::EntryKind,
    id::{Incarnation, RegionId},
};
use replication::link::{Audience, Link, LinkEffect, Outbox, Rebirth};

type Reads = Vec<(RegionId, Vec<LinkEffect>)>;

impl World {
    /// The primary of the region's newest epoch begins, if it has none.
    pub fn promote(&mut self, region: usize) -> Result<(), String> {
        if self.regions[region].primary.is_some() {
            return Ok(());
        }
        self.regions[region].boots += 1;
        let boot = self.regions[region].boots;
        let id = self.regions[region].id;
        let all = self.regions.iter().map(|other| other.id);
        let others: Vec<_> = all.filter(|other| *other != id).collect();
        let mut primary = self.begin(region, &others);
        let reads = self.open_links(region, &mut primary, &others);
        self.regions[region].primary = Some(primary);
        for (origin, effects) in reads {
            self.carry_out(region, boot, origin, effects)?;
            let origin = self.at(origin);
            self.later(20_000, region, boot, Deed::Poll { origin });
        }
        self.append_first(region);
        self.later(10_000, region, boot, Deed::Open);
        self.later(1_000, region, boot, Deed::Round);
        self.later(2_000, region, boot, Deed::Beat);
        self.later(3_000, region, boot, Deed::Tick);
        Ok(())
    }

    fn begin(&mut self, region: usize, others: &[RegionId]) -> Primary {
        let bug = self.bug();
        let (clock_begins, clock_ppm) = (self.rng.between(0, 40_000_000), self.rng.between(0, 300));
        let own = &self.regions[region];
        let waits_for = if own.is_reborn { others } else { &[] };
        let mut primary = Primary::new(Begin {
            region: own.id,
            boot: own.boots,
            epoch: own.epoch,
            incarnation: own.incarnation,
            // What is committed later is told to the outbox then; the rest is in the log.
            outbox: Outbox::new(Audience::All, own.shared_mark, own.seen.head()),
            rebirth: Rebirth::new(own.incarnation, waits_for.iter().copied()),
            clock_begins,
            clock_ppm,
        });
        if let Some(bug) = bug {
            primary.outbox.plant(bug);
            primary.echoes.plant(bug);
            primary.rebirth.plant(bug);
        }
        primary
    }

    fn open_links(&self, region: usize, primary: &mut Primary, others: &[RegionId]) -> Reads {
        let own = &self.regions[region];
        let time = primary.now(self.now, own.wall_millis(self.now));
        let mut reads = Vec::new();
        for origin in others {
            let logged = self.mark_of(region, *origin);
            let committed = own.seen.marks.get(origin).copied().unwrap_or_default();
            let mut effects = Vec::new();
            let mut link = Link::open(logged, committed.reached, time, &mut effects);
            if let Some(bug) = self.bug() {
                link.plant(bug);
            }
            primary.links.insert(*origin, link);
            let reader = Reader {
                cursor: 0,
                generation: self.regions[self.at(*origin)].topic.generation,
                is_paused: false,
            };
            primary.readers.insert(*origin, reader);
            reads.push((*origin, effects));
        }
        reads
    }

    /// The epoch's first entries: an incarnation that follows another begins at once, also where
    /// nothing of the stream is left: others may have some of it, and must learn that it ended.
    fn append_first(&mut self, region: usize) {
        let incarnation = self.regions[region].incarnation;
        let is_new = self.regions[region].end.head().incarnation < incarnation;
        if is_new && incarnation > Incarnation(1) {
            self.append_own(region, EntryKind::Resume, None);
        } else {
            self.commit_soon(region);
        }
    }
}
