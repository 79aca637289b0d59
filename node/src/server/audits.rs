//! Whether all replicas of all regions have the same rows: at equal watermarks they must (I1).
//!
//! Each node hashes what its own store has of a shard; the node that is asked compares. Replicas that are not
//! equally far are looked at again, for while streams flow there is nothing to compare.

mod codec;
mod hashing;

use super::{
    fetch::OwnShards, methods::Call, peers::Service, region::RegionView, rosters::Rosters,
};
use crate::peer::{Class, Failure, Mesh};
use async_trait::async_trait;
use bytes::Bytes;
use codec::{Answer, Digest, decode_answer, decode_asked, encode_answer, encode_asked};
use futures::{
    future::join_all,
    stream::{self, StreamExt},
};
use proto::{
    id::{NodeId, ShardId},
    token::Reached,
};
use raft::group::Blocking;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::Store;
use tokio::time::sleep;
use wire::v1;

/// How long a node may take for one shard.
const SHARD_WITHIN: Duration = Duration::from_secs(120);
/// How often replicas that are not equally far are looked at again, and how many times.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
const LOOKS: usize = 20;
/// Shards that are compared at once.
const AT_ONCE: usize = 4;

/// Hashes this node's shards for others, and compares. Clones are one.
#[derive(Clone)]
pub struct Audits {
    store: Arc<Store>,
    own: OwnShards,
    region: RegionView,
    rosters: Rosters,
    mesh: Arc<Mesh>,
    place: Blocking,
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Holder {
    region: String,
    name: String,
    node: NodeId,
}

impl Audits {
    /// Of `store`'s shards as far as `own` says that they can be read, and of others' over `mesh`.
    #[must_use]
    pub fn new(
        (store, own): (Arc<Store>, OwnShards),
        (region, rosters): (RegionView, Rosters),
        mesh: Arc<Mesh>,
        place: Blocking,
    ) -> Self {
        Self {
            store,
            own,
            region,
            rosters,
            mesh,
            place,
        }
    }

    /// Compares all shards of all regions that can be reached.
    pub async fn run(&self) -> v1::AuditResponse {
        let placement = self.region.placement();
        let count = placement.policy.map_or(0, |policy| policy.shards);
        let compared = stream::iter(0..count)
            .map(|shard| self.shard(ShardId(shard)))
            .buffer_unordered(AT_ONCE);
        let mut shards: Vec<v1::AuditedShard> = compared.collect().await;
        shards.sort_unstable_by_key(|shard| shard.shard);
        v1::AuditResponse { shards }
    }

    /// The nodes that may hold rows of a shard, each with its region's name.
    fn holders(&self, shard: ShardId) -> Vec<Holder> {
        let placement = self.region.placement();
        let config = placement.shards.get(&shard);
        let in_sync = config.into_iter().flat_map(|config| &config.in_sync);
        let own = in_sync.filter_map(|replica| {
            let member = placement.members.get(&replica.node)?;
            Some(Holder {
                region: self.region.name(),
                name: member.name.clone(),
                node: member.node,
            })
        });
        let mut holders: Vec<Holder> = own.collect();
        let catalog = self.own.catalog();
        let regions = &catalog.registry().regions;
        for roster in self.rosters.others() {
            let Some(region) = regions.get(&roster.region) else {
                continue;
            };
            for member in roster
                .members
                .values()
                .filter(|member| member.store.is_some())
            {
                self.mesh.hear(member.node, &member.addresses.peer);
                holders.push(Holder {
                    region: region.settings.name.to_string(),
                    name: member.name.clone(),
                    node: member.node,
                });
            }
        }
        holders
    }

    /// The regions that are to hold what is everywhere.
    fn regions(&self) -> Vec<String> {
        let catalog = self.own.catalog();
        let regions = catalog.registry().regions.values();
        let holders = regions.filter(|region| !region.state.is_out());
        holders
            .map(|region| region.settings.name.to_string())
            .collect()
    }

    async fn shard(&self, shard: ShardId) -> v1::AuditedShard {
        let mut last = v1::AuditedShard::default();
        for look in 0..LOOKS {
            if look > 0 {
                sleep(LOOK_AGAIN).await;
            }
            last = self.look(shard).await;
            if last.verdict() != v1::AuditVerdict::Open {
                break;
            }
        }
        last
    }

    async fn look(&self, shard: ShardId) -> v1::AuditedShard {
        let holders = self.holders(shard);
        let regions = self.regions();
        let asked = holders.into_iter().map(|holder| async move {
            let answer = self.ask(holder.node, shard).await;
            (holder, answer)
        });
        let mut digests: BTreeMap<Holder, Digest> = BTreeMap::new();
        let mut silent = Vec::new();
        for (holder, answer) in join_all(asked).await {
            match answer {
                Ok(Answer::Digest(digest)) => drop(digests.insert(holder, digest)),
                Ok(Answer::NotHere) => {}
                Ok(Answer::Refused(why)) | Err(why) => {
                    silent.push(format!("{}: {why}", holder.name));
                }
            }
        }
        let (verdict, why) = judge(&digests, &regions, &silent);
        let replica = |(holder, digest): (&Holder, &Digest)| v1::AuditedReplica {
            region: holder.region.clone(),
            node: holder.name.clone(),
            rows: digest.rows,
            digest: format!("{:016x}", digest.hash),
        };
        v1::AuditedShard {
            shard: shard.0.into(),
            verdict: verdict.into(),
            why,
            replicas: digests.iter().map(replica).collect(),
        }
    }

    async fn ask(&self, node: NodeId, shard: ShardId) -> Result<Answer, String> {
        if node == self.region.me() {
            return Ok(self.hash(shard).await);
        }
        let (call, payload) = (Call::Digest as u8, encode_asked(shard));
        let answer = self
            .mesh
            .call(node, Class::Bulk, call, payload, SHARD_WITHIN);
        let answer = answer.await.map_err(|error| error.to_string())?;
        decode_answer(&answer).map_err(|error| error.to_string())
    }

    async fn hash(&self, shard: ShardId) -> Answer {
        let standings = self.own.standings();
        let Some(standing) = standings.get(&shard) else {
            return Answer::NotHere;
        };
        if !standing.is_readable {
            return Answer::NotHere;
        }
        let (store, catalog) = (Arc::clone(&self.store), self.own.catalog());
        let hash = move || hashing::digest(&store, &catalog, shard);
        match self.place.run(hash).await {
            Ok(digest) => Answer::Digest(digest),
            Err(why) => Answer::Refused(why),
        }
    }
}

#[async_trait]
impl Service for Audits {
    async fn call(&self, _: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let shard = decode_asked(&payload).map_err(|error| Failure(error.to_string()))?;
        Ok(encode_answer(&self.hash(shard).await))
    }
}

/// What replicas of a shard come to, which are to be there from each of these regions.
fn judge(
    digests: &BTreeMap<Holder, Digest>,
    regions: &[String],
    silent: &[String],
) -> (v1::AuditVerdict, String) {
    use v1::AuditVerdict::{Different, Equal, Open};
    let mut values = digests.values();
    let Some(first) = values.next() else {
        return (Open, format!("no replica answers: {}", silent.join("; ")));
    };
    let is_comparable =
        |other: &Digest| other.revision == first.revision && other.streams == first.streams;
    let comparable = values.clone().all(is_comparable);
    if comparable
        && values
            .clone()
            .any(|other| (other.rows, other.hash) != (first.rows, first.hash))
    {
        return (
            Different,
            "replicas that are equally far have other rows".into(),
        );
    }
    let has = |region: &&String| digests.keys().any(|holder| holder.region == **region);
    let missing: Vec<&str> = regions
        .iter()
        .filter(|region| !has(region))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let why = format!("no replica answers from {}", missing.join(", "));
        return (Open, [&[why], silent].concat().join("; "));
    }
    if !silent.is_empty() {
        return (Open, silent.join("; "));
    }
    if !comparable {
        let why = format!("its replicas are not equally far: {}", apart(digests));
        return (Open, why);
    }
    (Equal, String::new())
}

/// The first stream in which replicas are not equally far, and where each is.
fn apart(digests: &BTreeMap<Holder, Digest>) -> String {
    let reached = |digest: &Digest, stream| {
        let mut streams = digest.streams.iter();
        let found = streams.find(|(origin, placement, _)| (*origin, *placement) == stream);
        found.map_or_else(Reached::default, |(.., reached)| *reached)
    };
    let all = digests.values().flat_map(|digest| &digest.streams);
    let mut streams: Vec<_> = all
        .map(|(origin, placement, _)| (*origin, *placement))
        .collect();
    streams.sort_unstable();
    streams.dedup();
    for stream in streams {
        let at: Vec<_> = digests
            .iter()
            .map(|(holder, digest)| (&holder.name, reached(digest, stream)))
            .collect();
        if at.windows(2).any(|two| two[0].1 != two[1].1) {
            let of = |(name, reached): &(&String, Reached)| {
                format!("{name} {}/{}", reached.incarnation.0, reached.sequence.0)
            };
            let at: Vec<String> = at.iter().map(of).collect();
            return format!(
                "of what region {} wrote they have {}",
                stream.0,
                at.join(", ")
            );
        }
    }
    "their definitions are of different revisions".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::{Incarnation, PlacementId, RegionId, Revision, Sequence};
    use v1::AuditVerdict::{Different, Equal, Open};

    fn digest(sequence: u64, hash: u64) -> Digest {
        let reached = Reached {
            incarnation: Incarnation(1),
            sequence: Sequence(sequence),
        };
        Digest {
            revision: Revision(3),
            streams: vec![(RegionId(1), PlacementId(0), reached)],
            rows: 7,
            hash,
        }
    }

    fn verdict(found: &[(&str, Digest)], silent: &[&str]) -> v1::AuditVerdict {
        let digests = found.iter().enumerate().map(|(node, (region, digest))| {
            let holder = Holder {
                region: (*region).into(),
                name: format!("{region}-{node}"),
                node: NodeId(node as u64),
            };
            (holder, digest.clone())
        });
        let silent: Vec<String> = silent.iter().map(|why| (*why).to_owned()).collect();
        judge(&digests.collect(), &["eu".into(), "us".into()], &silent).0
    }

    #[test]
    fn only_replicas_that_are_equally_far_are_called_equal_or_different() {
        let (here, there) = (digest(9, 1), digest(9, 2));
        assert_eq!(
            verdict(&[("eu", here.clone()), ("us", here.clone())], &[]),
            Equal
        );
        assert_eq!(
            verdict(&[("eu", here.clone()), ("us", there)], &[]),
            Different
        );
        assert_eq!(
            verdict(&[("eu", here.clone()), ("us", digest(8, 2))], &[]),
            Open
        );
        assert_eq!(
            verdict(&[("eu", here.clone())], &[]),
            Open,
            "a region is missing"
        );
        assert_eq!(
            verdict(&[("eu", here.clone()), ("us", here)], &["us-2: away"]),
            Open
        );
        assert_eq!(verdict(&[], &[]), Open);
    }
}
