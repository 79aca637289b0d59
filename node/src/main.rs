//! The `atoll` command.

use clap::Parser as _;
use mimalloc::MiMalloc;
use node::cli::{arguments::Cli, failure, session};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(session::run(cli)),
        Err(error) => Err(anyhow::Error::from(error).context("start the runtime")),
    };
    failure::conclude(&result)
}
