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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        components::{Network as _, TcpNetwork},
        peer::{Failure, Me, Membership, serve},
        server::{
            fetch::{codec::encode_answer, own::ShardAnswer},
            peers::{Groups, Peers, Service},
        },
    };
    use async_trait::async_trait;
    use bytes::Bytes;
    use gateway::{
        edge::Deadline,
        lookup::fetch::{Fetch, Part},
    };
    use parking_lot::Mutex;
    use proto::{
        id::{BootId, ProjectId, RegionId, Revision, ShardId},
        token::Token,
    };
    use replication::token::Coverage;
    use tokio::sync::mpsc;

    const CLUSTER: ClusterId = ClusterId(1);
    const AGE: Duration = Duration::from_millis(3);

    /// A node that reads requests of one version or of both, and notes which came.
    struct Played {
        reads: Vec<Version>,
        came: Mutex<Vec<u16>>,
    }

    #[async_trait]
    impl Service for Played {
        async fn call(&self, _: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
            let number = u16::from_le_bytes([payload[0], payload[1]]);
            self.came.lock().push(number);
            let version = self.reads.iter().find(|own| **own as u16 == number);
            let version = version.ok_or_else(|| Failure("its version is not known here".into()))?;
            Ok(encode_answer(&answer(), &[], (*version, CLUSTER)))
        }
    }

    fn answer() -> Answer {
        let shard = ShardAnswer {
            is_read: true,
            coverage: Coverage::Covered,
            age: Some(AGE),
            origins: vec![(RegionId(2), Some(AGE))],
        };
        Answer {
            part: Part { groups: Vec::new() },
            shards: vec![shard],
            seen: Token::default(),
        }
    }

    fn me(node: u64) -> Me {
        let cluster = Membership::default();
        cluster.join(CLUSTER);
        Me {
            cluster,
            node: NodeId(node),
            boot: BootId(node),
            security: crate::security::Security::default(),
        }
    }

    fn peers() -> Peers {
        let (inputs, _) = mpsc::channel(1);
        Peers::new(Arc::new(Groups::default()), inputs)
    }

    /// Asks a node that reads such requests for such an answer: which requests came to it, and the ages
    /// towards other regions.
    async fn ask(reads: &[Version], version: Version) -> (Vec<u16>, Vec<RegionId>) {
        let listener = TcpNetwork.listen("127.0.0.1:0".parse().unwrap()).await;
        let listener = listener.unwrap();
        let address = listener.address().unwrap().to_string();
        let played = Arc::new(Played {
            reads: reads.to_vec(),
            came: Mutex::default(),
        });
        let other = peers();
        other.offer(Call::Fetch, Arc::clone(&played) as Arc<dyn Service>);
        tokio::spawn(serve(listener, me(2), Arc::new(other)));
        let mesh = Mesh::new(me(1), Arc::new(TcpNetwork), Arc::new(peers()));
        mesh.know([(NodeId(2), address)].into());
        let fetch = Arc::new(Fetch {
            project: ProjectId(1),
            revision: Revision(1),
            shards: vec![ShardId(3)],
            groups: Vec::new(),
            token: Bytes::new(),
            max_staleness: None,
            deadline: Deadline(u64::MAX),
            trace: None,
        });
        let asked = Asked::all(&fetch, &Token::default(), Duration::ZERO);
        let remote = RemoteShards::new(CLUSTER, Arc::new(mesh));
        let within = Duration::from_secs(20);
        let answer = remote.answer(NodeId(2), &asked, version, within).await;
        let shard = answer.unwrap().shards.remove(0);
        assert_eq!(shard.age, Some(AGE));
        let came = played.came.lock().clone();
        (
            came,
            shard.origins.iter().map(|(origin, _)| *origin).collect(),
        )
    }

    #[tokio::test]
    async fn a_node_of_an_earlier_release_is_asked_as_it_understands() {
        let both = [Version::OwnAges, Version::AllAges];
        let us = RegionId(2);
        assert_eq!(ask(&both, Version::AllAges).await, (vec![5], vec![us]));
        assert_eq!(ask(&both, Version::OwnAges).await, (vec![2], vec![]));
        let earlier = [Version::OwnAges];
        assert_eq!(ask(&earlier, Version::AllAges).await, (vec![5, 2], vec![]));
    }
}
