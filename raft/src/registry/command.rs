//! What the global group is asked to do, and what it answers.
//!
//! Commands are stored in the log for ever and read by nodes of other versions: variants are only
//! added, with a new version number in `machine::Command`. A node that does not know one stops.

use super::{
    access::{JoinedNode, Security, Token},
    definition::DefinitionFile,
    plan::Plan,
    quota::Quota,
    region::{Founding, RegionSettings, RegionState},
};
use crate::machine;
use proto::{
    id::{NodeId, RegionId, Revision, TokenId, ViewId},
    name::Name,
    reason::Refusal,
    time::EventTime,
};
use serde::{Deserialize, Serialize};

/// A request for a change, with who asks and when: the state machine has no clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryCommand {
    /// Who asks, as the gateway knows them.
    pub author: String,
    /// When, by the clock of the gateway that took it.
    pub at_millis: u64,
    /// What is asked.
    pub request: Request,
}

/// Whether a change may break requests that work now. Commands of version 1 did not say, and could.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breaking {
    /// Whoever asks has said so.
    #[default]
    Allowed,
    /// Such a change is refused as a whole.
    Refused,
}

/// What is asked of the global group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Founds the cluster, once.
    Found {
        /// What is fixed for ever.
        founding: Founding,
        /// The first regions.
        regions: Vec<RegionSettings>,
        /// What it is secured with; an open cluster has nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        security: Option<Security>,
    },
    /// Applies definition files. The plan is made again, so it is that of the present revision.
    Apply {
        /// The files.
        definitions: Vec<DefinitionFile>,
        /// Whether what they leave out goes.
        prune: bool,
        /// Refused at any other revision.
        expect_revision: Option<Revision>,
        /// Whether requests that work now may fail from then on. Since version 2.
        #[serde(default)]
        breaking: Breaking,
    },
    /// Returns the catalogue to how it was, as a new revision.
    Rollback {
        /// The revision to return to.
        to: Revision,
        /// Refused at any other revision.
        expect_revision: Option<Revision>,
        /// Whether requests that work now may fail from then on. Since version 2.
        #[serde(default)]
        breaking: Breaking,
    },
    /// Makes a region known; it begins as joining.
    AddRegion {
        /// What the operator chose.
        settings: RegionSettings,
    },
    /// Moves a region through its life.
    SetRegionState {
        /// The region.
        region: RegionId,
        /// The state it must be in, else nothing changes.
        from: RegionState,
        /// The state it goes to.
        to: RegionState,
    },
    /// Founds or rebuilds a region's group.
    FoundGroup {
        /// The region.
        region: RegionId,
        /// The number the group must have now; none when it was never founded.
        expected: Option<u32>,
        /// The node that founds it.
        founder: NodeId,
    },
    /// Raises the floors of views; lower ones and unknown views are passed over.
    RaiseFloors {
        /// The view, and the event time below which its data is given up.
        floors: Vec<(ViewId, EventTime)>,
    },
    /// Changes what an operator chose for a region.
    ChangeRegion {
        /// The region.
        region: RegionId,
        /// Its new settings; the name stays.
        settings: RegionSettings,
    },
    /// Makes a token known.
    CreateToken {
        /// It, without its secret.
        token: Token,
    },
    /// Ends a token.
    RevokeToken {
        /// Which.
        id: TokenId,
    },
    /// Gives a join token to the node that showed it.
    UseJoinToken {
        /// Which.
        id: TokenId,
        /// The node.
        by: JoinedNode,
    },
    /// Changes what a project may ask for in a second. Since version 3.
    SetQuota {
        /// Which.
        project: Name,
        /// What from now on; nothing named is no limit.
        quota: Quota,
    },
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryOutcome {
    /// It stands; `revision` is the new one, or the present one where nothing had to change.
    Done {
        /// The revision that holds it.
        revision: Revision,
        /// Whether this command made that revision.
        changed: bool,
        /// What changed, for commands about definitions.
        plan: Option<Plan>,
    },
    /// Nothing changed.
    Refused {
        /// The present revision.
        revision: Revision,
        /// Why.
        refusals: Vec<Refusal>,
    },
}

impl machine::Command for RegistryCommand {
    const VERSION: u8 = 3;
}
