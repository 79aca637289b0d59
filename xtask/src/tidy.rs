//! `tidy`: the rules of form that neither rustfmt nor clippy knows, each with its reason.
//!
//! It reads the text, not the meaning: what needs types is clippy's (`clippy.toml`,
//! `clippy-core.toml`), what needs the dependency graph is `deps`.

mod bans;
mod exceptions;
mod markdown;
mod scan;
mod source;
mod text;

use std::path::Path;

use anyhow::Result;

use crate::finding::Finding;
use crate::tree::Tree;

/// Reads the repository and returns every finding, by place.
pub fn run(root: &Path) -> Result<Vec<Finding>> {
    let tree = Tree::read(root)?;
    let mut findings = Vec::new();
    text::check(&tree, &mut findings);
    markdown::check(&tree, &mut findings);
    source::check(&tree, &mut findings);
    exceptions::check(&tree, exceptions::UNSAFE, &mut findings);
    bans::check(&tree, &mut findings);
    findings.sort();
    Ok(findings)
}
