//! The load: prepared requests over a few connections, at a steady rate or as many as are answered.
//!
//! It decodes nothing, so that on a small machine most of the CPU is left to the server.

use super::connection::Connection;
use crate::figure::Latencies;
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet};
use tonic::Status;

/// Connections to the server.
const CONNECTIONS: usize = 4;
/// Requests in flight on each of them when the server is to be saturated.
const IN_FLIGHT: usize = 4;

/// How often requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many a second, each timed from when it was due, so that a stall is not hidden.
    Steady(u32),
    /// The next one when one is answered.
    Saturating,
}

/// What a run gave.
#[derive(Default)]
pub struct Load {
    /// One for each answer.
    pub latencies: Latencies,
    /// How long it took.
    pub time: Duration,
}

/// Calls one server.
#[derive(Clone)]
pub struct Caller {
    connections: Vec<Connection>,
    /// As they go over a connection.
    requests: Arc<[Bytes]>,
    next: Arc<AtomicUsize>,
}

impl Caller {
    /// Connects.
    pub async fn new(address: SocketAddr, requests: Vec<Bytes>) -> anyhow::Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::to(address).await?);
        }
        let framed = requests.iter().map(|request| Connection::framed(request));
        Ok(Self {
            connections,
            requests: framed.collect(),
            next: Arc::default(),
        })
    }

    /// One call.
    pub async fn one(&self) -> Result<Bytes, Status> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let request = self.requests[at % self.requests.len()].clone();
        self.connections[at % CONNECTIONS].call(request).await
    }

    /// Calls so many times a second whatever comes back, and gives each answer with how long it took.
    pub async fn offer(
        &self,
        per_second: u32,
        window: Duration,
    ) -> anyhow::Result<Vec<(Result<Bytes, Status>, Duration)>> {
        let mut due = metronome(per_second, window);
        let mut calls = JoinSet::new();
        while let Some(due) = due.recv().await {
            let caller = self.clone();
            calls.spawn(async move {
                let answer = caller.one().await;
                (answer.map(|_| Bytes::new()), due.elapsed())
            });
        }
        let mut answers = Vec::with_capacity(calls.len());
        while let Some(answer) = calls.join_next().await {
            answers.push(answer?);
        }
        Ok(answers)
    }

    /// Calls for `window`.
    pub async fn run(&self, pace: Pace, window: Duration) -> anyhow::Result<Load> {
        let began = Instant::now();
        let latencies = match pace {
            Pace::Steady(per_second) => self.steady(per_second, window).await?,
            Pace::Saturating => self.saturate(window).await?,
        };
        Ok(Load {
            latencies,
            time: began.elapsed(),
        })
    }

    async fn saturate(&self, window: Duration) -> anyhow::Result<Latencies> {
        let end = Instant::now() + window;
        let mut workers = JoinSet::new();
        for _ in 0..CONNECTIONS * IN_FLIGHT {
            let caller = self.clone();
            workers.spawn(async move {
                let mut latencies = Latencies::default();
                loop {
                    let start = Instant::now();
                    if start >= end {
                        return Ok::<_, Status>(latencies);
                    }
                    caller.one().await?;
                    latencies.record(start.elapsed());
                }
            });
        }
        let mut all = Latencies::default();
        while let Some(latencies) = workers.join_next().await {
            all.add(&latencies??);
        }
        Ok(all)
    }

    async fn steady(&self, per_second: u32, window: Duration) -> anyhow::Result<Latencies> {
        let mut due = metronome(per_second, window);
        let mut calls = JoinSet::new();
        while let Some(due) = due.recv().await {
            let caller = self.clone();
            calls.spawn(async move {
                caller.one().await?;
                Ok::<_, Status>(due.elapsed())
            });
        }
        let mut latencies = Latencies::default();
        while let Some(took) = calls.join_next().await {
            latencies.record(took??);
        }
        Ok(latencies)
    }
}

/// Sends the time of each beat when it has come. A thread of its own: the runtime's timers are
/// coarser than a lookup is long.
fn metronome(per_second: u32, window: Duration) -> mpsc::UnboundedReceiver<Instant> {
    let (beats, heard) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let began = Instant::now();
        let beat = Duration::from_secs(1) / per_second;
        let mut due = began;
        while due < began + window {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if beats.send(due).is_err() {
                return;
            }
            due += beat;
        }
    });
    heard
}
