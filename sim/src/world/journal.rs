//! What the nodes of a run log, with simulated time and host: for people who look into a seed, and for
//! counting the rare states that a run came into.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Duration,
    /// Which host.
    pub host: String,
    /// What.
    pub message: String,
    /// Its fields, in order.
    pub fields: Vec<(&'static str, String)>,
}

impl Line {
    /// A field that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        let field = self.fields.iter().find(|(of, _)| *of == name);
        field.and_then(|(_, value)| value.parse().ok())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.at.as_secs(), self.at.subsec_micros());
        write!(f, "{seconds}.{micros:06} {}: {}", self.host, self.message)?;
        let mut fields = self.fields.iter();
        fields.try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// A journal; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    /// The hosts' names. Turmoil opens a span for each tick of a host; all of a host's have one id,
    /// which is its place here and one more.
    hosts: Vec<String>,
    /// The spans that are entered, innermost last.
    entered: Vec<u64>,
    lines: Vec<Line>,
}

struct Writer(Journal);

impl Journal {
    /// Runs `work` while this journal takes what the thread's nodes log.
    pub fn keep<T>(&self, work: impl FnOnce() -> T) -> T {
        tracing::dispatcher::with_default(&Dispatch::new(Writer(self.clone())), work)
    }

    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.pages().lines.clone()
    }

    /// The lines behind the first `read`.
    #[must_use]
    pub fn lines_from(&self, read: usize) -> Vec<Line> {
        self.pages().lines[read..].to_vec()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nodes' events, and the spans in which turmoil runs each host.
fn is_wanted(metadata: &Metadata<'_>) -> bool {
    if metadata.is_span() {
        metadata.name() == "node" && metadata.target().starts_with("turmoil")
    } else {
        *metadata.level() <= Level::TRACE && metadata.target().starts_with("node::")
    }
}

impl Subscriber for Writer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_wanted(metadata)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut read = Reader::default();
        span.record(&mut read);
        let host = read.fields.into_iter().find(|(name, _)| *name == "name");
        let host = host.map(|(_, value)| value).unwrap_or_default();
        let hosts = &mut self.0.pages().hosts;
        let known = hosts.iter().position(|known| *known == host);
        let place = known.unwrap_or(hosts.len());
        if known.is_none() {
            hosts.push(host);
        }
        Id::from_u64(place as u64 + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(at) = turmoil::sim_elapsed() else {
            return;
        };
        let mut read = Reader::default();
        event.record(&mut read);
        let mut pages = self.0.pages();
        let span = pages.entered.last().copied().unwrap_or_default();
        let host = usize::try_from(span)
            .ok()
            .and_then(|span| span.checked_sub(1));
        let host = host.and_then(|place| pages.hosts.get(place).cloned());
        let line = Line {
            at,
            host: host.unwrap_or_default(),
            message: read.message,
            fields: read.fields,
        };
        pages.lines.push(line);
    }

    fn enter(&self, span: &Id) {
        self.0.pages().entered.push(span.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.0.pages().entered.pop();
    }
}

#[derive(Default)]
struct Reader {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Reader {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string does not fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.fields.push((field.name(), format!("{value:?}")));
        }
    }
}
