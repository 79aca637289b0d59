//! `benches`: what the store and a lookup cost, printed beside limits and references as ratios.
//!
//! Bounded in rows and seconds. Nothing is asserted on time: machines differ and are shared, so a
//! figure means something only beside another one of the same run.

mod figure;
mod machine;

mod lookup;
mod store_alone;

use clap::{Parser, Subcommand, ValueEnum};
use figure::Figure;
use mimalloc::MiMalloc;
use std::{path::PathBuf, time::Duration};

/// The allocator of the `atoll` command, so that what is measured here is what runs there.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// The store alone
    Store,
    /// The feed lookup over gRPC, in one process and with a gateway apart from three nodes, beside
    /// a server that returns the same bytes
    Lookup,
    /// Lookups offered at several times the rate that the node can answer
    Overload,
    /// All of them
    All,
}

/// What the store and a lookup cost, beside limits and references as ratios
#[derive(Debug, Parser)]
#[command(name = "benches")]
struct Arguments {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    subject: Subject,

    /// Rows in the store
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    rows: u64,

    /// Seconds of each measurement
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,

    #[command(subcommand)]
    server: Option<Server>,
}

/// What this program starts itself as, so that a server's CPU is counted apart.
#[derive(Debug, Subcommand)]
enum Server {
    /// A node that is a whole cluster
    #[command(name = "serve-node", hide = true)]
    Node {
        data_dir: PathBuf,
        /// The only core that it runs on
        #[arg(long)]
        core: Option<usize>,
    },
    /// A member of a region
    #[command(name = "serve-member", hide = true)]
    Member {
        data_dir: PathBuf,
        port: u16,
        nodes: u16,
        name: String,
    },
    /// A server that answers every lookup with the bytes of a file
    #[command(name = "serve-null", hide = true)]
    Null { answer: PathBuf },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match &arguments.server {
        Some(Server::Node { data_dir, core }) => return lookup::server::node(data_dir, *core),
        Some(Server::Member {
            data_dir,
            port,
            nodes,
            name,
        }) => return lookup::server::member(data_dir, *port, *nodes, name),
        Some(Server::Null { answer }) => return lookup::server::null(answer),
        None => {}
    }
    let window = Duration::from_secs(arguments.seconds);
    println!("{}\n", machine::describe());
    let mut figures: Vec<Figure> = Vec::new();
    let wants = |subject| [subject, Subject::All].contains(&arguments.subject);
    if wants(Subject::Store) {
        figures.extend(store_alone::measure(arguments.rows, window)?);
    }
    if wants(Subject::Lookup) {
        figures.extend(lookup::measure(window)?);
    }
    if wants(Subject::Overload) {
        figures.extend(lookup::overload::measure(window)?);
    }
    figure::print(&figures);
    Ok(())
}
