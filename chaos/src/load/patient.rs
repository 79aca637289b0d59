//! A writer that stays with one gateway and waits for it, however long that stands still: what it
//! sent is there when a frozen primary wakes, and must then not be acknowledged beside its successor.

use super::{PROBE, shared::Shared};
use anyhow::Result;
use proto::time::EventTime;
use sim::workload::{Generator, Operation, Settings};
use std::{sync::Arc, time::Duration};

/// Longer than any freeze.
const CALL_WITHIN: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(100);

/// Runs until the load ends.
pub async fn run(shared: Arc<Shared>, gateway: usize, number: u64) -> Result<()> {
    let name = format!("patient {number}");
    let mut caller = shared.caller(gateway, &name)?.with_patience(CALL_WITHIN);
    let mark = shared.mark(gateway, shared.plan.mixed + number);
    let settings = Settings {
        write_percent: 100,
        rows_per_write: 1,
        ..shared.plan.settings()
    };
    let mut generator = Generator::new(PROBE, settings, shared.plan.seed, mark);
    while !shared.is_over() {
        let wall = shared.clock.wall_micros();
        if let Operation::Write { id, rows } = generator.next(EventTime::saturating(wall)) {
            caller.write(id, rows, wall / 1_000).await?;
        }
        shared.pause(PAUSE).await;
    }
    Ok(())
}
