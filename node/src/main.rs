//! The `atoll` command.

use clap::Parser as _;
use mimalloc::MiMalloc;
use node::{
    cli::{
        arguments::{Cli, Command},
        failure, session,
    },
    components::{RecentLog, runtime},
};
use std::{io::IsTerminal as _, process::ExitCode};
use tracing_subscriber::{EnvFilter, fmt::writer::MakeWriterExt as _};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    show_log(matches!(cli.command, Command::Serve(_)));
    let result = match runtime().build() {
        Ok(runtime) => runtime.block_on(session::run(cli)),
        Err(error) => Err(anyhow::Error::from(error).context("start the runtime")),
    };
    failure::conclude(&result)
}

fn is_read_by_people() -> bool {
    let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !wants_none
}

/// What happened, on standard error: `RUST_LOG` chooses how much. A command's own words are its answer.
fn show_log(is_server: bool) {
    // Raft's replication reports each message that a node which is away did not answer.
    let default = if is_server {
        "info,openraft=error,openraft::replication=off,sled=warn,chitchat=error"
    } else {
        "error,openraft=off"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr.and(|| RecentLog))
        // Colours are for people: in a file they are in the way of every search.
        .with_ansi(is_read_by_people())
        .init();
}
