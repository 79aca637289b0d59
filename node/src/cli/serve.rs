//! `atoll serve`: a node in this process, until it is told to stop.

use crate::{
    components::Components,
    server::{self, single},
};
use anyhow::anyhow;
use clap::Args;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// One node in this process.
#[derive(Debug, Clone, Args)]
pub struct ServeArguments {
    /// One node that is a whole cluster: one region `local`, no settings file
    #[arg(long, required = true)]
    pub single: bool,

    /// Where the node keeps its data
    #[arg(long, value_name = "DIR", default_value = "atoll-data")]
    pub data_dir: PathBuf,

    /// gRPC of the node; HTTP is on the port after it
    #[arg(long, default_value_t = 6570, value_parser = clap::value_parser!(u16).range(1..=65_500))]
    pub port: u16,

    /// Show the settings in effect, with where each came from, and end
    #[arg(long)]
    pub print_settings: bool,
}

/// Runs the node.
pub async fn run(arguments: ServeArguments) -> anyhow::Result<()> {
    let (settings, founding) = single::settings(&arguments.data_dir, arguments.port);
    if arguments.print_settings {
        let sources = [
            ("node.data_dir", "--data-dir"),
            ("listen.grpc", "--port"),
            ("listen.http", "--port"),
        ];
        let sources = sources
            .map(|(key, source)| (key.to_owned(), source.to_owned()))
            .into();
        print!("{}", crate::settings::print(&settings, &sources));
        return Ok(());
    }
    let mut node = server::start_single(settings, founding, Components::of_this_machine()).await?;
    println!(
        "atoll: gRPC at {}, HTTP at {}, data in {}",
        node.grpc,
        node.http,
        arguments.data_dir.display()
    );
    let mut terminate = signal(SignalKind::terminate())?;
    let fault = tokio::select! {
        fault = node.failed() => Some(fault),
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
    };
    node.stop().await;
    match fault {
        None => Ok(()),
        Some(fault) => Err(anyhow!("the node stopped by itself: {fault}")),
    }
}
