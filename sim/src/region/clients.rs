//! The clients of a run: those that load the region, and the one that looks every row up through
//! every gateway whenever something went wrong.

use super::{faults::NODES, stage::Stage};
use crate::{
    client::Caller,
    history::{RecordError, Recorder},
    random::Random,
    session::{self, PROBE, Shared},
    workload::{Generator, Settings},
    world::node,
};
use proto::{id::ClusterId, time::EventTime};
use std::{error::Error, ops::Range, time::Duration};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// Few rows, so that they are contended; their shards are few as well.
pub const LOAD: Settings = Settings {
    probes: 24,
    write_percent: 50,
    delete_percent: 8,
    token_percent: 60,
    rows_per_write: 3,
    probes_per_lookup: 4,
};

/// Operations of a hundred that go to another gateway than the client's own.
const ELSEWHERE_PERCENT: u64 = 25;

/// A client of all gateways, `own` first; `number` tells it from others.
pub fn caller(
    (recorder, cluster): (Recorder, ClusterId),
    seed: u64,
    own: usize,
    number: u64,
) -> Result<Caller, tonic::transport::Error> {
    let gateway = |place: usize| session::gateway(&address(place % NODES));
    let others = (own + 1..own + NODES).map(gateway);
    let others: Vec<_> = others.collect::<Result<_, _>>()?;
    let random = Random::of_purpose(seed, &format!("pauses of client {number}"));
    let recording = (recorder, session::clock());
    let caller = Caller::new(gateway(own)?, PROBE, recording, cluster, random);
    Ok(caller.with_gateways(others))
}

/// Where a node's gateway answers.
pub fn address(place: usize) -> String {
    format!("{}:{}", node::name(place), node::GRPC_PORT)
}

/// When a client works.
#[derive(Clone)]
pub struct Working {
    /// Until when.
    pub until: Duration,
    /// When it does nothing, in the order of time.
    pub rests: Vec<Range<Duration>>,
    /// How many microseconds it waits between two operations, at most.
    pub pause_micros: u64,
    /// Who else may have it rest.
    pub stage: Option<Stage>,
}

/// Loads the region, mostly by way of the gateway of node `own`. What is open when the client begins
/// to rest, or is done, stays open: it may have happened.
pub async fn load(
    seed: u64,
    own: usize,
    working: Working,
    shared: Shared,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let number = own as u64;
    let mut caller = caller(shared.begun().await, seed, own, number)?;
    let mut generator = Generator::new(PROBE, LOAD, seed, number);
    let mut random = Random::of_purpose(seed, &format!("ways of client {number}"));
    let end = working.until..working.until;
    for rest in working.rests.into_iter().chain([end]) {
        let work = async {
            loop {
                let work = work(
                    &mut caller,
                    &mut generator,
                    &mut random,
                    working.pause_micros,
                );
                let Some(stage) = &working.stage else {
                    return work.await;
                };
                tokio::select! {
                    failed = work => return failed,
                    () = stage.asks_for_rest(own) => {}
                }
                stage.lets_work(own).await;
            }
        };
        if let Ok(failed) = timeout_at(start + rest.start, work).await {
            return Err(failed.into());
        }
        sleep_until(start + rest.end).await;
    }
    Ok(())
}

/// One operation after the other.
async fn work(
    caller: &mut Caller,
    generator: &mut Generator,
    random: &mut Random,
    pause_micros: u64,
) -> RecordError {
    loop {
        let is_elsewhere = random.percent(ELSEWHERE_PERCENT);
        caller.choose(if is_elsewhere {
            random.within(1..NODES as u64) as usize
        } else {
            0
        });
        let operation = generator.next(EventTime::saturating(session::wall_micros()));
        if let Err(error) = session::carry_out(caller, operation).await {
            return error;
        }
        sleep(Duration::from_micros(random.within(500..pause_micros))).await;
    }
}

/// Looks every row up through every gateway at the given times, each time with all it has seen: what
/// one replica showed, no other may lack.
pub async fn watch(seed: u64, times: Vec<Duration>, shared: Shared) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut caller = caller(shared.begun().await, seed, 0, NODES as u64)?;
    let every_row = Generator::every_row(&PROBE, &LOAD);
    for at in times {
        sleep_until(start + at).await;
        for gateway in 0..NODES {
            caller.choose(gateway);
            let _ = caller.look_up(&every_row, true).await?;
        }
    }
    Ok(())
}
