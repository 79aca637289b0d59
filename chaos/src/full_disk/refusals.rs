//! What writes met while a disk was full, from what clients saw.

use crate::{
    judge::{Beat, GAP_LIMIT, longest_gap},
    limping::Bout,
};
use proto::reason::Reason;
use sim::history::{Entry, Event, Micros, WriteAnswer};
use std::{collections::BTreeSet, fmt, time::Duration};

/// Answers to writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Met {
    /// Those that were refused for want of room, wholly or in part.
    refused: usize,
    /// How long after the fault began the first of them came.
    first: Option<Duration>,
    /// Those that failed otherwise.
    otherwise: usize,
    /// One of these.
    example: Option<String>,
}

/// What came of one write.
enum Came {
    Taken,
    Refused,
    Otherwise(String),
}

impl Met {
    /// Of what was answered from `begun` until `ended`.
    #[must_use]
    pub fn of(entries: &[Entry], begun: Micros, ended: Micros) -> Self {
        let mut met = Self::default();
        let within = entries
            .iter()
            .filter(|entry| entry.at >= begun && entry.at < ended);
        for entry in within {
            let Event::WriteAnswered(answered) = &entry.event else {
                continue;
            };
            match came(&answered.answer) {
                Came::Taken => {}
                Came::Refused => {
                    met.refused += 1;
                    met.first.get_or_insert(span(begun, entry.at));
                }
                Came::Otherwise(why) => {
                    met.otherwise += 1;
                    met.example.get_or_insert(why);
                }
            }
        }
        met
    }

    /// What must not be.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        let nobody =
            (self.refused == 0).then(|| "no write was refused for want of room".to_owned());
        nobody.into_iter()
    }
}

/// Clients see refusals of whole writes as text that ends with the reason.
fn came(answer: &WriteAnswer) -> Came {
    let nearly_full = Reason::NearlyFull;
    match answer {
        WriteAnswer::Acknowledged(given) => {
            let mut rejected = given.rejected.iter();
            if rejected.any(|row| row.reason == nearly_full) {
                Came::Refused
            } else if given.unknown.is_empty() {
                Came::Taken
            } else {
                Came::Otherwise(format!("no outcome of rows {:?}", given.unknown))
            }
        }
        WriteAnswer::Refused(reason) if *reason == nearly_full => Came::Refused,
        WriteAnswer::Refused(reason) => Came::Otherwise(reason.as_str().to_owned()),
        WriteAnswer::Unknown(why) if why.contains(&format!("[{}]", nearly_full.as_str())) => {
            Came::Refused
        }
        WriteAnswer::Unknown(why) => Came::Otherwise(why.clone()),
    }
}

/// When shards took writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shards {
    /// How many the node holds.
    held: usize,
    /// The last acknowledgement of one of them while the disk was full.
    last: Duration,
    /// How long it was full.
    full: Duration,
    /// The longest time without an acknowledged write of any other, while it was full.
    others: Duration,
    /// When the last of all shards was written to again, once there was room.
    again: Option<Duration>,
}

impl Shards {
    /// By the acknowledgements of one writer for each of `all` shards, of which the node holds some.
    #[must_use]
    pub fn of(beats: &[Beat], (held, all): (&BTreeSet<usize>, usize), bout: &Bout) -> Self {
        let times = (bout.begun, bout.ended);
        Self::at(beats, (held, all), times)
    }

    fn at(
        beats: &[Beat],
        (held, all): (&BTreeSet<usize>, usize),
        (begun, ended): (Micros, Micros),
    ) -> Self {
        let is_held = |beat: &&Beat| held.contains(&beat.writer);
        let while_full = |beat: &&Beat| beat.at >= begun && beat.at < ended;
        let of_held = beats.iter().filter(is_held).filter(while_full);
        let last = of_held.map(|beat| beat.at).max().unwrap_or(begun);
        // Writers of the shards that it does not hold, numbered anew.
        let others: Vec<usize> = (0..all).filter(|shard| !held.contains(shard)).collect();
        let of_others = beats.iter().filter_map(|beat| {
            let writer = others.binary_search(&beat.writer).ok()?;
            Some(Beat { writer, ..*beat })
        });
        let of_others: Vec<Beat> = of_others.collect();
        Self {
            held: held.len(),
            last: span(begun, last),
            full: span(begun, ended),
            others: longest_gap(&of_others, others.len(), begun, ended).length,
            again: taken_again(beats, all, ended).map(|at| span(ended, at)),
        }
    }

    /// What must not be.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        let late = self.last.saturating_mul(2) > self.full;
        let late = late.then(|| "shards that it holds took writes for long".to_owned());
        let gap = self.others > GAP_LIMIT;
        let gap = gap.then(|| {
            format!(
                "a shard that it does not hold took none for {:?}",
                self.others
            )
        });
        let never = self.again.is_none();
        let never = never.then(|| format!("writes were not taken again in {GAP_LIMIT:?}"));
        [late, gap, never].into_iter().flatten()
    }
}

/// When the last of so many writers was acknowledged for the first time from `from` on; none while one was
/// not.
#[must_use]
pub fn taken_again(beats: &[Beat], writers: usize, from: Micros) -> Option<Micros> {
    let mut first = vec![None; writers];
    for beat in beats.iter().filter(|beat| beat.at >= from) {
        first[beat.writer].get_or_insert(beat.at);
    }
    let all: Option<Vec<Micros>> = first.into_iter().collect();
    all?.into_iter().max()
}

fn span(from: Micros, to: Micros) -> Duration {
    Duration::from_micros(to.0.saturating_sub(from.0))
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (refused, otherwise) = (self.refused, self.otherwise);
        write!(f, "{refused} writes refused for want of room")?;
        if let Some(first) = self.first {
            write!(f, ", the first after {:.1} s", first.as_secs_f64())?;
        }
        write!(f, "; {otherwise} failed otherwise")?;
        match &self.example {
            Some(example) => write!(f, ", such as: {example}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (last, others) = (self.last.as_secs_f64(), self.others.as_secs_f64());
        write!(
            f,
            "{} shards held, which took writes for {last:.1} s more; others took none for {others:.1} s at most",
            self.held
        )?;
        match self.again {
            Some(again) => write!(f, "; all taken again after {:.1} s", again.as_secs_f64()),
            None => f.write_str("; not taken again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::RegionId;
    use sim::history::{Acknowledged, CallId, RejectedRow, WriteAnswered};

    fn at(seconds: u64) -> Micros {
        Micros(seconds * 1_000_000)
    }

    fn answered(seconds: u64, answer: WriteAnswer) -> Entry {
        let call = CallId(seconds);
        Entry {
            at: at(seconds),
            event: Event::WriteAnswered(WriteAnswered { call, answer }),
        }
    }

    fn taken(rejected: Option<Reason>, unknown: Vec<u32>) -> WriteAnswer {
        let row = |reason| RejectedRow { row: 0, reason };
        WriteAnswer::Acknowledged(Acknowledged {
            region: RegionId(1),
            superseded: 0,
            rejected: rejected.map(row).into_iter().collect(),
            unknown,
            token: None,
        })
    }

    #[test]
    fn refusals_for_want_of_room_are_told_from_other_failures() {
        let unknown = |why: &str| WriteAnswer::Unknown(why.into());
        let entries = [
            answered(1, unknown("the disk is nearly full [NEARLY_FULL]")),
            answered(12, taken(None, vec![])),
            answered(
                13,
                unknown("the disk is nearly full [NEARLY_FULL]; try again in 1.0 s"),
            ),
            answered(14, taken(Some(Reason::NearlyFull), vec![])),
            answered(15, unknown("no answer [DEADLINE]")),
            answered(16, taken(None, vec![0])),
            answered(30, unknown("after it")),
        ];
        let met = Met::of(&entries, at(10), at(20));
        assert_eq!(
            met.to_string(),
            "2 writes refused for want of room, the first after 3.0 s; 2 failed otherwise, \
             such as: no answer [DEADLINE]"
        );
        assert_eq!(met.faults().count(), 0);
        let none = Met::of(&entries, at(15), at(20));
        assert_eq!(none.faults().count(), 1, "{none}");
    }

    /// Writers of three shards, a beat a second: those of 0 and 2 stop from `stop` to 22.
    fn beats(stop: u64) -> Vec<Beat> {
        let beat = |second, writer| Beat {
            writer,
            issued: at(second),
            at: at(second),
        };
        let mut beats = Vec::new();
        for second in 0..40 {
            for writer in 0..3 {
                if writer == 1 || !(stop..22).contains(&second) {
                    beats.push(beat(second, writer));
                }
            }
        }
        beats
    }

    fn shards(stop: u64, held: &[usize]) -> Shards {
        let held = held.iter().copied().collect();
        Shards::at(&beats(stop), (&held, 3), (at(10), at(20)))
    }

    #[test]
    fn shards_of_a_full_disk_stop_and_are_written_to_again() {
        let well = shards(13, &[0, 2]);
        assert_eq!(
            well.to_string(),
            "2 shards held, which took writes for 2.0 s more; others took none for 1.0 s at most; \
             all taken again after 2.0 s"
        );
        assert_eq!(well.faults().count(), 0);
        let late = shards(18, &[0, 2]).faults().collect::<Vec<_>>();
        assert!(late.len() == 1 && late[0].contains("for long"), "{late:?}");
        let never = taken_again(&beats(13), 4, at(20));
        assert_eq!(never, None, "a fourth shard is never written to");
    }
}
