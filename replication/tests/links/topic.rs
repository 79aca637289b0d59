//! What carries a region's stream to the others: a log of records with retention, which may be deleted
//! and made anew.

use bytes::Bytes;

#[derive(Clone)]
pub struct Record {
    pub bytes: Bytes,
    pub millis: u64,
}

#[derive(Default)]
pub struct Topic {
    pub generation: u64,
    /// The first position that can be read.
    pub start: u64,
    records: Vec<Record>,
}

impl Topic {
    pub fn end(&self) -> u64 {
        self.start + self.records.len() as u64
    }

    pub fn append(&mut self, bytes: Bytes, millis: u64) {
        self.records.push(Record { bytes, millis });
    }

    pub fn read(&self, position: u64) -> Option<&Record> {
        let place = usize::try_from(position.checked_sub(self.start)?).ok()?;
        self.records.get(place)
    }

    /// The first record put in at that time or later.
    pub fn at_millis(&self, millis: u64) -> u64 {
        let later = |record: &Record| record.millis >= millis;
        let place = self.records.iter().position(later);
        place.map_or(self.end(), |place| self.start + place as u64)
    }

    pub fn drop_before(&mut self, position: u64) {
        let gone = position.min(self.end()).saturating_sub(self.start);
        self.records.drain(..gone as usize);
        self.start += gone;
    }

    pub fn renew(&mut self) {
        self.generation += 1;
        self.start = 0;
        self.records.clear();
    }
}
