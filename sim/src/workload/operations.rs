//! Operations, one after the other.

use super::schema::{Probe, ProbeView};
use crate::{
    history::{Bytes, Change, Datum, Wanted, WriteRow},
    random::Random,
};
use proto::{id::FeatureId, time::EventTime, types::Scalar};
use std::{collections::BTreeMap, time::Duration};

/// Numbers that shape the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Probes that are written and read; few, so that their rows are contended.
    pub probes: u64,
    /// Writes of a hundred operations; the others are lookups.
    pub write_percent: u64,
    /// Deletions of a hundred written rows.
    pub delete_percent: u64,
    /// Lookups with a token, of a hundred.
    pub token_percent: u64,
    /// Rows of a write, at most.
    pub rows_per_write: u64,
    /// Probes of a lookup, at most.
    pub probes_per_lookup: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            probes: 100,
            write_percent: 50,
            delete_percent: 8,
            token_percent: 50,
            rows_per_write: 4,
            probes_per_lookup: 5,
        }
    }
}

/// Which token a lookup is to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUse {
    /// None.
    None,
    /// All that this client has seen and written.
    Own,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A write. Its request id is made of the time and these bits.
    Write {
        /// Random bits.
        id: u128,
        /// The rows.
        rows: Vec<WriteRow>,
    },
    /// A lookup.
    Lookup {
        /// What is asked for.
        wanted: Vec<Wanted>,
        /// Which token it carries.
        token: TokenUse,
    },
}

/// Draws operations.
#[derive(Debug, Clone)]
pub struct Generator {
    probe: Probe,
    settings: Settings,
    random: Random,
    /// Counts values, so that each is written once.
    written: u64,
    /// What tells this generator's values from those of others.
    mark: u64,
    /// The last event time of a row, for events that tie with it.
    last: BTreeMap<(ProbeView, u64), EventTime>,
}

impl Generator {
    /// The load of one client; clients of one run have different `client` numbers, below 1,000.
    #[must_use]
    pub fn new(probe: Probe, settings: Settings, seed: u64, client: u64) -> Self {
        let random = Random::of_purpose(seed, &format!("load of client {client}"));
        Self {
            probe,
            settings,
            random,
            written: 0,
            mark: client,
            last: BTreeMap::new(),
        }
    }

    /// The next operation, at the wall clock's `now`.
    pub fn next(&mut self, now: EventTime) -> Operation {
        if self.random.percent(self.settings.write_percent) {
            let count = self.random.within(1..self.settings.rows_per_write + 1);
            let rows = (0..count).map(|_| self.row(now)).collect();
            Operation::Write {
                id: self.random.wide_bits(),
                rows,
            }
        } else {
            let with_token = self.random.percent(self.settings.token_percent);
            let token = if with_token {
                TokenUse::Own
            } else {
                TokenUse::None
            };
            Operation::Lookup {
                wanted: self.wanted(),
                token,
            }
        }
    }

    /// Every row whole, for the reads that close a run.
    #[must_use]
    pub fn every_row(probe: &Probe, settings: &Settings) -> Vec<Wanted> {
        let probes = 0..settings.probes;
        probes
            .flat_map(|number| ProbeView::ALL.map(|view| probe.whole_row(view, number)))
            .collect()
    }

    fn row(&mut self, now: EventTime) -> WriteRow {
        let view = *self.random.pick(&ProbeView::ALL);
        let number = self.random.skewed(self.settings.probes);
        let event_time = self.event_time(now, (view, number));
        self.last.insert((view, number), event_time);
        let change = if self.random.percent(self.settings.delete_percent) {
            Change::Delete
        } else {
            self.set(view)
        };
        WriteRow {
            row: self.probe.row(view, number),
            event_time,
            change,
        }
    }

    /// Most events are new. Some are late, some tie with the one before, some expire during the run
    /// or are past their TTL already, some are dated a little ahead.
    fn event_time(&mut self, now: EventTime, row: (ProbeView, u64)) -> EventTime {
        let ttl = u64::try_from(self.probe.ttl.as_micros()).unwrap_or(u64::MAX);
        let back = |micros: u64| now.minus(Duration::from_micros(micros));
        match self.random.below(100) {
            0..60 => back(self.random.below(2_000)),
            60..78 => back(self.random.below(10_000_000)),
            78..86 => self.last.get(&row).copied().unwrap_or(now),
            86..92 => back(ttl.saturating_sub(self.random.below(5_000_000))),
            92..96 => back(ttl.saturating_add(1 + self.random.below(5_000_000))),
            _ => now.plus(Duration::from_micros(self.random.below(1_000_000))),
        }
    }

    /// Sets each feature with a chance of a half, and one for certain.
    fn set(&mut self, view: ProbeView) -> Change {
        let features = view.features();
        let certain = self.random.below(features.len() as u64) as usize;
        let mut cells = Vec::new();
        for (place, (_, scalar)) in features.iter().enumerate() {
            if place == certain || self.random.percent(50) {
                let value = (!self.random.percent(5)).then(|| self.value(*scalar));
                cells.push((FeatureId(place as u16), value));
            }
        }
        Change::Set(cells)
    }

    fn value(&mut self, scalar: Scalar) -> Datum {
        self.written += 1;
        let unique = self.written * 1_000 + self.mark;
        match scalar {
            Scalar::Float64 => Bytes::of(&self.float(unique).to_le_bytes()),
            Scalar::String => self.text(unique),
            _ => Bytes::of(&unique.to_le_bytes()),
        }
    }

    /// The bits of a float: now and then one that only bits can tell.
    fn float(&mut self, unique: u64) -> u64 {
        match self.random.below(20) {
            // A NaN with a payload of its own.
            0 => f64::NAN.to_bits() | (unique & 0x7_ffff_ffff_ffff),
            1 => f64::INFINITY.to_bits(),
            2 => f64::NEG_INFINITY.to_bits(),
            3 => (-0.0_f64).to_bits(),
            _ => (unique as f64 / 8.0).to_bits(),
        }
    }

    fn text(&mut self, unique: u64) -> Datum {
        match self.random.below(20) {
            0 => Bytes::default(),
            1 => Bytes::of(format!("{unique} {}", "ä long text ".repeat(50)).as_bytes()),
            _ => Bytes::of(format!("text {unique}").as_bytes()),
        }
    }

    fn wanted(&mut self) -> Vec<Wanted> {
        let count = self.random.within(1..self.settings.probes_per_lookup + 1);
        let mut wanted: Vec<Wanted> = Vec::new();
        for _ in 0..count {
            let number = self.random.skewed(self.settings.probes);
            // Both views of a key come from one state; asking for both is what can show otherwise.
            let views: &[ProbeView] = match self.random.below(4) {
                0 => &[ProbeView::State],
                1 => &[ProbeView::Notes],
                _ => &ProbeView::ALL,
            };
            for view in views {
                let mut row = self.probe.whole_row(*view, number);
                if self.random.percent(30) {
                    let keep = self.random.below(row.features.len() as u64) as usize;
                    row.features = vec![row.features[keep]];
                }
                if wanted.iter().all(|known| known.row != row.row) {
                    wanted.push(row);
                }
            }
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::{EntityId, ViewId};

    const PROBE: Probe = Probe {
        entity: EntityId(1),
        state: ViewId(1),
        notes: ViewId(2),
        ttl: Duration::from_mins(1),
    };

    fn operations(seed: u64, client: u64) -> Vec<Operation> {
        let mut generator = Generator::new(PROBE, Settings::default(), seed, client);
        let now = |step: u64| EventTime::saturating(1_790_000_000_000_000 + step * 1_000);
        (0..2_000).map(|step| generator.next(now(step))).collect()
    }

    #[test]
    fn a_seed_and_a_client_give_one_load() {
        assert_eq!(operations(1, 0), operations(1, 0));
        assert_ne!(operations(1, 0), operations(2, 0));
        assert_ne!(operations(1, 0), operations(1, 1));
    }

    #[test]
    fn the_load_holds_every_case() {
        let rows: Vec<WriteRow> = operations(3, 0)
            .into_iter()
            .filter_map(|operation| match operation {
                Operation::Write { rows, .. } => Some(rows),
                Operation::Lookup { .. } => None,
            })
            .flatten()
            .collect();
        let sets = rows.iter().filter_map(|row| match &row.change {
            Change::Set(cells) => Some((row, cells)),
            Change::Delete => None,
        });
        let sets: Vec<_> = sets.collect();
        assert!(sets.len() < rows.len(), "some rows are deleted");
        assert!(
            sets.iter()
                .any(|(_, cells)| cells.iter().any(|(_, value)| value.is_none()))
        );
        assert!(
            sets.iter()
                .any(|(row, cells)| row.row.view == PROBE.state && cells.len() == 1)
        );
        assert!(
            sets.iter()
                .any(|(row, cells)| row.row.view == PROBE.state && cells.len() == 4)
        );
        let floats = sets.iter().flat_map(|(row, cells)| {
            let state = row.row.view == PROBE.state;
            cells
                .iter()
                .filter(move |(feature, _)| state && feature.0 == 1)
        });
        let floats: Vec<f64> = floats
            .filter_map(|(_, value)| {
                Some(f64::from_le_bytes(
                    value.as_ref()?.as_slice().try_into().ok()?,
                ))
            })
            .collect();
        assert!(floats.iter().any(|float| float.is_nan()));
        assert!(floats.contains(&f64::INFINITY));
        let expired = EventTime::saturating(1_790_000_000_000_000).minus(PROBE.ttl);
        assert!(rows.iter().any(|row| row.event_time < expired));
    }

    #[test]
    fn the_definition_names_every_feature() {
        let text = PROBE.definition();
        for view in ProbeView::ALL {
            assert!(text.contains(&format!("name: {}\n", view.name())));
            for (name, scalar) in view.features() {
                assert!(text.contains(&format!("{{ name: {name}, type: {} }}", scalar.as_str())));
            }
        }
        assert!(text.contains("ttl: 60s"));
    }
}
