//! How rosters travel: each node asks another one now and then, by turns a voter of the global group and a
//! node of another region. It says as of when it knows each region, is told what is newer, and tells of its
//! own region who knows less.

use super::{Roster, Rosters, Version};
use crate::{
    peer::{Class, Failure, Mesh},
    server::{methods::Call, peers::Service},
};
use async_trait::async_trait;
use bytes::Bytes;
use proto::id::{NodeId, RegionId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::sleep;

/// How often a node asks.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// The same while there is a region of which it knows nothing.
const SEEK_EVERY: Duration = Duration::from_millis(300);
/// A node that does not answer for this long is passed over.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What is asked: as of when each region is known, and the asker's own region where that was wanted.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    known: BTreeMap<RegionId, Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own: Option<Roster>,
}

/// What is newer, and as of when the asker's own region is known.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    newer: Vec<Roster>,
    known: BTreeMap<RegionId, Version>,
}

/// Answers such questions.
pub struct RosterDesk(pub Rosters);

#[async_trait]
impl Service for RosterDesk {
    async fn call(&self, _: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let bad = |error: serde_json::Error| Failure(error.to_string());
        let question: Question = serde_json::from_slice(&payload).map_err(bad)?;
        let answer = self.0.answer(question);
        Ok(serde_json::to_vec(&answer).map_err(bad)?.into())
    }
}

impl Rosters {
    fn answer(&self, question: Question) -> Answer {
        if let Some(roster) = question.own {
            self.take(roster);
        }
        let is_newer = |roster: &Arc<Roster>| {
            let known = question.known.get(&roster.region);
            known.is_none_or(|known| *known < roster.version)
        };
        let newer = self.all().into_iter().filter(is_newer);
        Answer {
            newer: newer.map(|roster| (*roster).clone()).collect(),
            known: self.versions(),
        }
    }

    /// Asks for as long as the node runs, where there is another region.
    pub async fn exchange(self, mesh: Arc<Mesh>) {
        let mut turn = 0;
        loop {
            let pause = match self.lacks_some() {
                true => SEEK_EVERY,
                false => ASK_EVERY,
            };
            sleep(pause).await;
            if self.global.newest().regions.len() < 2 {
                continue;
            }
            if let Some((node, address)) = self.contact(turn, mesh.me().node) {
                mesh.hear(node, &address);
                if let Err(why) = self.ask(&mesh, node).await {
                    tracing::debug!(%node, %why, "a node did not tell who is in the regions");
                }
            }
            turn += 1;
        }
    }

    /// Whom to ask in a turn.
    fn contact(&self, turn: usize, me: NodeId) -> Option<(NodeId, String)> {
        let voters = self.global.voters().into_iter();
        let voters = voters.filter(|(node, _)| *node != me);
        let voters: Vec<_> = voters.map(|(node, peer)| (node, peer.address)).collect();
        let others = self.others();
        let of = |list: &[(NodeId, String)], turn: usize| {
            let place = turn.checked_rem(list.len())?;
            Some(list[place].clone())
        };
        let elsewhere = || {
            let place = (turn / 2).checked_rem(others.len())?;
            let members = others[place].members.values();
            let members = members.map(|member| (member.node, member.addresses.peer.clone()));
            of(&members.collect::<Vec<_>>(), turn / 2 / others.len())
        };
        match turn.is_multiple_of(2) {
            true => of(&voters, turn / 2).or_else(elsewhere),
            false => elsewhere().or_else(|| of(&voters, turn)),
        }
    }

    /// Asks a node, and tells it of this region where it knows less.
    async fn ask(&self, mesh: &Mesh, node: NodeId) -> Result<(), String> {
        let known = self.put(mesh, node, None).await?;
        let Some(own) = self.own() else {
            return Ok(());
        };
        let knows = known.get(&own.region);
        if knows.is_none_or(|known| *known < own.version) {
            self.put(mesh, node, Some((*own).clone())).await?;
        }
        Ok(())
    }

    /// Puts one question; gives as of when the other knows each region.
    async fn put(
        &self,
        mesh: &Mesh,
        node: NodeId,
        own: Option<Roster>,
    ) -> Result<BTreeMap<RegionId, Version>, String> {
        let question = Question {
            known: self.versions(),
            own,
        };
        let payload = serde_json::to_vec(&question).expect("a question is plain data");
        let call = Call::Rosters as u8;
        let asked = mesh.call(node, Class::Metadata, call, payload.into(), ANSWER_WITHIN);
        let answer = asked.await.map_err(|error| error.to_string())?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        for roster in answer.newer {
            self.take(roster);
        }
        Ok(answer.known)
    }
}
