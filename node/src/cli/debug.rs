//! `atoll debug bundle`: one file with what support asks for, of every node that answers.

use super::{
    arguments::{Access, Globals},
    session::Session,
};
use crate::client::{call::COMMAND_DEADLINE, gateway::GatewayAddress, gateways::Gateways};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use flate2::{Compression, write::GzEncoder};
use gateway::cluster::{forms, lag::Lag};
use std::{fs::File, io::Write as _, path::PathBuf};
use tar::{Builder, Header};
use wire::v1::{DiagnoseRequest, LagRequest, NodeStatus, ShardsRequest, StatusRequest};

/// The arguments of `atoll debug`.
#[derive(Debug, Args)]
pub struct DebugArguments {
    #[command(subcommand)]
    command: DebugCommand,
}

#[derive(Debug, Subcommand)]
enum DebugCommand {
    /// Status, shard map, settings, metrics and newest log lines of every node, in one .tar.gz
    Bundle(BundleArguments),
}

/// The arguments of `atoll debug bundle`.
#[derive(Debug, Args)]
struct BundleArguments {
    /// The file to write; it must not be there yet
    #[arg(long, value_name = "FILE", default_value = "atoll-debug.tar.gz")]
    to: PathBuf,

    #[command(flatten)]
    access: Access,
}

impl DebugArguments {
    /// The token at the command.
    pub fn token(&self) -> Option<&str> {
        let DebugCommand::Bundle(arguments) = &self.command;
        arguments.access.token.as_deref()
    }
}

type Archive = Builder<GzEncoder<File>>;

/// Writes the file.
pub async fn run(
    session: &Session,
    (globals, token): (&Globals, Option<&str>),
    arguments: DebugArguments,
) -> anyhow::Result<()> {
    let DebugCommand::Bundle(BundleArguments { to, .. }) = arguments.command;
    let status = session.gateways.status(StatusRequest {}, COMMAND_DEADLINE);
    let status = status.await?;
    let doing = || format!("write {}", to.display());
    let file = File::create_new(&to).with_context(doing)?;
    let mut archive = Builder::new(GzEncoder::new(file, Compression::default()));
    let is_tls = globals.gateway.iter().any(GatewayAddress::is_tls);
    let mut silent = Vec::new();
    for node in &status.nodes {
        let files = match files_of(node, is_tls, (globals, token)).await {
            Ok(files) => files,
            Err(error) => {
                silent.push(node.name.as_str());
                vec![("silent.txt".to_owned(), format!("{error:#}\n"))]
            }
        };
        for (name, text) in files {
            add(&mut archive, &format!("{}/{name}", node.name), &text).with_context(doing)?;
        }
    }
    let packed = archive.into_inner().and_then(GzEncoder::finish);
    packed
        .and_then(|mut file| file.flush())
        .with_context(doing)?;
    let asked = status.nodes.len();
    session.output.note(&format!(
        "{} of {asked} nodes are in {}{}; it has no rows and no secrets, but names of projects, features, nodes and \
         addresses",
        asked - silent.len(),
        to.display(),
        match silent.as_slice() {
            [] => String::new(),
            silent => format!(" (no answer from {})", silent.join(", ")),
        }
    ));
    Ok(())
}

/// What one node says of itself, and of the cluster as it sees it.
async fn files_of(
    node: &NodeStatus,
    is_tls: bool,
    (globals, token): (&Globals, Option<&str>),
) -> anyhow::Result<Vec<(String, String)>> {
    let scheme = if is_tls { "https://" } else { "" };
    let address: GatewayAddress = format!("{scheme}{}", node.grpc_address).parse()?;
    let own = Gateways::trusting(&[address], token, &super::session::trust(globals)?)?;
    let told = own.diagnose(DiagnoseRequest {}, COMMAND_DEADLINE).await?;
    let files = told.files.into_iter();
    let mut files: Vec<(String, String)> = files.map(|file| (file.name, file.text)).collect();
    // Nodes may disagree, and that is what is looked for.
    let seen = own.status(StatusRequest {}, COMMAND_DEADLINE).await?;
    let seen = serde_json::to_string_pretty(&forms::Status::of(&seen))?;
    files.push(("status.json".into(), format!("{seen}\n")));
    let lag = own.lag(LagRequest {}, COMMAND_DEADLINE).await?;
    let lag = serde_json::to_string_pretty(&Lag::of(&lag))?;
    files.push(("lag.json".into(), format!("{lag}\n")));
    let shards = own
        .shards(ShardsRequest::default(), COMMAND_DEADLINE)
        .await?;
    let line = |shard| serde_json::to_string(&forms::Shard::of(shard)).map(|line| line + "\n");
    let lines: Result<String, _> = shards.shards.iter().map(line).collect();
    files.push(("shards.jsonl".into(), lines?));
    Ok(files)
}

fn add(archive: &mut Archive, name: &str, text: &str) -> std::io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, text.as_bytes())
}
