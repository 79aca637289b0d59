//! `atoll serve`: a node in this process, until it is told to stop.

use crate::{
    components::Components,
    server::{self, Running, StartError, single},
    settings::{self, NodeSettings},
};
use anyhow::anyhow;
use clap::Args;
use std::{collections::BTreeMap, path::PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// One node in this process.
#[derive(Debug, Clone, Args)]
pub struct ServeArguments {
    /// One node that is a whole cluster: one region `local`, no settings file
    #[arg(long, required_unless_present = "config", conflicts_with = "config")]
    pub single: bool,

    /// The node's settings; every key can be overridden by `ATOLL_SECTION__KEY`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where the node keeps its data
    #[arg(
        long,
        value_name = "DIR",
        default_value = "atoll-data",
        conflicts_with = "config"
    )]
    pub data_dir: PathBuf,

    /// gRPC of the node; HTTP is on the port after it
    #[arg(
        long,
        default_value_t = 6570,
        value_parser = clap::value_parser!(u16).range(1..=65_500),
        conflicts_with = "config"
    )]
    pub port: u16,

    /// Show the settings in effect, with where each came from, and end
    #[arg(long)]
    pub print_settings: bool,
}

/// Runs the node.
pub async fn run(arguments: ServeArguments) -> anyhow::Result<()> {
    let (settings, sources) = match &arguments.config {
        Some(file) => settings::load(file, std::env::vars())?,
        None => single_settings(&arguments),
    };
    if arguments.print_settings {
        print!("{}", settings::print(&settings, &sources));
        return Ok(());
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let data_dir = settings.node.data_dir.clone();
    let started = tokio::select! {
        started = start(&arguments, settings) => started,
        // A node that waits for its cluster can be told to stop as well.
        _ = tokio::signal::ctrl_c() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    let mut node = started?;
    println!(
        "atoll: gRPC at {}, HTTP at {}, data in {}",
        node.grpc,
        node.http,
        data_dir.display()
    );
    let fault = tokio::select! {
        fault = node.failed() => Some(fault),
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
    };
    if fault.is_none() {
        tokio::select! {
            () = node.leave() => {}
            // Whoever asks twice does not want to wait.
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    node.stop().await;
    match fault {
        None => Ok(()),
        Some(fault) => Err(anyhow!("the node stopped by itself: {fault}")),
    }
}

async fn start(arguments: &ServeArguments, settings: NodeSettings) -> Result<Running, StartError> {
    let components = Components::of_this_machine();
    if !arguments.single {
        return server::start(settings, components).await;
    }
    let (_, founding) = single::settings(&arguments.data_dir, arguments.port);
    server::start_single(settings, founding, components).await
}

fn single_settings(arguments: &ServeArguments) -> (NodeSettings, BTreeMap<String, String>) {
    let (settings, _) = single::settings(&arguments.data_dir, arguments.port);
    let sources = [
        ("node.data_dir", "--data-dir"),
        ("listen.grpc", "--port"),
        ("listen.http", "--port"),
    ];
    let sources = sources.map(|(key, source)| (key.to_owned(), source.to_owned()));
    (settings, sources.into())
}
