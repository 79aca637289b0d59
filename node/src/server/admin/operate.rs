//! Operators' orders: planned by [`super::orders`], proposed to the region's group. What follows is the
//! controller's, whoever leads: nothing here has to go on for it.

use super::{
    Admin,
    orders::{self, Order, Planned, Region},
};
use gateway::{failure::Failure, grpc::to_status};
use proto::{
    id::NodeId,
    reason::{Reason, Refusal},
};
use raft::placement::{PlacementCommand, PlacementOutcome};
use std::time::Duration;
use tonic::Status;
use wire::v1;

/// How long an order waits for a quorum.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether an order is carried out or only said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Do,
    Say,
}

impl From<bool> for Mode {
    fn from(dry_run: bool) -> Self {
        if dry_run { Self::Say } else { Self::Do }
    }
}

impl Admin {
    pub(super) async fn drain(
        &self,
        request: v1::DrainNodeRequest,
    ) -> Result<v1::NodeOperation, Status> {
        let order = match (request.cancel, request.fewer_copies) {
            (true, false) => Order::Return,
            (true, true) => {
                let both = "cancel and fewer_copies cannot be asked for together";
                return Err(status(Refusal::new(Reason::InvalidRequest, both)));
            }
            (false, true) => Order::DrainToFewerCopies,
            (false, false) => Order::Drain,
        };
        self.order(&request.node, order, request.dry_run.into())
            .await
    }

    pub(super) async fn remove(
        &self,
        request: v1::RemoveNodeRequest,
    ) -> Result<v1::NodeOperation, Status> {
        self.order(&request.node, Order::Remove, request.dry_run.into())
            .await
    }

    async fn order(
        &self,
        node: &str,
        order: Order,
        mode: Mode,
    ) -> Result<v1::NodeOperation, Status> {
        let placement = self.region.placement();
        let region = Region {
            placement: &placement,
            voters: self.regional.voters().into_keys().collect(),
            global_voters: self.global.group().voters().into_keys().collect(),
            alive: self.alive(&placement),
        };
        let node = region.find(node).map_err(status)?;
        let Planned {
            command,
            steps,
            notes,
        } = region.plan(node, order).map_err(status)?;
        let revision = match mode {
            Mode::Say => placement.revision,
            Mode::Do => {
                tracing::info!(%node, ?order, "an operator's order");
                self.carry_out(&command).await.map_err(to_status)?
            }
        };
        Ok(v1::NodeOperation {
            id: node.to_string(),
            name: name(&placement, node),
            steps,
            notes,
            dry_run: mode == Mode::Say,
            regional_revision: revision.0,
        })
    }

    async fn carry_out(&self, command: &PlacementCommand) -> Result<proto::id::Revision, Failure> {
        let unanswered = |error: String| Failure::new(Reason::NotReady, error);
        let proposed = self.regional.propose(command, PATIENCE).await;
        match proposed
            .map_err(|error| unanswered(error.to_string()))?
            .outcome
        {
            PlacementOutcome::Done { revision, .. } => Ok(revision),
            PlacementOutcome::Refused { refusal, .. } => Err(orders::refused(&refusal).into()),
        }
    }
}

fn name(placement: &raft::placement::Placement, node: NodeId) -> String {
    super::name_of(node, placement)
}

fn status(refusal: Refusal) -> Status {
    to_status(refusal.into())
}
