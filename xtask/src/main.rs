//! The workspace's automation: `cargo xtask check | fix | tidy | deps`.
//!
//! `check` is the gate, the same here and in CI, and writes nothing; `fix` writes what a tool can
//! put right. `tidy` and `deps` are two of the gate's steps, fast enough to run on every save.
//! Nothing here is part of the product: no crate depends on this one, and it depends on none.

mod cargo;
mod check;
mod deps;
mod finding;
mod fix;
mod tidy;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::finding::Finding;

const USAGE: &str = "\
usage: cargo xtask <command>

  check   the gate: tidy, deps, fmt, clippy, tests, docs; writes nothing in the tree
  fix     rewrite what rustfmt and clippy can put right
  tidy    rules of form: headers, lengths, leftovers, links, exceptions
  deps    arrows between crates, licences, doubled versions, banned crates
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command] = arguments.as_slice() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let root = workspace_root();
    let outcome = match command.as_str() {
        "check" => check::run(&root),
        "fix" => fix::run(&root).map(|()| true),
        "tidy" => tidy::run(&root).map(|findings| print_all("tidy", &findings)),
        "deps" => deps::run(&root).map(|findings| print_all("deps", &findings)),
        unknown => {
            eprint!("unknown command `{unknown}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome.with_context(|| format!("run xtask {command}")) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder above this crate's, as cargo tells it at each run. What stood there when the crate was
/// compiled may be another checkout: they can share a target directory, and with it this program.
fn workspace_root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
    manifest
        .as_deref()
        .map_or(Path::new(env!("CARGO_MANIFEST_DIR")), Path::new)
        .parent()
        .expect("the manifest lies in a folder of the workspace")
        .to_path_buf()
}

/// Prints the findings of one command; true when there are none.
fn print_all(command: &str, findings: &[Finding]) -> bool {
    for finding in findings {
        println!("{finding}");
    }
    println!("{command}: {}", finding::count(findings));
    findings.is_empty()
}
