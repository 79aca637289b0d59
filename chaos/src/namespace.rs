//! Namespaces of a run's own: what it mounts and wires vanishes with its last process, however that ends.

use anyhow::{Context as _, Result, bail, ensure};
use std::{os::unix::process::CommandExt as _, process::Command};

/// Set once this process is in namespaces of its own.
const INSIDE: &str = "CHAOS_INSIDE";

/// Whether this process is in namespaces of its own.
#[must_use]
pub fn is_own() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Begins this program anew in namespaces of its own, of the `kinds` that `unshare` has flags for, unless
/// it is there already. Where it cannot, the error says what it `needs`.
pub fn enter(kinds: &[&str], needs: &str) -> Result<()> {
    if is_own() {
        return Ok(());
    }
    ensure!(rustix::process::geteuid().is_root(), "{needs}");
    let own = std::env::current_exe().context("find this program")?;
    let mut command = Command::new("unshare");
    command.args(kinds).arg("--").arg(own);
    command.args(std::env::args_os().skip(1)).env(INSIDE, "1");
    // It comes back only where nothing was started.
    Err(command.exec()).with_context(|| format!("start unshare: {needs}"))
}

/// Runs a program that changes a namespace; where it fails, the error says what it `needs`.
pub fn run(program: &str, arguments: &[&str], needs: &str) -> Result<()> {
    let said = Command::new(program).args(arguments).output();
    let said = said.with_context(|| format!("start {program}: {needs}"))?;
    if said.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&said.stderr).into_owned();
    bail!("{program} {}: {}; {needs}", arguments.join(" "), why.trim())
}
