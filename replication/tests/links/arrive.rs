//! The receiving side: reading topics, links and what they ask for, ages.

use super::{
    region::{Logged, Marks},
    rows::{Rows, row_of},
    world::{Deed, Plant, World},
};
use bytes::Bytes;
use proto::{
    entry::EntryKind,
    id::RegionId,
    link::{Record, RecordError},
};
use replication::link::{From, LinkEffect, LinkEvent, LinkState, Obstacle, StreamMark};

/// Records of one read.
const READ_RECORDS: u64 = 40;

impl World {
    pub fn poll(&mut self, region: usize, boot: u64, origin: usize) -> Result<(), String> {
        if self.regions[region].primary_of(boot).is_none() {
            return Ok(());
        }
        self.later(20_000, region, boot, Deed::Poll { origin });
        let is_cut = self
            .cut_until
            .get(&(region, origin))
            .is_some_and(|until| *until > self.now);
        if is_cut {
            return Ok(());
        }
        self.notice_topic(region, boot, origin)?;
        let (origin_id, topic) = (self.regions[origin].id, &self.regions[origin].topic);
        let (start, end, generation) = (topic.start, topic.end(), topic.generation);
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return Ok(());
        };
        let reader = primary
            .readers
            .get_mut(&origin_id)
            .expect("it reads all others");
        if reader.is_paused {
            return Ok(());
        }
        // Below what is kept, or past the end of a topic that was made anew since the position was logged.
        let is_outside = reader.cursor < start || reader.cursor > end;
        if is_outside && reader.generation == generation {
            reader.cursor = start;
            self.count("position lost");
            return self.link(region, boot, origin_id, LinkEvent::PositionLost);
        }
        let first = reader.cursor;
        reader.cursor = reader.cursor.max(end.min(first + READ_RECORDS));
        let through = reader.cursor;
        let mut delay = 500;
        for position in first..through {
            let Some(record) = self.regions[origin].topic.read(position) else {
                continue;
            };
            let bytes = record.bytes.clone();
            delay += self.rng.between(10, 400);
            self.transfer(region, boot, origin, position + 1, bytes, delay);
        }
        Ok(())
    }

    /// The id of a topic is compared now and then, and where reading past its end fails.
    fn notice_topic(&mut self, region: usize, boot: u64, origin: usize) -> Result<(), String> {
        let origin_id = self.regions[origin].id;
        let (generation, end) = (
            self.regions[origin].topic.generation,
            self.regions[origin].topic.end(),
        );
        let looks = self.rng.chance(10);
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return Ok(());
        };
        let reader = primary
            .readers
            .get_mut(&origin_id)
            .expect("it reads all others");
        if reader.generation != generation && (looks || reader.cursor > end) {
            reader.generation = generation;
            return self.link(region, boot, origin_id, LinkEvent::TransportRenewed);
        }
        Ok(())
    }

    fn transfer(
        &mut self,
        region: usize,
        boot: u64,
        origin: usize,
        position: u64,
        bytes: Bytes,
        delay: u64,
    ) {
        if self.rng.chance(self.weather.loss) {
            return;
        }
        let copies = 1 + u64::from(self.rng.chance(self.weather.repeat));
        for _ in 0..copies {
            let late = self.rng.chance(self.weather.late);
            let delay = if late {
                self.rng.between(10_000, 6_000_000)
            } else {
                delay
            };
            let mut bytes = bytes.clone();
            if self.rng.chance(self.weather.damage) {
                let mut damaged = bytes.to_vec();
                let at = self.rng.index(damaged.len());
                damaged[at] ^= 4;
                bytes = damaged.into();
            }
            self.later(
                delay,
                region,
                boot,
                Deed::Arrive {
                    origin,
                    position,
                    bytes,
                },
            );
        }
    }

    pub fn arrive(
        &mut self,
        region: usize,
        boot: u64,
        origin: usize,
        position: u64,
        bytes: Bytes,
    ) -> Result<(), String> {
        let origin_id = self.regions[origin].id;
        match proto::link::decode(&bytes) {
            Ok(Record::Entry(entry)) => {
                let until = self.unknown_until.get(&(origin_id, entry.reached()));
                let is_unknown = until.is_some_and(|until| *until > self.now);
                let view = proto::id::ViewId(1);
                let obstacle = is_unknown.then_some(Obstacle::UnknownView(view));
                let event = LinkEvent::Entry {
                    entry,
                    position,
                    obstacle,
                };
                self.link(region, boot, origin_id, event)
            }
            Ok(Record::Heartbeat(heartbeat)) => {
                let now = self.now;
                let own = self.regions[region].id;
                let newest = self.boot(origin).unwrap_or_default();
                let Some(primary) = self.regions[region].primary_of(boot) else {
                    return Ok(());
                };
                let at = primary.monotonic(now);
                primary.echoes.hear(&heartbeat, at);
                let closes: Vec<_> = primary.echoes.closes(&heartbeat).collect();
                if heartbeat.boot.0 < newest
                    && closes.iter().any(|(_, close)| close.instant.is_some())
                {
                    self.count("close of a replaced primary counted");
                }
                for (_, close) in closes {
                    self.link(
                        region,
                        boot,
                        origin_id,
                        LinkEvent::Close { close, position },
                    )?;
                }
                for report in heartbeat.reports {
                    if report.stream.origin == own {
                        self.reported(region, boot, origin_id, report.reached);
                    }
                }
                self.check_ages(region)
            }
            Err(RecordError::Malformed(_)) => {
                self.count("damaged record");
                self.link(region, boot, origin_id, LinkEvent::Unreadable)
            }
            Err(error @ RecordError::Unknown { .. }) => Err(error.to_string()),
        }
    }

    /// One event at one link, and all that follows.
    pub fn link(
        &mut self,
        region: usize,
        boot: u64,
        origin: RegionId,
        event: LinkEvent,
    ) -> Result<(), String> {
        let (now, wall) = (self.now, self.regions[region].wall_millis(self.now));
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return Ok(());
        };
        let time = primary.now(now, wall);
        let link = primary
            .links
            .get_mut(&origin)
            .expect("it links to all others");
        let before = link.state();
        let mut effects = Vec::new();
        link.step(time, event, &mut effects);
        let after = link.state();
        if before != after {
            self.note_state(before, after);
        }
        self.carry_out(region, boot, origin, effects)
    }

    fn note_state(&mut self, before: LinkState, after: LinkState) {
        match (before, after) {
            (_, LinkState::Gap) => self.count("gap"),
            (_, LinkState::Held(_)) => self.count("held"),
            (LinkState::Gap, LinkState::Replay) => self.count("live after a gap"),
            (LinkState::Held(_), LinkState::Replay) => self.count("live after being held"),
            _ => {}
        }
    }

    pub fn carry_out(
        &mut self,
        region: usize,
        boot: u64,
        origin: RegionId,
        effects: Vec<LinkEffect>,
    ) -> Result<(), String> {
        let at = self.at(origin);
        for effect in effects {
            match effect {
                LinkEffect::Apply { entry, position } => {
                    self.apply(region, boot, &entry, position)?;
                }
                LinkEffect::LogPosition(position) => {
                    if self.is_newest(region, boot) {
                        self.regions[region].push(Logged::Position { origin, position });
                        self.commit_soon(region);
                    }
                }
                LinkEffect::Read(from) => {
                    let topic = &self.regions[at].topic;
                    let cursor = match from {
                        From::Position(position) => position,
                        From::Millis(millis) => topic.at_millis(millis),
                        From::Start => topic.start,
                    };
                    self.reader(region, boot, origin, |reader| reader.cursor = cursor);
                }
                LinkEffect::Pause => {
                    self.reader(region, boot, origin, |reader| reader.is_paused = true);
                }
                LinkEffect::Resume => {
                    self.reader(region, boot, origin, |reader| reader.is_paused = false);
                }
                LinkEffect::FetchSnapshot => {
                    self.count("asked for a snapshot");
                    let delay = self.rng.between(50_000, 3_000_000);
                    self.later(delay, region, boot, Deed::Snapshot { origin: at });
                }
            }
        }
        Ok(())
    }

    fn reader(
        &mut self,
        region: usize,
        boot: u64,
        origin: RegionId,
        change: impl FnOnce(&mut super::primary::Reader),
    ) {
        let primary = self.regions[region].primary_of(boot);
        if let Some(reader) = primary.and_then(|own| own.readers.get_mut(&origin)) {
            change(reader);
        }
    }

    /// Rows, watermark and position are one entry of the region's log.
    fn apply(
        &mut self,
        region: usize,
        boot: u64,
        entry: &proto::link::LinkEntry,
        position: u64,
    ) -> Result<(), String> {
        let origin = entry.stream().origin;
        if !self.is_newest(region, boot) {
            return Ok(());
        }
        let logged = self.mark_of(region, origin).reached;
        if self.rng.chance(self.weather.refused) {
            self.count("refused by the log");
            return self.link(region, boot, origin, LinkEvent::Refused(logged));
        }
        let cut =
            logged.incarnation < entry.reached().incarnation && entry.kind() == EntryKind::Start;
        let lineage = replication::streams::decode_lineage(entry.lineage()).unwrap_or_default();
        if cut && lineage.last().is_some_and(|cut| cut.kept < logged.sequence) {
            self.count("start adopted past its cut");
        }
        self.oracle
            .append(self.regions[region].id, origin, entry.reached())?;
        let (reached, hlc) = (entry.reached(), entry.hlc());
        let mark = StreamMark {
            reached,
            hlc,
            position,
        };
        let row = row_of(entry);
        self.regions[region].push(Logged::Remote { origin, mark, row });
        self.commit_soon(region);
        Ok(())
    }

    pub fn tick(&mut self, region: usize, boot: u64) -> Result<(), String> {
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return Ok(());
        };
        let origins: Vec<_> = primary.links.keys().copied().collect();
        let news = self.rng.chance(100);
        for origin in origins {
            self.link(region, boot, origin, LinkEvent::Tick)?;
            if news {
                self.link(region, boot, origin, LinkEvent::CatalogChanged)?;
            }
        }
        self.later(100_000, region, boot, Deed::Tick);
        Ok(())
    }

    /// A holder that is ahead of this region gives all it has, with its watermarks of before.
    pub fn snapshot(&mut self, region: usize, boot: u64, origin: usize) {
        let Some(link) = self.regions[region]
            .primary
            .as_ref()
            .filter(|primary| primary.boot.0 == boot)
            .and_then(|primary| primary.links.get(&self.regions[origin].id))
        else {
            return;
        };
        let (id, here) = (self.regions[origin].id, link.committed());
        let wants_any = self.plant == Plant::Core(replication::planted::Bug::OlderSnapshotTaken);
        let holders: Vec<_> = (0..self.regions.len())
            .filter(|holder| *holder != region)
            .map(|holder| (holder, self.marks_of(holder)))
            .filter(|(_, marks)| {
                wants_any || marks.get(&id).is_some_and(|mark| mark.reached > here)
            })
            .collect();
        let Some((holder, marks)) = self.rng.pick(&holders).cloned() else {
            return;
        };
        let own = self.regions[region].id;
        let marks: Marks = marks
            .into_iter()
            .filter(|(origin, _)| *origin != own)
            .collect();
        let rows = self.regions[holder].seen.rows.clone();
        let delay = self.rng.between(10_000, 2_000_000);
        self.later(delay, region, boot, Deed::Install { rows, marks });
    }

    /// What a region has of every stream, its own included.
    fn marks_of(&self, holder: usize) -> Marks {
        let own = &self.regions[holder];
        let mut marks = own.seen.marks.clone();
        let head = StreamMark {
            reached: own.seen.head(),
            hlc: own.stamp,
            position: own.topic.end(),
        };
        marks.insert(own.id, head);
        marks
    }

    pub fn install(&mut self, region: usize, boot: u64, mut rows: Rows, marks: Marks) {
        if !self.is_newest(region, boot) {
            return;
        }
        // Own cells that come back from outside were lost here. Taken silently they would not be found
        // lacking any more when the incarnation is merged, and third regions would never get them.
        if self.plant != Plant::OwnCellsMergedSilently {
            self.issue_again(region, &rows);
        }
        let own = self.regions[region].id;
        if self.plant != Plant::OwnCellsMergedSilently {
            rows.retain(|_, version| version.origin != own);
        }
        self.regions[region].push(Logged::Merged { rows, marks });
        self.commit_soon(region);
    }

    /// Every age that a lookup could be told now, against what is in this region's rows.
    pub fn check_ages(&mut self, region: usize) -> Result<(), String> {
        let (now, wall) = (self.now, self.regions[region].wall_millis(self.now));
        let Some(primary) = &self.regions[region].primary else {
            return Ok(());
        };
        let time = primary.now(now, wall);
        let ages: Vec<_> = primary
            .links
            .iter()
            .filter_map(|(origin, link)| Some((*origin, link.age(time)?)))
            .collect();
        for (origin, age) in ages {
            let instant = now.saturating_sub(age.0);
            let rows = &self.regions[region].seen.rows;
            let elsewhere: Vec<_> = self.regions.iter().map(|other| &other.seen.rows).collect();
            let reader = self.regions[region].id;
            self.oracle
                .complete(reader, origin, instant, rows, &elsewhere)?;
        }
        Ok(())
    }
}
