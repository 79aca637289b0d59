//! The registry on this node: the newest committed definitions, and changes to them.

use super::{consensus::Consensus, running::Background};
use crate::components::Clock;
use gateway::failure::Failure;
use proto::reason::Reason;
use raft::{
    group::ProposeError,
    registry::{Catalog, Registry, RegistryCommand, RegistryOutcome, Request},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long a change of definitions waits for a quorum.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub struct Global {
    group: Consensus<Registry>,
    catalogs: watch::Receiver<Arc<Catalog>>,
    clock: Arc<dyn Clock>,
}

impl Global {
    /// Follows `group`.
    #[must_use]
    pub fn new(
        group: Consensus<Registry>,
        clock: Arc<dyn Clock>,
        background: &mut Background,
    ) -> Self {
        let first = Catalog::of(&group.newest(), &Catalog::default());
        let (sender, catalogs) = watch::channel(Arc::new(first));
        background.spawn(follow(group.clone(), sender));
        Self {
            group,
            catalogs,
            clock,
        }
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> &Consensus<Registry> {
        &self.group
    }

    /// The newest definitions that this node has seen.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalogs.borrow())
    }

    /// Milliseconds since 1970, as this node believes.
    #[must_use]
    pub fn wall_millis(&self) -> u64 {
        self.clock.now().wall_millis()
    }

    /// Follows the definitions.
    #[must_use]
    pub fn catalogs(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalogs.clone()
    }

    /// Has a change carried out, and waits until this node has seen it: who made it reads it.
    pub async fn propose(
        &self,
        author: &str,
        request: Request,
    ) -> Result<RegistryOutcome, Failure> {
        let at_millis = self.clock.now().wall_millis();
        let command = RegistryCommand {
            author: author.to_owned(),
            at_millis,
            request,
        };
        let applied = self
            .group
            .propose(&command, PATIENCE)
            .await
            .map_err(failure)?;
        if let RegistryOutcome::Done { revision, .. } = &applied.outcome {
            let mut catalogs = self.catalogs.clone();
            let seen = catalogs.wait_for(|catalog| catalog.revision() >= *revision);
            // It is carried out in any case; a node that lags shows it a little later.
            let _ = tokio::time::timeout(PATIENCE, seen).await;
        }
        Ok(applied.outcome)
    }
}

async fn follow(group: Consensus<Registry>, catalogs: watch::Sender<Arc<Catalog>>) {
    let mut states = group.watch();
    loop {
        let state = Arc::clone(&states.borrow_and_update());
        let before = Arc::clone(&catalogs.borrow());
        if state.revision != before.revision() || before.founding().is_none() {
            catalogs.send_replace(Arc::new(Catalog::of(&state, &before)));
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

fn failure(error: ProposeError) -> Failure {
    match error {
        ProposeError::TooLarge { .. } => Failure::new(Reason::TooLarge, error.to_string()),
        ProposeError::NoLeader | ProposeError::Unknown => {
            Failure::new(Reason::NoGlobalQuorum, error.to_string())
        }
        ProposeError::Stopped(_) | ProposeError::Answer(_) => Failure::internal(error.to_string()),
    }
}
