//! Compaction: live rows of mostly dead segments are copied to base segments, in the order of their
//! hashes, with their log positions. The index moves once the copies are durable.

use super::{Keeper, Output, StepError};
use crate::{body::Body, hint::HintRow, index::walk_order, store::Store};
use proto::id::{Position, ShardId};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, atomic::Ordering},
};

/// Segments that are less alive than this are worth copying.
const LIVE_MAX: f64 = 0.8;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Bytes of records copied.
    pub copied_bytes: u64,
    /// Bytes of files that were given back.
    pub freed_bytes: u64,
    /// Nothing is worth doing now.
    pub is_idle: bool,
    /// All is copied, and waits until the commits of the copied rows are durable: log and sync them.
    pub waits_for_sync: bool,
}

/// One compaction under way.
pub(super) struct Job {
    victims: Vec<Arc<Body>>,
    /// The log's last group before rows were looked up: a shard begun anew later voids the copies.
    born_after: u64,
    /// Once this group is synced, the commits of all rows that were looked up are durable.
    settles: u64,
    /// What to copy, by shard and hash.
    carry: Vec<HintRow>,
    next: usize,
    output: Option<Output>,
}

impl Store {
    /// Carries compaction on by about `budget_bytes` of copied records, and lets go of segments that
    /// nothing needs any more.
    pub fn compact_step(&self, budget_bytes: u64) -> Result<Compacted, StepError> {
        let while_doing = StepError::while_doing;
        let mut keeper = self.keeper.lock();
        self.enforce_hold_limit();
        let mut done = Compacted {
            freed_bytes: self.release(&mut keeper)?,
            ..Compacted::default()
        };
        if keeper.job.is_none() {
            keeper.job = self
                .plan(&keeper)
                .map_err(while_doing("planning compaction"))?;
        }
        let Some(mut job) = keeper.job.take() else {
            done.is_idle = done.freed_bytes == 0;
            return Ok(done);
        };
        match self.copy(&mut job, budget_bytes) {
            Ok(copied) => {
                done.copied_bytes = copied;
                self.work.compacted(copied);
            }
            Err(error) => {
                job.abandon();
                return Err(StepError {
                    doing: "copying rows",
                    error,
                });
            }
        }
        let is_copied = job.next == job.carry.len();
        // A base segment shows its rows whatever the commit point: entries of which it holds only
        // some rows would be torn if a restart fell back behind their commit.
        done.waits_for_sync = is_copied && job.settles > self.synced_through();
        if !is_copied || done.waits_for_sync {
            keeper.job = Some(job);
            return Ok(done);
        }
        if let Some(output) = job.output.take() {
            self.publish(output)
                .map_err(while_doing("publishing a base segment"))?;
        }
        // What superseded these rows, and its commit, must be durable before the rows go.
        let settles = self.progress.settles.load(Ordering::Acquire);
        keeper
            .drained
            .extend(job.victims.into_iter().map(|victim| (victim, settles)));
        done.freed_bytes += self.release(&mut keeper)?;
        self.refresh_capacity();
        Ok(done)
    }

    /// How many bytes to compact for so many bytes appended: half of them at a fifth dead, four
    /// times as many when the disk is nearly full.
    #[must_use]
    pub fn compaction_budget(&self, appended_bytes: u64) -> u64 {
        let (used, live) = self.used_and_live_bytes();
        let dead = if used == 0 {
            0.0
        } else {
            1.0 - live as f64 / used as f64
        };
        let by_dead = 0.5 * (dead / 0.2).min(2.0);
        let by_room = 4.0 * self.fullness();
        (appended_bytes as f64 * by_dead.max(by_room)) as u64
    }

    /// Chooses victims until their live rows fill a segment.
    fn plan(&self, keeper: &Keeper) -> io::Result<Option<Job>> {
        let now = self.progress.appended.load(Ordering::Acquire);
        let bodies = self.bodies.all();
        let taken = |body: &Arc<Body>| {
            keeper
                .drained
                .iter()
                .any(|(drained, _)| Arc::ptr_eq(drained, body))
        };
        let mut worth: Vec<(f64, Arc<Body>)> = bodies
            .iter()
            .filter(|body| !taken(body) && self.may_go(body, &bodies))
            .filter_map(|body| Some((worth_of(body, now)?, Arc::clone(body))))
            .collect();
        worth.sort_by(|a, b| {
            b.0.total_cmp(&a.0)
                .then(a.1.segment.id.cmp(&b.1.segment.id))
        });
        let mut job = Job {
            victims: Vec::new(),
            born_after: now,
            settles: 0,
            carry: Vec::new(),
            next: 0,
            output: None,
        };
        let mut live = 0;
        for (_, body) in worth {
            if live > 0 && live + body.live_bytes() > self.settings.segment_bytes {
                break;
            }
            live += body.live_bytes();
            self.collect(&body, &bodies, &mut job.carry)?;
            job.victims.push(body);
        }
        job.settles = self.progress.settles.load(Ordering::Acquire);
        job.carry
            .sort_by_key(|row| (row.shard, walk_order(row.hash), row.position));
        Ok((!job.victims.is_empty()).then_some(job))
    }

    /// The rows of a victim that must live on: those the index points at, and tombstones that still
    /// keep an older record of their key from coming back at a restart.
    fn collect(
        &self,
        victim: &Arc<Body>,
        bodies: &[Arc<Body>],
        carry: &mut Vec<HintRow>,
    ) -> io::Result<()> {
        let hint = victim
            .facts
            .lock()
            .hint
            .clone()
            .expect("victims are settled");
        let older = older_rows_elsewhere(victim, bodies);
        for part in &hint.parts {
            let rows = hint.rows(part, victim.slot, &mut self.views.write())?;
            let Some(shard) = self.shard(part.shard) else {
                continue;
            };
            let guard = shard.rows.read();
            for row in rows {
                let keeps_watch = row.place.is_tombstone()
                    && older
                        .get(&part.shard)
                        .is_some_and(|oldest| *oldest < row.position)
                    && hint.span.last_group.max(hint.span.born_after) >= guard.state.begun_in_group
                    && !guard
                        .index
                        .find(row.hash)
                        .iter()
                        .any(|entry| entry.order.view() == row.order.view());
                if guard.index.is_at(row.hash, row.place) || keeps_watch {
                    carry.push(row);
                }
            }
        }
        Ok(())
    }

    fn copy(&self, job: &mut Job, budget_bytes: u64) -> io::Result<u64> {
        let mut copied = 0;
        while copied < budget_bytes && job.next < job.carry.len() {
            let row = job.carry[job.next];
            job.next += 1;
            let body = self.bodies.get(row.place.slot());
            let mut bytes = vec![0; row.place.length()];
            body.segment
                .file()?
                .read_at(row.place.offset(), &mut bytes)?;
            // A damaged record stays where it is, and its segment with it, until it is repaired.
            if self
                .sound_record(row.shard, row.hash, &body, row.place, &bytes)
                .is_none()
            {
                continue;
            }
            copied += bytes.len() as u64;
            let output = match &mut job.output {
                Some(output) => output,
                none => none.insert(Output::create(self, job.born_after)?),
            };
            output.push(row, bytes)?;
        }
        Ok(copied)
    }
}

/// How much copying a segment is worth: the deader and the older the more. `None`: not at all.
fn worth_of(body: &Body, now: u64) -> Option<f64> {
    let facts = body.facts.lock();
    if facts.hint.is_none() || body.is_damaged.load(Ordering::Relaxed) {
        return None;
    }
    let live = body.live_bytes() as f64 / body.segment.size_bytes() as f64;
    let age = now.saturating_sub(facts.last_group) as f64 + 1.0;
    (live < LIVE_MAX).then(|| (1.0 - live) * age / (1.0 + live))
}

/// For each shard the smallest position in other segments that hold records nobody points at.
fn older_rows_elsewhere(victim: &Arc<Body>, bodies: &[Arc<Body>]) -> BTreeMap<ShardId, Position> {
    let mut oldest = BTreeMap::<ShardId, Position>::new();
    let mut note = |shard, position: Position| {
        let own = oldest.entry(shard).or_insert(position);
        *own = (*own).min(position);
    };
    for body in bodies.iter().filter(|body| !Arc::ptr_eq(body, victim)) {
        let facts = body.facts.lock();
        if let Some(hint) = &facts.hint {
            let rows: u64 = hint.parts.iter().map(|part| u64::from(part.rows)).sum();
            if rows > body.live_rows() {
                hint.parts
                    .iter()
                    .filter(|part| part.rows > 0)
                    .for_each(|part| note(part.shard, part.smallest));
            }
        }
        facts
            .content
            .rows
            .iter()
            .for_each(|row| note(row.shard, row.position));
    }
    oldest
}

impl Job {
    fn abandon(self) {
        if let Some(output) = self.output {
            output.abandon();
        }
    }
}
