//! A segment as the store keeps account of it: who lives there, what is settled, what holds it.

use crate::{
    hint::{Content, HintFile},
    place::{Place, SLOTS, Slot},
    segment::Segment,
};
use parking_lot::{Mutex, RwLock};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// A segment in a slot.
pub(crate) struct Body {
    pub(crate) slot: Slot,
    pub(crate) segment: Arc<Segment>,
    pub(crate) is_base: bool,
    live_bytes: AtomicU64,
    live_rows: AtomicU64,
    /// A row of it cannot be read: it is not compacted, so that repair finds things as they are.
    pub(crate) is_damaged: AtomicBool,
    pub(crate) facts: Mutex<Facts>,
}

/// What changes seldom.
#[derive(Default)]
pub(crate) struct Facts {
    /// Where its groups end; known once no more come.
    pub(crate) end: Option<u64>,
    pub(crate) last_group: u64,
    /// Entries that are neither committed nor cut.
    pub(crate) unsettled: u64,
    /// Collected until the hint file is written.
    pub(crate) content: Content,
    /// A *Cut* entry lies here: older log segments must go first.
    pub(crate) has_cuts: bool,
    pub(crate) hint: Option<Arc<HintFile>>,
    /// The group with states that know all of this log segment's entries as committed. Before it is
    /// durable the segment cannot go: a restart learns watermarks from its entries.
    pub(crate) covered_by: Option<u64>,
}

impl Body {
    pub(crate) fn new(slot: Slot, segment: Arc<Segment>, is_base: bool, facts: Facts) -> Self {
        Self {
            slot,
            segment,
            is_base,
            live_bytes: AtomicU64::new(0),
            live_rows: AtomicU64::new(0),
            is_damaged: AtomicBool::new(false),
            facts: Mutex::new(facts),
        }
    }

    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn live_rows(&self) -> u64 {
        self.live_rows.load(Ordering::Relaxed)
    }

    pub(crate) fn gain(&self, place: Place) {
        self.live_bytes
            .fetch_add(place.length() as u64, Ordering::Relaxed);
        self.live_rows.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lose(&self, place: Place) {
        self.live_bytes
            .fetch_sub(place.length() as u64, Ordering::Relaxed);
        self.live_rows.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All segments by slot.
#[derive(Default)]
pub(crate) struct Bodies {
    slots: RwLock<Vec<Option<Arc<Body>>>>,
}

impl Bodies {
    /// Takes the first free slot for what `make` makes.
    pub(crate) fn add(&self, make: impl FnOnce(Slot) -> Body) -> Arc<Body> {
        let mut slots = self.slots.write();
        let free = slots
            .iter()
            .position(Option::is_none)
            .unwrap_or(slots.len());
        let slot = Slot(u32::try_from(free).expect("there are fewer segments than slots"));
        assert!(
            slot.0 < SLOTS,
            "a million segments is beyond any disk this store is made for"
        );
        let body = Arc::new(make(slot));
        if free == slots.len() {
            slots.push(None);
        }
        slots[free] = Some(Arc::clone(&body));
        body
    }

    /// The segment in `slot`. Entries of the index point at nothing else, so it is there.
    pub(crate) fn get(&self, slot: Slot) -> Arc<Body> {
        let slots = self.slots.read();
        let body = slots.get(slot.0 as usize).and_then(Option::as_ref);
        Arc::clone(body.expect("the index points at segments that are there"))
    }

    /// Empties a slot that no index entry points at any more.
    pub(crate) fn remove(&self, slot: Slot) -> Option<Arc<Body>> {
        self.slots.write()[slot.0 as usize].take()
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Body>> {
        let mut all: Vec<_> = self.slots.read().iter().flatten().map(Arc::clone).collect();
        all.sort_by_key(|body| body.segment.id);
        all
    }

    /// Moves one row's account from its old place to its new one.
    pub(crate) fn account(&self, old: Option<Place>, new: Option<Place>) {
        let slots = self.slots.read();
        let body = |place: Place| {
            slots[place.slot().0 as usize]
                .as_ref()
                .expect("the index points at segments that are there")
        };
        if let Some(old) = old {
            body(old).lose(old);
        }
        if let Some(new) = new {
            body(new).gain(new);
        }
    }
}
