//! Runs cargo's own commands, always on the root of the workspace.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The cargo that started this program, so that both use one toolchain.
pub fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root).args(arguments);
    command
}

/// What a quiet run came to.
pub enum Outcome {
    Passed,
    /// All that the command wrote, its errors first.
    Failed(String),
}

/// Runs to the end and keeps what was written, for the case that it fails.
pub fn run_quietly(command: &mut Command) -> Result<Outcome> {
    let output = command
        .output()
        .with_context(|| format!("start {}", describe(command)))?;
    if output.status.success() {
        return Ok(Outcome::Passed);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let answer = String::from_utf8_lossy(&output.stdout);
    Ok(Outcome::Failed(format!("{errors}{answer}")))
}

/// Runs and prints the lines of its answer that are to be shown as they come; its errors and its
/// progress go straight through. True when it succeeded.
pub fn run_showing(command: &mut Command, is_shown: fn(&str) -> bool) -> Result<bool> {
    let name = describe(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {name}"))?;
    let answer = child
        .stdout
        .take()
        .expect("its output was asked for just above");
    for line in BufReader::new(answer).split(b'\n') {
        let line = line.with_context(|| format!("read the answer of {name}"))?;
        let line = String::from_utf8_lossy(&line);
        if is_shown(&line) {
            println!("{line}");
        }
    }
    let status = child.wait().with_context(|| format!("wait for {name}"))?;
    Ok(status.success())
}

/// Runs with everything shown; an error when it fails.
pub fn run_openly(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status = command.status().with_context(|| format!("start {name}"))?;
    ensure!(status.success(), "{name} failed");
    Ok(())
}

fn describe(command: &Command) -> String {
    let arguments: Vec<_> = command
        .get_args()
        .map(|one| one.to_string_lossy())
        .collect();
    format!("cargo {}", arguments.join(" "))
}
