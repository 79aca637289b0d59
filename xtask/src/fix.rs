//! `fix`: rewrites what rustfmt and clippy can put right by themselves.

use std::path::Path;

use anyhow::Result;

use crate::cargo::{cargo, run_openly};

/// Formats last as well: what clippy rewrites is not always formatted.
pub fn run(root: &Path) -> Result<()> {
    run_openly(&mut cargo(root, &["fmt", "--all"]))?;
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--fix",
        "--allow-dirty",
        "--allow-staged",
    ];
    run_openly(&mut cargo(root, &clippy))?;
    run_openly(&mut cargo(root, &["fmt", "--all"]))
}
