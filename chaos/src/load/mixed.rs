//! A client that writes and looks up a bit of everything, mostly through one gateway, at times
//! through another: its token goes with it.

use super::{
    PROBE,
    shared::{Shared, outcome},
};
use crate::judge::Outcome;
use anyhow::Result;
use proto::time::EventTime;
use sim::{
    client::Caller,
    random::Random,
    workload::{Generator, Operation, TokenUse},
};
use std::{sync::Arc, time::Duration};

/// Of a hundred calls, those through another gateway.
const ROAMING_PERCENT: u64 = 25;
/// A gateway that failed is left alone for so many calls by those who are not at home there.
const SHUNNED_CALLS: u64 = 100;
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Where a client calls.
struct Route {
    home: usize,
    calls: u64,
    /// For each gateway, the call until which it is left alone.
    shunned: Vec<u64>,
    random: Random,
}

impl Route {
    fn next(&mut self) -> usize {
        self.calls += 1;
        let other = self.random.below(self.shunned.len() as u64) as usize;
        let roams = self.random.percent(ROAMING_PERCENT) && self.shunned[other] < self.calls;
        if roams { other } else { self.home }
    }

    fn failed(&mut self, gateway: usize) {
        self.shunned[gateway] = self.calls + SHUNNED_CALLS;
    }
}

/// Runs until the load ends.
pub async fn run(shared: Arc<Shared>, home: usize, number: u64) -> Result<()> {
    let name = format!("mixed {home} {number}");
    let mut caller = shared.roaming_caller(&name)?;
    let mut pauses = shared.random(&format!("pace of {name}"));
    let mark = shared.mark(home, number);
    let mut generator = Generator::new(PROBE, shared.plan.settings(), shared.plan.seed, mark);
    let mut route = Route {
        home,
        calls: 0,
        shunned: vec![0; shared.gateways()],
        random: shared.random(&format!("route of {name}")),
    };
    let longest = u64::try_from(shared.plan.pause.as_micros())?;
    while !shared.is_over() {
        let gateway = route.next();
        caller.choose(gateway);
        if operate(&shared, &mut caller, &mut generator).await? {
            shared
                .pause(Duration::from_micros(pauses.below(longest)))
                .await;
        } else {
            route.failed(gateway);
            shared.pause(PAUSE_AFTER_FAILURE).await;
        }
    }
    Ok(())
}

/// One operation; whether the gateway that was chosen for it answered.
async fn operate(shared: &Shared, caller: &mut Caller, generator: &mut Generator) -> Result<bool> {
    let (wall, gateway) = (shared.clock.wall_micros(), caller.gateway());
    match generator.next(EventTime::saturating(wall)) {
        Operation::Write { id, rows } => {
            caller.write(id, rows, wall / 1_000).await?;
            // What had no outcome went on through the next gateway.
            Ok(caller.gateway() == gateway)
        }
        Operation::Lookup { wanted, token } => {
            let issued = shared.clock.now();
            let looked = caller.look_up(&wanted, token == TokenUse::Own).await?;
            let outcome = outcome(looked);
            let answered = !matches!(outcome, Outcome::Failed(_));
            shared.looked_up(gateway, issued, outcome);
            Ok(answered)
        }
    }
}
