//! Letting go of segments: when no row lives there and nobody needs their entries.

use super::{Keeper, StepError};
use crate::{body::Body, hint::hint_path, recover::window_start, store::Store};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

impl Store {
    /// Makes one spare file for the log unless there are enough. It writes a whole segment of zeros;
    /// left undone, the writer does it when it needs one. Says whether it made one.
    pub fn prepare_step(&self) -> Result<bool, StepError> {
        let made = self.directory.prepare_spare();
        // Here and not only where compaction frees space: others take it too, and a store that compacts nothing
        // would find out by a failed write. Afterwards, since a spare counts as room.
        self.refresh_capacity();
        made.map_err(StepError::while_doing("making a spare segment"))
    }

    /// Lets go of drained segments that may go. Says how many bytes that gave back.
    pub(super) fn release(&self, keeper: &mut Keeper) -> Result<u64, StepError> {
        let synced = self.progress.synced.load(Ordering::Acquire);
        let mut freed = 0;
        let mut kept = Vec::new();
        for (body, settles) in std::mem::take(&mut keeper.drained) {
            let bodies = self.bodies.all();
            if body.live_rows() > 0 {
                // A damaged row stayed, or a row came back to life: it is a segment as any other.
                continue;
            }
            if settles > synced || !self.may_go(&body, &bodies) {
                kept.push((body, settles));
                continue;
            }
            drop(bodies);
            freed += body.segment.size_bytes();
            let let_go = self.let_go(body);
            if let Err(error) = let_go {
                keeper.drained.extend(kept);
                return Err(StepError {
                    doing: "deleting a segment",
                    error,
                });
            }
        }
        keeper.drained = kept;
        Ok(freed)
    }

    fn let_go(&self, body: Arc<Body>) -> io::Result<()> {
        let (slot, id) = (body.slot, body.segment.id);
        self.bodies.remove(slot);
        let segment = Arc::clone(&body.segment);
        drop(body);
        self.directory.retire(segment)?;
        // Behind the segment: one without a hint file is read through, the other way it is nothing.
        self.directory
            .disk()
            .delete(&hint_path(&self.directory, id))
    }

    /// Whether nothing but live rows keeps a settled segment.
    pub(super) fn may_go(&self, body: &Arc<Body>, bodies: &[Arc<Body>]) -> bool {
        if body.is_base {
            return true;
        }
        let facts = body.facts.lock();
        let Some(hint) = facts.hint.clone() else {
            return false;
        };
        if facts
            .covered_by
            .is_none_or(|group| group > self.synced_through())
        {
            return false;
        }
        let has_cuts = facts.has_cuts;
        drop(facts);
        // Its cuts may void entries of older segments, should those have to be read again.
        let is_oldest = || {
            !bodies
                .iter()
                .any(|other| !other.is_base && other.segment.id < body.segment.id)
        };
        if has_cuts && !is_oldest() {
            return false;
        }
        let oldest = window_start(self.largest_hlc(), self.settings.remembered);
        let remembers_requests = hint.span.largest_hlc >= oldest;
        let has_entries = hint.parts.iter().any(|part| part.entries > 0);
        let is_held = (remembers_requests && has_entries) || self.holders.lock().hold(&hint);
        !is_held
    }
}
