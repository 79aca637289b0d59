//! How a load shows that it goes on: a bar on a terminal, a plain line now and then elsewhere.

use super::state::Counts;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{IsTerminal as _, stderr},
    time::Duration,
};
use tokio::time::Instant;

/// Between plain lines: often enough to see that it goes on, seldom enough for a log.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where progress is shown.
#[derive(Debug)]
pub enum Progress {
    /// Nowhere: `-q`.
    Silent,
    /// A bar.
    Bar(ProgressBar),
    /// Lines.
    Lines {
        /// How many rows the file has, where known.
        total: Option<u64>,
        /// When the last line was printed.
        last: Instant,
    },
}

impl Progress {
    /// Chooses by what standard error is.
    #[must_use]
    pub fn new(total: Option<u64>, quiet: bool) -> Self {
        if quiet {
            return Self::Silent;
        }
        if !stderr().is_terminal() {
            let last = Instant::now();
            return Self::Lines { total, last };
        }
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let shape = match total {
            Some(_) => "{bar:30} {human_pos} of {human_len} rows  {per_sec}  {eta} left  {msg}",
            None => "{spinner} {human_pos} rows  {per_sec}  {msg}",
        };
        let style = ProgressStyle::with_template(shape).expect("the template is constant");
        Self::Bar(bar.with_style(style))
    }

    /// Shows that all rows up to `done` are done.
    pub fn show(&mut self, done: u64, counts: Counts) {
        match self {
            Self::Silent => {}
            Self::Bar(bar) => {
                bar.set_position(done);
                if counts.rejected > 0 {
                    bar.set_message(format!("{} rejected", counts.rejected));
                }
            }
            Self::Lines { total, last } => {
                if last.elapsed() < LINE_EVERY {
                    return;
                }
                *last = Instant::now();
                let of = total.map_or_else(String::new, |total| format!(" of {total}"));
                eprintln!("{done}{of} rows done, {} rejected", counts.rejected);
            }
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
