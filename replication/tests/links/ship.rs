//! The sending side: rounds of closes, heartbeats, sessions, what reaches a topic.

use super::{
    rows::{PLACEMENT, Rows, SHARD, holds, reached, shipped},
    world::{Action, Deed, Plant, Round, World},
};
use bytes::Bytes;
use proto::{entry::EntryKind, id::RegionId, token::Reached};
use replication::{
    Entry,
    link::{OutboxEffect, OutboxEvent, RebirthEffect, RebirthEvent, Said},
};

impl World {
    /// A round of promises begins: its instant, its stamp and the end of the log belong together.
    pub fn round(&mut self, region: usize, boot: u64) {
        let now = self.now;
        let own = &mut self.regions[region];
        let epoch = own.epoch;
        let Some(primary) = own
            .primary
            .as_ref()
            .filter(|own| own.boot.0 == boot && own.epoch == epoch)
        else {
            return;
        };
        let sent_at = primary.monotonic(now);
        let hlc = own.stamp(now);
        let (reached, length) = (own.end.head(), own.log.len());
        let round = Round {
            reached,
            hlc,
            sent_at,
            length,
        };
        let delay = self.rng.between(500, 8_000);
        self.after(
            delay,
            Action::Promised {
                region,
                boot,
                epoch,
                round,
            },
        );
        self.later(250_000, region, boot, Deed::Round);
    }

    /// The replicas promised, in this epoch; done once the log is committed through the round's end.
    pub fn promised(&mut self, region: usize, boot: u64, epoch: u32, round: Round) {
        if self.regions[region].epoch != epoch {
            return;
        }
        if self.regions[region].committed < round.length {
            self.after(
                20_000,
                Action::Promised {
                    region,
                    boot,
                    epoch,
                    round,
                },
            );
        } else {
            self.later(200, region, boot, Deed::Done { round });
        }
    }

    pub fn done(&mut self, region: usize, boot: u64, round: Round) -> Result<(), String> {
        let may_close = self.regions[region]
            .primary_of(boot)
            .is_some_and(|primary| primary.rebirth.may_close());
        if !may_close {
            return Ok(());
        }
        let Round {
            reached,
            hlc,
            sent_at,
            ..
        } = round;
        self.outbox(
            region,
            boot,
            OutboxEvent::Closed {
                reached,
                hlc,
                sent_at,
            },
        )
    }

    pub fn beat(&mut self, region: usize, boot: u64) -> Result<(), String> {
        let (now, plant) = (self.now, self.plant);
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return Ok(());
        };
        let at = primary.monotonic(now);
        let (reached, hlc, sent_at) = primary.outbox.said();
        let said = [Said {
            shard: SHARD,
            placement: PLACEMENT,
            reached,
            hlc,
            sent_at,
        }];
        let mut reports = primary.reports();
        if plant == Plant::ReportedBeforeDurable {
            let ends = &self.regions[region].end.marks;
            for report in &mut reports {
                report.reached = ends
                    .get(&report.stream.origin)
                    .copied()
                    .unwrap_or_default()
                    .reached;
            }
        }
        self.check_reports(region, &reports)?;
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return Ok(());
        };
        let session = primary.session;
        let bytes = primary.echoes.beat(at, said, reports).encode();
        if session > 0 {
            self.put(region, boot, session, bytes, None);
        }
        self.check_ages(region)?;
        self.later(250_000, region, boot, Deed::Beat);
        Ok(())
    }

    /// Never more than what survives any crash of this region.
    fn check_reports(
        &self,
        region: usize,
        reports: &[proto::link::HeldReport],
    ) -> Result<(), String> {
        let own = &self.regions[region];
        for report in reports {
            let mark = own
                .seen
                .marks
                .get(&report.stream.origin)
                .copied()
                .unwrap_or_default();
            // A run of before a loss may still say what it had.
            if report.reached > mark.reached && own.replaced.is_none() {
                return Err(format!(
                    "I3: region {} reports {:?} and has {:?}",
                    own.id, report.reached, mark.reached
                ));
            }
        }
        Ok(())
    }

    /// One event at one outbox, and all that follows.
    pub fn outbox(&mut self, region: usize, boot: u64, event: OutboxEvent) -> Result<(), String> {
        let mut effects = Vec::new();
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return Ok(());
        };
        primary.outbox.step(event, &mut effects);
        let mut is_full = false;
        for effect in effects {
            match effect {
                OutboxEffect::Send { session, entry } => {
                    // After a refusal nothing is taken before the outbox knows of it.
                    let refuse = is_full || self.rng.chance(self.weather.full);
                    if refuse && !is_full {
                        is_full = true;
                        self.count("transport full");
                        let reached = reached(&entry);
                        self.outbox(region, boot, OutboxEvent::Full { session, reached })?;
                        let delay = self.rng.between(1_000, 300_000);
                        self.later(delay, region, boot, Deed::Room);
                    }
                    if !refuse {
                        self.send(region, boot, session, &entry);
                    }
                }
                OutboxEffect::Renew => self.later(50_000, region, boot, Deed::Open),
                OutboxEffect::ReadLog { after, .. } => {
                    self.count("read from the log");
                    let delay = self.rng.between(500, 20_000);
                    self.later(delay, region, boot, Deed::ReadLog { after });
                }
                OutboxEffect::ShareMark(mark) => self.share(region, boot, mark)?,
                OutboxEffect::AppendSkip => {
                    if self.is_newest(region, boot) {
                        self.count("skip");
                        self.append_own(region, EntryKind::Skip, None);
                    }
                }
                OutboxEffect::TellGone { .. } => {
                    return Err("a shared transport was told".to_owned());
                }
            }
        }
        Ok(())
    }

    pub fn is_newest(&self, region: usize, boot: u64) -> bool {
        let own = &self.regions[region];
        let newest = own.primary.as_ref();
        newest.is_some_and(|primary| primary.boot.0 == boot && primary.epoch == own.epoch)
    }

    fn share(&mut self, region: usize, boot: u64, mark: Reached) -> Result<(), String> {
        let own = &mut self.regions[region];
        self.oracle.mark(own.id, mark)?;
        // Now and then the backups do not hear of it: a successor sends once more.
        if own
            .primary
            .as_ref()
            .is_some_and(|primary| primary.boot.0 == boot)
            && self.rng.chance(700)
        {
            own.shared_mark = own.shared_mark.max(mark);
        }
        Ok(())
    }

    pub fn send(&mut self, region: usize, boot: u64, session: u64, entry: &Entry) {
        self.put(region, boot, session, shipped(entry), Some(reached(entry)));
    }

    /// In the order of a session; another session may overtake it.
    fn put(
        &mut self,
        region: usize,
        boot: u64,
        session: u64,
        bytes: Bytes,
        counts: Option<Reached>,
    ) {
        let (now, delay) = (self.now, self.rng.between(500, 20_000));
        let down = self.regions[region].topic_down_until;
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return;
        };
        primary.sent_until = (now + delay).max(primary.sent_until + 1).max(down + 1);
        let delay = primary.sent_until - now;
        self.after(
            delay,
            Action::Produce {
                region,
                boot,
                session,
                bytes,
                counts,
            },
        );
    }

    /// A record reaches the topic, or its delivery fails: then nobody knows whether it is there, and
    /// later ones may be.
    pub fn produced(
        &mut self,
        region: usize,
        boot: u64,
        session: u64,
        bytes: Bytes,
        counts: Option<Reached>,
    ) -> Result<(), String> {
        let millis = self.regions[region].wall_millis(self.now);
        let fails = counts.is_some() && self.rng.chance(self.weather.failed);
        let is_there = !fails || self.rng.chance(300);
        if is_there {
            let id = self.regions[region].id;
            if let Some(reached) = counts {
                self.oracle.carry(id, reached, &bytes)?;
            }
            self.regions[region].topic.append(bytes, millis);
        }
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return Ok(());
        };
        if primary.session != session || primary.is_broken {
            return Ok(());
        }
        let delay = self.rng.between(200, 10_000);
        if fails {
            if let Some(primary) = self.regions[region].primary_of(boot) {
                primary.is_broken = true;
            }
            self.count("delivery failed");
            self.later(delay, region, boot, Deed::Lose { session });
        } else if let Some(through) = counts {
            self.later(delay, region, boot, Deed::Deliver { session, through });
        }
        Ok(())
    }

    pub fn open_session(&mut self, region: usize, boot: u64) -> Result<(), String> {
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return Ok(());
        };
        primary.session += 1;
        primary.is_broken = false;
        let session = primary.session;
        self.outbox(
            region,
            boot,
            OutboxEvent::Opened {
                session,
                from: None,
            },
        )
    }

    pub fn read_log(&mut self, region: usize, boot: u64, after: Reached) -> Result<(), String> {
        // A primary that was replaced reads what it has no more.
        if !self.is_newest(region, boot) {
            return Ok(());
        }
        let entries = self.regions[region].own_after(after, self.weather.log_kept);
        self.outbox(region, boot, OutboxEvent::LogRead { after, entries })
    }

    /// What others say of this region's stream.
    pub fn reported(&mut self, region: usize, boot: u64, holder: RegionId, reached: Reached) {
        let forged = self.plant == Plant::MergedBeforeStartPassed;
        let Some(primary) = self.regions[region].primary_of(boot) else {
            return;
        };
        let reached = if forged {
            Reached {
                incarnation: primary.incarnation,
                ..reached
            }
        } else {
            reached
        };
        let mut effects = Vec::new();
        primary
            .rebirth
            .step(RebirthEvent::Reported(holder, reached), &mut effects);
        for RebirthEffect::MergeFrom(holder) in effects {
            let holder = self.at(holder);
            let delay = self.rng.between(20_000, 2_000_000);
            self.later(delay, region, boot, Deed::MergeFrom { holder });
        }
    }

    /// Own cells that the holder has and this region lost are issued again, under their old versions.
    pub fn merge_from(&mut self, region: usize, boot: u64, holder: usize) -> Result<(), String> {
        if !self.is_newest(region, boot) {
            return Ok(());
        }
        let (id, holder_id) = (self.regions[region].id, self.regions[holder].id);
        let mut cells = self.regions[holder].seen.rows.clone();
        cells.retain(|_, version| version.origin == id);
        self.issue_again(region, &cells);
        let shown = &self.regions[region].seen.rows;
        let is_durable = self.plant == Plant::LostCellsNotReissued
            || cells
                .iter()
                .all(|(key, version)| holds(shown, *key, *version));
        if !is_durable {
            self.later(50_000, region, boot, Deed::MergeFrom { holder });
            return Ok(());
        }
        let own = &mut self.regions[region];
        if let Some(primary) = own.primary.as_mut() {
            primary
                .rebirth
                .step(RebirthEvent::Merged(holder_id), &mut Vec::new());
            own.is_reborn &= !primary.rebirth.may_close();
        }
        Ok(())
    }

    /// Own cells that are lacking here become own entries under their old versions.
    pub fn issue_again(&mut self, region: usize, cells: &Rows) {
        let id = self.regions[region].id;
        for (key, version) in cells {
            let is_here = holds(&self.regions[region].end.rows, *key, *version);
            if version.origin != id || is_here || self.plant == Plant::LostCellsNotReissued {
                continue;
            }
            self.count("lost cell issued again");
            let event = version.event_time.micros();
            let row = Some((*key, event, Some(version.write_time)));
            self.append_own(region, EntryKind::Reissued, row);
        }
    }
}
