//! Manifests of members: versions, lints and the facts of a package come from the root.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::graph::Graph;
use crate::finding::Finding;

const KINDS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

pub fn check(root: &Path, graph: &Graph, findings: &mut Vec<Finding>) -> Result<()> {
    for manifest in graph
        .members()
        .filter_map(|member| member.manifest.as_deref())
    {
        let text =
            fs::read_to_string(manifest).with_context(|| format!("read {}", manifest.display()))?;
        let path = manifest.strip_prefix(root).unwrap_or(manifest);
        check_text(&path.to_string_lossy(), &text, findings);
    }
    Ok(())
}

fn check_text(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let manifest: Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => {
            let message = format!("not readable as TOML: {}", error.message());
            findings.push(Finding::about(path, message));
            return;
        }
    };
    if !inherits(manifest.get("lints")) {
        let message = "write `[lints] workspace = true`: else no lint of the workspace holds here";
        findings.push(Finding::about(path, message));
    }
    let package = manifest.get("package").and_then(Value::as_table);
    for key in INHERITED {
        if !inherits(package.and_then(|package| package.get(*key))) {
            let message = format!("write `{key}.workspace = true`: it is said once, in the root");
            findings.push(Finding::about(path, message));
        }
    }
    dependencies(path, &manifest, findings);
    let targets = manifest.get("target").and_then(Value::as_table);
    for target in targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table)
    {
        dependencies(path, target, findings);
    }
}

fn dependencies(path: &str, section: &Table, findings: &mut Vec<Finding>) {
    for kind in KINDS {
        let used = section.get(*kind).and_then(Value::as_table);
        for (name, dependency) in used.into_iter().flatten() {
            if !inherits(Some(dependency)) {
                let message = format!(
                    "write `{name} = {{ workspace = true }}` in [{kind}]: versions stand in the root \
                     manifest, so that there is one of each"
                );
                findings.push(Finding::about(path, message));
            }
        }
    }
}

fn inherits(value: Option<&Value>) -> bool {
    value
        .and_then(|value| value.get("workspace"))
        .and_then(Value::as_bool)
        == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::expect;

    const PACKAGE: &str = "[package]\nname = \"a\"\nversion.workspace = true\n\
        edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n\
        publish.workspace = true\n[lints]\nworkspace = true\n";

    fn of(text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        check_text("a/Cargo.toml", text, &mut findings);
        findings
    }

    #[test]
    fn a_member_that_inherits_passes() {
        let uses =
            "[dependencies]\nb = { workspace = true, features = [\"x\"] }\nc.workspace = true\n";
        expect(of(&format!("{PACKAGE}{uses}")), &[]);
    }

    #[test]
    fn versions_of_its_own_are_found_in_every_section() {
        let uses = "[dependencies]\nb = \"1\"\n[dev-dependencies]\nc = { path = \"../c\" }\n\
            [build-dependencies]\nd = { version = \"1\" }\n\
            [target.'cfg(unix)'.dependencies]\ne = { workspace = false, version = \"1\" }\n";
        expect(
            of(&format!("{PACKAGE}{uses}")),
            &[
                "a/Cargo.toml: write `b = { workspace = true }` in [dependencies]",
                "a/Cargo.toml: write `c = { workspace = true }` in [dev-dependencies]",
                "a/Cargo.toml: write `d = { workspace = true }` in [build-dependencies]",
                "a/Cargo.toml: write `e = { workspace = true }` in [dependencies]",
            ],
        );
    }

    #[test]
    fn lints_and_facts_of_its_own_are_found() {
        let text = PACKAGE
            .replace("edition.workspace = true", "edition = \"2021\"")
            .replace("[lints]\nworkspace = true\n", "");
        expect(
            of(&text),
            &[
                "a/Cargo.toml: write `[lints] workspace = true`",
                "a/Cargo.toml: write `edition.workspace = true`",
            ],
        );
        expect(of("= 1"), &["a/Cargo.toml: not readable as TOML"]);
    }
}
