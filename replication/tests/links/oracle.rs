//! What the model knows to be true, and every way in which a region can contradict it.

use super::rows::{Rows, Written, holds};
use bytes::Bytes;
use proto::{
    id::{Incarnation, RegionId, Sequence},
    token::Reached,
    version::Version,
};
use std::collections::{BTreeMap, BTreeSet};

type Place = (RegionId, Reached);

#[derive(Clone, Copy)]
struct Acknowledged {
    at: u64,
    key: u8,
    version: Version,
}

#[derive(Default)]
pub struct Oracle {
    /// What each committed entry holds.
    entries: BTreeMap<Place, Written>,
    /// What each incarnation builds on.
    parents: BTreeMap<(RegionId, Incarnation), Reached>,
    acknowledged: BTreeMap<RegionId, Vec<Acknowledged>>,
    /// Records that were ever in a topic.
    carried: BTreeMap<Place, Bytes>,
    /// How far (reader, origin) was compared already.
    verified: BTreeMap<(RegionId, RegionId), Reached>,
    judged: BTreeMap<(RegionId, RegionId), usize>,
    /// Remote entries in a region's log.
    logged: BTreeSet<(RegionId, Place)>,
    pub claims: u64,
}

impl Oracle {
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.values().map(|all| all.len() as u64).sum()
    }

    pub fn begin(&mut self, origin: RegionId, incarnation: Incarnation, parent: Reached) {
        self.parents.insert((origin, incarnation), parent);
    }

    pub fn commit(
        &mut self,
        at: u64,
        origin: RegionId,
        reached: Reached,
        row: Written,
        is_write: bool,
    ) {
        self.entries.insert((origin, reached), row);
        if let Some((key, version)) = row.filter(|_| is_write) {
            let acknowledged = Acknowledged { at, key, version };
            self.acknowledged
                .entry(origin)
                .or_default()
                .push(acknowledged);
        }
    }

    /// A record enters a topic: its number never changes content (I8).
    pub fn carry(
        &mut self,
        origin: RegionId,
        reached: Reached,
        bytes: &Bytes,
    ) -> Result<(), String> {
        let known = self
            .carried
            .entry((origin, reached))
            .or_insert_with(|| bytes.clone());
        if known == bytes {
            return Ok(());
        }
        Err(format!(
            "I8: region {origin} ships {reached:?} with two contents"
        ))
    }

    /// A primary shares that the transport has its stream through `mark`.
    pub fn mark(&self, origin: RegionId, mark: Reached) -> Result<(), String> {
        let first = Reached {
            incarnation: mark.incarnation,
            sequence: Sequence(1),
        };
        let owed = self.entries.range((origin, first)..=(origin, mark));
        for (place, _) in owed {
            if !self.carried.contains_key(place) && !self.is_given_up(*place, mark) {
                return Err(format!(
                    "I3: region {origin} counts {mark:?} as shipped without {place:?}"
                ));
            }
        }
        Ok(())
    }

    /// A *skip* after it says so: it has no row.
    fn is_given_up(&self, place: Place, mark: Reached) -> bool {
        let later = self.entries.range(place..=(place.0, mark));
        later.skip(1).any(|(_, row)| row.is_none())
    }

    /// A region appends an entry of another one: once each (I12).
    pub fn append(
        &mut self,
        reader: RegionId,
        origin: RegionId,
        reached: Reached,
    ) -> Result<(), String> {
        if self.logged.insert((reader, (origin, reached))) {
            return Ok(());
        }
        Err(format!(
            "I12: region {reader} appends {reached:?} of {origin} twice"
        ))
    }

    /// Its log fell back to what `keeps` says.
    pub fn fell_back(&mut self, reader: RegionId, keeps: impl Fn(RegionId, Reached) -> bool) {
        self.logged
            .retain(|(who, (origin, reached))| *who != reader || keeps(*origin, *reached));
        self.verified.retain(|(who, _), _| *who != reader);
        self.judged.retain(|(who, _), _| *who != reader);
    }

    /// A region's watermark claims everything below it (links never skip).
    pub fn watermark(
        &mut self,
        reader: RegionId,
        origin: RegionId,
        reached: Reached,
        rows: &Rows,
    ) -> Result<(), String> {
        let known = self
            .verified
            .get(&(reader, origin))
            .copied()
            .unwrap_or_default();
        let mut end = reached;
        while end.incarnation > Incarnation(0) {
            let is_known = known.incarnation == end.incarnation;
            let first = Reached {
                incarnation: end.incarnation,
                sequence: if is_known {
                    known.sequence
                } else {
                    Sequence(1)
                },
            };
            if first <= end {
                for ((_, at), row) in self.entries.range((origin, first)..=(origin, end)) {
                    if let Some((key, version)) = row
                        && !holds(rows, *key, *version)
                    {
                        return Err(format!(
                            "I12: region {reader} is at {reached:?} of {origin} without {at:?}"
                        ));
                    }
                }
            }
            if is_known {
                break;
            }
            let parent = self.parents.get(&(origin, end.incarnation));
            end = parent.copied().unwrap_or_default();
        }
        self.verified.insert((reader, origin), reached);
        Ok(())
    }

    /// A region claims that everything acknowledged at the origin before `instant` is in its rows (I14).
    /// What nobody has any more was lost with a person's consent.
    pub fn complete(
        &mut self,
        reader: RegionId,
        origin: RegionId,
        instant: u64,
        rows: &Rows,
        elsewhere: &[&Rows],
    ) -> Result<(), String> {
        self.claims += 1;
        let all = self.acknowledged.entry(origin).or_default();
        let judged = self.judged.entry((reader, origin)).or_default();
        while let Some(next) = all.get(*judged).filter(|next| next.at < instant) {
            let is_here = holds(rows, next.key, next.version);
            // Where a newer one of a third region stands in its place, it cannot be issued again, and that
            // one is on its way from there.
            let still_is = |other: &&Rows| other.get(&next.key) == Some(&next.version);
            if !is_here && elsewhere.iter().any(still_is) {
                return Err(format!(
                    "I14: region {reader} claims all of {origin} before {instant} µs without {:?} of {} µs",
                    next.version, next.at
                ));
            }
            *judged += 1;
        }
        Ok(())
    }
}
