//! The guard of this node's edge: it goes by the tokens of the newest registry that the node has seen.

use super::{edge::GatewayClock, global::Global, running::Background, trail::TrailFile};
use crate::components::{Components, Home};
use gateway::access::{Guard, Snapshot};
use proto::id::Revision;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// How long one who changed the registry waits until the guard goes by it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far the guard has followed the registry.
pub struct Followed(watch::Receiver<Revision>);

impl Followed {
    /// Waits until callers are judged by `revision` or a newer one.
    pub async fn reaches(&self, revision: Revision) {
        let mut followed = self.0.clone();
        let reached = followed.wait_for(|seen| *seen >= revision);
        // The change stands in any case; a node that lags goes by it a little later.
        let _ = timeout(PATIENCE, reached).await;
    }
}

/// A guard that follows the registry until the node stops, the trail that it keeps, and how far it is.
pub fn follow(
    global: &Global,
    components: &Components,
    home: &dyn Home,
    background: &mut Background,
) -> (Guard, Arc<TrailFile>, Followed) {
    let trail = TrailFile::start(home.trail(), components.place, background);
    let trail = Arc::new(trail);
    let clock = Arc::new(GatewayClock(Arc::clone(&components.clock)));
    let guard = Guard::new(clock).with_trail(trail.clone());
    let mut catalogs = global.catalogs();
    let mut seen = Arc::clone(&catalogs.borrow_and_update());
    guard.go_by(Snapshot::of(seen.registry()));
    let (own, (follow, followed)) = (guard.clone(), watch::channel(seen.revision()));
    background.spawn(async move {
        while catalogs.changed().await.is_ok() {
            let newest = Arc::clone(&catalogs.borrow_and_update());
            let (before, now) = (seen.registry(), newest.registry());
            if before.access != now.access || before.founding.is_none() {
                own.go_by(Snapshot::of(now));
            }
            follow.send_replace(newest.revision());
            seen = newest;
        }
    });
    (guard, trail, Followed(followed))
}
