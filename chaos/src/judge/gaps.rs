//! How long writes of a shard stood still.

use sim::history::Micros;
use std::{fmt, time::Duration};

/// No shard may be without an acknowledged write for longer.
pub const GAP_LIMIT: Duration = Duration::from_secs(20);

/// An acknowledgement of a writer that writes over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beat {
    /// Which writer, from 0.
    pub writer: usize,
    /// When the write left.
    pub issued: Micros,
    /// When.
    pub at: Micros,
}

/// Time without an acknowledgement of one writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gap {
    /// How long.
    pub length: Duration,
    /// From when on.
    pub from: Micros,
}

/// The longest gap of any of `writers` that overlaps the time from `from` until `to`; one that is
/// still open ends at `to`. A writer begins at time 0.
#[must_use]
pub fn longest_gap(beats: &[Beat], writers: usize, from: Micros, to: Micros) -> Gap {
    let mut last = vec![Micros(0); writers];
    let mut longest = Gap::default();
    let mut look = |begin: Micros, end: Micros| {
        let length = Duration::from_micros(end.0.saturating_sub(begin.0));
        if end > from && begin < to && length > longest.length {
            longest = Gap {
                length,
                from: begin,
            };
        }
    };
    for beat in beats {
        look(last[beat.writer], beat.at);
        last[beat.writer] = beat.at;
    }
    last.iter().for_each(|begin| look(*begin, to));
    longest
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s", self.length.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Micros {
        Micros(seconds * 1_000_000)
    }

    /// A beat a second of writer 0, and of writer 1 but for the time from 10 to 18.
    fn beats() -> Vec<Beat> {
        let mut beats = Vec::new();
        for second in 0..30 {
            let of = |writer| Beat {
                writer,
                issued: at(second),
                at: at(second),
            };
            beats.push(of(0));
            if !(10..18).contains(&second) {
                beats.push(of(1));
            }
        }
        beats
    }

    fn seconds(writers: usize, from: u64, to: u64) -> u64 {
        longest_gap(&beats(), writers, at(from), at(to))
            .length
            .as_secs()
    }

    #[test]
    fn a_gap_is_between_acknowledgements_of_one_writer() {
        assert_eq!(seconds(2, 0, 9), 1);
        assert_eq!(seconds(2, 12, 13), 9);
        assert_eq!(seconds(2, 0, 29), 9);
        assert_eq!(seconds(2, 20, 29), 1);
        assert_eq!(longest_gap(&beats(), 2, at(0), at(29)).from, at(9));
    }

    #[test]
    fn a_writer_that_is_never_acknowledged_has_a_gap_to_the_end() {
        assert_eq!(seconds(3, 20, 29), 29);
    }
}
