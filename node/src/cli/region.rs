//! `atoll region`: the regions of the cluster.

use super::{arguments::AccessOfAll, output::table, session::Session};
use crate::client::call::COMMAND_DEADLINE;
use clap::{Args, Subcommand};
use gateway::cluster::forms::RegionWithGateways;
use serde_json::Value as Json;
use wire::v1::{ListRegionsRequest, RegionStatus};

/// The arguments of `atoll region`.
#[derive(Debug, Args)]
pub struct RegionArguments {
    #[command(subcommand)]
    pub command: RegionCommand,

    #[command(flatten)]
    pub access: AccessOfAll,
}

/// What is to be done with regions.
#[derive(Debug, Subcommand)]
pub enum RegionCommand {
    /// All regions with their states, and the gateways that the gateway which answers knows of
    List,
}

/// Runs the sub-command.
pub async fn run(session: &Session, arguments: RegionArguments) -> anyhow::Result<()> {
    match arguments.command {
        RegionCommand::List => list(session).await,
    }
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let asked = session
        .gateways
        .list_regions(ListRegionsRequest {}, COMMAND_DEADLINE);
    let known = asked.await?;
    let header = [
        "region", "state", "copies", "nodes", "shards", "votes", "gateways",
    ];
    session.output.records(
        || table(header, known.regions.iter().map(row)),
        known.regions.iter().map(json_of),
    )?;
    Ok(())
}

fn row(region: &RegionStatus) -> [String; 7] {
    let gateways = region.gateways.iter();
    let gateways = gateways.map(|gateway| match gateway.reachable {
        Some(false) => format!("{} (away)", gateway.grpc_address),
        Some(true) | None => gateway.grpc_address.clone(),
    });
    let shards = match region.shards {
        0 => "unknown".to_owned(),
        shards => format!("{} of {shards} placed", region.placed),
    };
    [
        region.name.clone(),
        region.state.clone(),
        region.copies.to_string(),
        region.nodes.to_string(),
        shards,
        region.voters.join(","),
        gateways.collect::<Vec<_>>().join(" "),
    ]
}

fn json_of(region: &RegionStatus) -> Json {
    serde_json::to_value(RegionWithGateways::of(region)).expect("a region is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::v1::GatewayAddress;

    #[test]
    fn a_region_is_shown_with_where_it_is_reached() {
        let gateway = |address: &str, reachable| GatewayAddress {
            grpc_address: address.into(),
            reachable,
            ..GatewayAddress::default()
        };
        let mut region = RegionStatus {
            name: "eu".into(),
            state: "active".into(),
            shards: 20,
            placed: 19,
            gateways: vec![
                gateway("eu-1:6570", Some(true)),
                gateway("eu-2:6570", Some(false)),
            ],
            ..RegionStatus::default()
        };
        assert_eq!(row(&region)[4], "19 of 20 placed");
        assert_eq!(row(&region)[6], "eu-1:6570 eu-2:6570 (away)");
        assert_eq!(json_of(&region)["gateways"][0]["region"], "eu");
        region.shards = 0;
        assert_eq!(row(&region)[4], "unknown");
    }
}
