//! `atoll demo`: a whole cluster in one process, on real data.

use crate::{
    client::duration,
    demo::{self, embedded::Embedded, outage::Outage, run::DemoOptions},
};
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// A whole cluster in this process, with real data written and looked up.
#[derive(Debug, Clone, Args)]
pub struct DemoArguments {
    /// Where the nodes keep their data; a new place that is removed at the end by default
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// How long to go on; until Ctrl-C by default
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub duration: Option<Duration>,

    /// gRPC of the gateway; HTTP is on the port after it
    #[arg(long, default_value_t = 6570, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub port: u16,

    /// Nodes that hold rows; two or more come with a gateway of their own, which votes as well
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=5))]
    pub nodes: u16,

    /// Take a node away for a while and tell what was seen; may be given several times
    #[arg(long, value_name = "NODE:DURATION")]
    pub kill: Vec<Outage>,

    /// Lines of the shop per second
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub events_per_second: u32,

    /// Lookups per second
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub lookups_per_second: u32,
}

impl From<&DemoArguments> for DemoOptions {
    fn from(arguments: &DemoArguments) -> Self {
        Self {
            events_per_second: arguments.events_per_second,
            lookups_per_second: arguments.lookups_per_second,
            duration: arguments.duration,
            outages: arguments.kill.clone(),
            ..Self::default()
        }
    }
}

/// Plays the demo.
pub async fn run(arguments: DemoArguments) -> anyhow::Result<()> {
    let cluster = Embedded::start(
        arguments.data_dir.as_deref(),
        arguments.port,
        arguments.nodes,
    )
    .await?;
    let interrupted = async {
        // Without the handler Ctrl-C ends the process by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let played = demo::run::run(&cluster, &DemoOptions::from(&arguments), interrupted).await;
    cluster.stop().await;
    played
}
