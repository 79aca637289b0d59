//! Callers that ask for large answers and take them slowly, or not at all, over gRPC and over HTTP, beside the usual
//! load: what they leave lying is the gateway's memory.
//!
//! No lookup of others may fail, the gateway's memory has a bound, and each of these connections is closed by the
//! gateway in the end.

mod callers;
pub mod frames;
mod pages;

use crate::{
    atoll::Atoll,
    clock::Clock,
    cluster::Cluster,
    judge::{Asked, Outcome},
    limping::{self, Figures, Limping, Settings},
    report::Findings,
};
use anyhow::Result;
use callers::Callers;
use sim::history::Micros;
use std::{
    thread,
    time::{Duration, Instant},
};

/// The node whose gateway they call.
const VICTIM: usize = 0;
/// They come one after the other: all at once they would be a crowd, which is refused.
const EVERY: Duration = Duration::from_millis(200);
/// Silent connections of HTTP/2 are closed after 40 s, and those that take nothing after 30 s.
const CLOSED_WITHIN: Duration = Duration::from_secs(120);
/// What a gateway keeps of answers that are not taken, whatever is asked for, as they are encoded.
const ANSWERS_BYTES: u64 = 512 << 20;
/// How much more memory one takes: its texts lie where they were read to, in buffers that grew by doubling.
const MEMORY_OF_BYTES: u64 = 2;
/// What it may need besides: connections, answers that are being made, and what its allocator keeps.
const BESIDES_BYTES: u64 = 256 << 20;
const WAITING: &str = "atoll_answers_waiting_bytes";

/// Runs it with so many callers and judges it. An error says that there was nothing to judge.
pub fn run(settings: &Settings, callers: usize) -> Result<Findings> {
    let clock = Clock::start();
    let cluster = Cluster::found(Atoll::find()?, settings.shape, clock)?;
    limping::run(settings, cluster, clock, |run| {
        pages::write(run.cluster())?;
        let before = run.clock().now();
        thread::sleep(settings.before);
        let begun = run.clock().now();
        let seen = watch(run, callers)?;
        let ended = run.clock().now();
        thread::sleep(settings.before / 2);
        let after = run.cluster().nodes()[VICTIM].resident_bytes()?;
        for (when, from, to) in [("before", before, begun), ("while", begun, ended)] {
            let figures = Figures::of("lookups", lengths(&run.load().lookups(), from, to));
            let line = format!("          {when:6}: {figures}, through the gateway they call");
            run.findings().tell(line);
        }
        seen.judge(callers, after, run.findings());
        Ok(())
    })
}

/// What was seen of the gateway.
#[derive(Debug, Default)]
struct Seen {
    asked_bytes: usize,
    taken_bytes: u64,
    before_bytes: u64,
    most_bytes: u64,
    most_waiting: f64,
    /// Connections that it did not close, and how long after the last came it was looked.
    open: usize,
    closing: Duration,
}

/// Lets the callers come, and looks until all their connections are closed.
fn watch(run: &Limping, count: usize) -> Result<Seen> {
    let node = &run.cluster().nodes()[VICTIM];
    let mut callers = Callers::new(node.port(), node.http())?;
    let before_bytes = node.resident_bytes()?;
    let mut seen = Seen {
        before_bytes,
        ..Seen::default()
    };
    for _ in 0..count {
        callers.call()?;
        thread::sleep(EVERY);
        seen.look(run)?;
    }
    let since = Instant::now();
    loop {
        seen.look(run)?;
        seen.open = callers.open()?;
        seen.closing = since.elapsed();
        if seen.open == 0 || seen.closing > CLOSED_WITHIN {
            break;
        }
        thread::sleep(EVERY);
    }
    seen.asked_bytes = callers.asked_bytes();
    seen.taken_bytes = callers.taken_bytes();
    Ok(seen)
}

impl Seen {
    fn look(&mut self, run: &Limping) -> Result<()> {
        let node = &run.cluster().nodes()[VICTIM];
        self.most_bytes = self.most_bytes.max(node.resident_bytes()?);
        if let Some(waiting) = node.metric(WAITING) {
            self.most_waiting = self.most_waiting.max(waiting);
        }
        Ok(())
    }

    /// What it may have at most.
    fn bound_bytes(&self) -> u64 {
        let answers = ANSWERS_BYTES.min(self.asked_bytes as u64);
        self.before_bytes + answers * MEMORY_OF_BYTES + BESIDES_BYTES
    }

    fn judge(&self, callers: usize, after: u64, findings: &mut Findings) {
        let mib = |bytes: u64| bytes >> 20;
        let (asked, taken) = (mib(self.asked_bytes as u64), self.taken_bytes >> 10);
        findings.tell(format!(
            "          {callers} callers asked for {asked} MiB and took {taken} KiB"
        ));
        let (before, most) = (mib(self.before_bytes), mib(self.most_bytes));
        let (after, bound) = (mib(after), mib(self.bound_bytes()));
        let waiting = mib(self.most_waiting as u64);
        findings.tell(format!(
            "          memory: {before} MiB before, {most} MiB at most, {after} MiB after, and may be {bound} MiB; \
             {waiting} MiB of answers waited at most"
        ));
        let closing = self.closing.as_secs_f64();
        findings.tell(format!(
            "          {} connections open {closing:.1} s after the last came",
            self.open
        ));
        if self.most_bytes > self.bound_bytes() {
            findings.violated(format!("the gateway had {most} MiB, and may have {bound}"));
        }
        if self.open > 0 {
            let open = self.open;
            findings.violated(format!(
                "{open} connections were not closed in {closing:.0} s"
            ));
        }
        if self.most_waiting <= 0.0 {
            findings.violated("no answer ever waited for its caller: nothing was tried");
        }
    }
}

/// How long lookups of some time took that were answered through the gateway.
fn lengths(asked: &[Asked], from: Micros, to: Micros) -> Vec<Duration> {
    let within = asked.iter().filter(|asked| {
        let is_answered = matches!(asked.outcome, Outcome::Whole);
        asked.gateway == VICTIM && is_answered && asked.issued >= from && asked.issued < to
    });
    within
        .map(|asked| Duration::from_micros(asked.answered.0.saturating_sub(asked.issued.0)))
        .collect()
}
