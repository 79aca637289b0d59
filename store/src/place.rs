//! What the index keeps of a row: 24 bytes. Hash 64 | flags 4, slot 20, offset/16 24, length/16 16 |
//! order 53, view number 11.

use crate::views::ViewNumber;
use proto::{record::RecordView, time::EventTime};

const FLAG_TOMBSTONE: u64 = 1 << 2;
const FLAG_FULL: u64 = 1 << 3;
const LENGTH_BITS: u32 = 16;
const OFFSET_BITS: u32 = 24;
const SLOT_BITS: u32 = 20;
const FLAGS_AT: u32 = LENGTH_BITS + OFFSET_BITS + SLOT_BITS;
const VIEW_BITS: u32 = 11;

/// The largest file that places can point into.
pub(crate) const FILE_BYTES_MAX: u64 = 16 << OFFSET_BITS;

/// A number of the table of open segments; used again once its segment is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) u32);

/// How many slots there are.
pub(crate) const SLOTS: u32 = 1 << SLOT_BITS;

/// Where a record lies, and what is known of it without a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) u64);

/// When the row was true, and of which view it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order(pub(crate) u64);

/// A row in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) hash: u64,
    pub(crate) place: Place,
    pub(crate) order: Order,
}

impl Place {
    /// The place of `record`, which lies at `offset`.
    pub(crate) fn of(record: &RecordView<'_>, slot: Slot, offset: u64) -> Self {
        debug_assert!(offset.is_multiple_of(16) && offset < FILE_BYTES_MAX);
        let mut flags = 0;
        if record.kind().is_tombstone() {
            flags |= FLAG_TOMBSTONE;
        }
        if record.is_full() {
            flags |= FLAG_FULL;
        }
        let length = record.bytes().len() as u64 / 16;
        let place = u64::from(slot.0) << (LENGTH_BITS + OFFSET_BITS)
            | (offset / 16) << LENGTH_BITS
            | length;
        Self(flags << FLAGS_AT | place)
    }

    pub(crate) const fn slot(self) -> Slot {
        Slot((self.0 >> (LENGTH_BITS + OFFSET_BITS)) as u32 & (SLOTS - 1))
    }

    pub(crate) const fn offset(self) -> u64 {
        (self.0 >> LENGTH_BITS & ((1 << OFFSET_BITS) - 1)) * 16
    }

    pub(crate) const fn length(self) -> usize {
        (self.0 as usize & ((1 << LENGTH_BITS) - 1)) * 16
    }

    pub(crate) const fn is_tombstone(self) -> bool {
        self.0 >> FLAGS_AT & FLAG_TOMBSTONE != 0
    }

    pub(crate) const fn is_full(self) -> bool {
        self.0 >> FLAGS_AT & FLAG_FULL != 0
    }

    /// The same record's place in the file of another slot.
    pub(crate) const fn in_slot(self, slot: Slot) -> Self {
        let mask = (SLOTS as u64 - 1) << (LENGTH_BITS + OFFSET_BITS);
        Self(self.0 & !mask | (slot.0 as u64) << (LENGTH_BITS + OFFSET_BITS))
    }

    /// The same record after it was copied to `offset` of another file.
    pub(crate) const fn moved(self, slot: Slot, offset: u64) -> Self {
        let mask = ((1 << OFFSET_BITS) - 1) << LENGTH_BITS;
        Self(self.in_slot(slot).0 & !mask | (offset / 16) << LENGTH_BITS)
    }
}

impl Order {
    pub(crate) const fn new(event_time: EventTime, view: ViewNumber) -> Self {
        Self(event_time.micros() << VIEW_BITS | view.0 as u64)
    }

    pub(crate) const fn event_time(self) -> EventTime {
        EventTime::saturating(self.0 >> VIEW_BITS)
    }

    pub(crate) const fn view(self) -> ViewNumber {
        ViewNumber(self.0 as u16 & ((1 << VIEW_BITS) - 1))
    }
}

/// A second, independent hash of the key, kept in hint files: two keys of one 64-bit hash are told
/// apart at a restart without reading their records.
pub(crate) fn key_check(key: &[u8]) -> u16 {
    (crc32c::crc32c(key) & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keep_their_parts_when_a_record_moves() {
        let flags = FLAG_FULL << FLAGS_AT;
        let place = Place(flags | 5 << 40 | (0xff_fff0 / 16) << 16 | 61)
            .moved(Slot(SLOTS - 1), FILE_BYTES_MAX - 16);
        assert_eq!(place.slot(), Slot(SLOTS - 1));
        assert_eq!(place.offset(), FILE_BYTES_MAX - 16);
        assert_eq!(place.length(), 61 * 16);
        assert!(place.is_full() && !place.is_tombstone());
        assert_eq!(place.in_slot(Slot(7)).offset(), FILE_BYTES_MAX - 16);
    }

    #[test]
    fn orders_keep_the_last_time_and_the_last_view() {
        let order = Order::new(EventTime::MAX, ViewNumber(2047));
        assert_eq!(
            (order.event_time(), order.view()),
            (EventTime::MAX, ViewNumber(2047))
        );
    }
}
