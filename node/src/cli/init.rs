//! `atoll init`: founds a cluster at a node that has no data.

use super::output::Output;
use crate::{
    components::{SystemEntropy, TcpNetwork},
    server,
    settings::{self, ClusterSettings},
};
use clap::Args;
use serde_json::json;
use std::{path::PathBuf, time::Duration};

/// How long the node may take.
const WITHIN: Duration = Duration::from_secs(60);

/// What to found, and where.
#[derive(Debug, Clone, Args)]
pub struct InitArguments {
    /// The cluster's settings: its name, shards and regions, fixed once they are founded
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,

    /// The peer address (`listen.peer`) of a node that has no data yet
    #[arg(long, value_name = "HOST:PORT")]
    pub at: String,
}

/// Founds it.
pub async fn run(output: Output, arguments: InitArguments) -> anyhow::Result<()> {
    // A cluster's settings are one for all nodes: no environment of this one changes them.
    let (founding, _): (ClusterSettings, _) =
        settings::load(&arguments.config, std::iter::empty())?;
    let founded = server::init(
        &TcpNetwork,
        &SystemEntropy,
        &arguments.at,
        &founding,
        WITHIN,
    )
    .await?;
    let name = &founding.cluster.name;
    let text = || {
        let mut text = format!(
            "founded cluster {name} ({}) at node {}; other nodes join with cluster.seeds = [\"{}\"]",
            founded.cluster, founded.node, arguments.at
        );
        if let Some(file) = &founded.first_token {
            text.push_str(&format!(
                "\nthe first token, which administers the cluster, is in {} on that node: take it away from there",
                file.display()
            ));
        }
        text
    };
    let json = || {
        json!({
            "cluster": founded.cluster.to_string(),
            "name": name,
            "node": founded.node.to_string(),
            "first_token_file": founded.first_token,
        })
    };
    Ok(output.answer(text, json)?)
}
