//! Asks another node for rows of its shards.

use super::{
    codec::{Decoded, Version, decode_answer, encode_request},
    own::{Answer, Asked},
};
use crate::{
    peer::{CallError, Class, Mesh},
    server::methods::Call,
};
use proto::{
    codec::Malformed,
    id::{ClusterId, NodeId},
    limits::MESSAGE_BYTES,
    reason::{Reason, Refusal},
};
use std::{sync::Arc, time::Duration};

/// Why a node gave no rows.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It could not be asked, or did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Its answer cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The call cannot be answered by anybody.
    #[error(transparent)]
    Refused(Refusal),
}

/// See the module.
#[derive(Clone)]
pub struct RemoteShards {
    cluster: ClusterId,
    mesh: Arc<Mesh>,
}

impl RemoteShards {
    /// Asks over `mesh`.
    #[must_use]
    pub fn new(cluster: ClusterId, mesh: Arc<Mesh>) -> Self {
        Self { cluster, mesh }
    }

    /// Asks `node` for an answer of a version, and waits for it at most so long. A node of an earlier
    /// release refuses what it cannot read, and is asked again as it understands it.
    pub async fn answer(
        &self,
        node: NodeId,
        asked: &Asked,
        version: Version,
        within: Duration,
    ) -> Result<Answer, RemoteError> {
        let answer = self.call(node, asked, version, within).await;
        match (version, answer) {
            (Version::AllAges, Err(RemoteError::Call(CallError::Failed(failure)))) => {
                tracing::debug!(%node, %failure, "asks a node again in the version before");
                self.call(node, asked, Version::OwnAges, within).await
            }
            (Version::OwnAges | Version::AllAges, answer) => answer,
        }
    }

    async fn call(
        &self,
        node: NodeId,
        asked: &Asked,
        version: Version,
        within: Duration,
    ) -> Result<Answer, RemoteError> {
        let payload = encode_request(asked, (version, self.cluster));
        if payload.len() > MESSAGE_BYTES {
            return Err(too_large());
        }
        let call = Call::Fetch as u8;
        let answer = self.mesh.call(node, Class::Request, call, payload, within);
        match decode_answer(&answer.await?, asked, self.cluster)? {
            Decoded::Rows(answer) => Ok(answer),
            Decoded::TooLarge => Err(too_large()),
        }
    }
}

fn too_large() -> RemoteError {
    let message = format!(
        "what a node is asked for, or its answer, has more than the {MESSAGE_BYTES} bytes of a message; ask for fewer rows or features"
    );
    RemoteError::Refused(Refusal::new(Reason::TooLarge, message))
}
