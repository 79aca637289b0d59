//! What a member does about its own papers: it renews them in time, and gets the authority's key once it votes.

use super::{Enrolment, asks};
use crate::{
    components::Home,
    security::{Asks, Authority, Identity, Papers, keep_authority},
    server::methods::Call,
    settings::NodeSettings,
};
use bytes::Bytes;
use proto::id::NodeId;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::sleep;

/// How often a node looks whether its papers end, and whether it should have the authority's key.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Enrolment {
    /// Looks after the node's papers, and the authority's key where it should have it.
    pub async fn keep(self, home: Weak<dyn Home>, settings: NodeSettings) {
        loop {
            sleep(LOOK_EVERY).await;
            let Some(home) = home.upgrade() else { return };
            if let Err(why) = self.look(&*home, &settings).await {
                tracing::warn!(%why, "the node's certificate was not renewed yet");
            }
        }
    }

    async fn look(&self, home: &dyn Home, settings: &NodeSettings) -> Result<(), String> {
        let kept = Identity::kept(home).map_err(|error| error.to_string())?;
        let Some(identity) = kept else { return Ok(()) };
        if self.signing.authority().is_none() && self.global.voters().contains_key(&self.me.node) {
            self.fetch_authority(home, &identity).await;
        }
        let now = self.clock.now().wall_millis();
        if !identity.papers.are_due(now) {
            return Ok(());
        }
        let papers = self.renew(&asks(home, self.me.node, settings)?).await?;
        let renewed = Identity::keep(home, papers).map_err(|error| error.to_string())?;
        let shown = self.me.security.show(&renewed, &self.clock);
        tracing::info!("the node's certificate was renewed");
        shown.map_err(|error| error.to_string())
    }

    async fn renew(&self, asks: &Asks) -> Result<Papers, String> {
        if let Some(authority) = self.signing.authority() {
            return self.papers(&authority, asks);
        }
        let payload = serde_json::to_vec(asks).expect("a question is plain data");
        // Not in anybody's name but its own: from itself, it is passed on to those that may sign.
        let answer = self.elsewhere(NodeId(0), Call::Renew, payload.into()).await;
        let answer = answer.map_err(|why| why.0)?;
        serde_json::from_slice(&answer).map_err(|error| error.to_string())
    }

    /// Gets the authority's key from another voter; one that is not the authority's is not taken.
    async fn fetch_authority(&self, home: &dyn Home, identity: &Identity) {
        let answer = self
            .elsewhere(NodeId(0), Call::Authority, Bytes::new())
            .await;
        let taken = answer.map_err(|why| why.0).and_then(|pem| {
            let pem = String::from_utf8_lossy(&pem);
            let authority = Authority::of_key(&pem).map_err(|error| error.to_string())?;
            if !authority.has_signed(&identity.papers) {
                return Err("it is another authority's key".into());
            }
            keep_authority(home, &authority).map_err(|error| error.to_string())?;
            *self.signing.0.write() = Some(Arc::new(authority));
            Ok(())
        });
        match taken {
            Ok(()) => tracing::info!("this node keeps the authority's key, as a voter"),
            Err(why) => tracing::debug!(%why, "the authority's key is not here yet"),
        }
    }
}
