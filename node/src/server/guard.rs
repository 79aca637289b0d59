//! The guard of this node's edge: it goes by the tokens of the newest registry that the node has seen.

use super::{edge::GatewayClock, global::Global, running::Background, trail::TrailFile};
use crate::components::{Components, Home};
use gateway::access::{Guard, Snapshot};
use std::sync::Arc;

/// A guard that follows the registry until the node stops, and the trail that it keeps.
pub fn follow(
    global: &Global,
    components: &Components,
    home: &dyn Home,
    background: &mut Background,
) -> (Guard, Arc<TrailFile>) {
    let trail = TrailFile::start(home.trail(), components.place, background);
    let trail = Arc::new(trail);
    let clock = Arc::new(GatewayClock(Arc::clone(&components.clock)));
    let guard = Guard::new(clock).with_trail(trail.clone());
    let mut catalogs = global.catalogs();
    let mut seen = Arc::clone(&catalogs.borrow_and_update());
    guard.go_by(Snapshot::of(seen.registry()));
    let own = guard.clone();
    background.spawn(async move {
        while catalogs.changed().await.is_ok() {
            let newest = Arc::clone(&catalogs.borrow_and_update());
            let (before, now) = (seen.registry(), newest.registry());
            if before.access != now.access || before.founding.is_none() {
                own.go_by(Snapshot::of(now));
            }
            seen = newest;
        }
    });
    (guard, trail)
}
