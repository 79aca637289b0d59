//! Crates built in two versions: each is on the list with its reason, and leaves it when it is over.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use crate::finding::Finding;

pub fn check(graph: &Graph, allowed: &[(&str, &str)], findings: &mut Vec<Finding>) {
    let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (id, package) in &graph.packages {
        let users: Vec<&str> = graph.users_of(id).into_iter().collect();
        let version = format!("{} for {}", package.version, users.join(", "));
        versions.entry(&package.name).or_default().push(version);
    }
    let doubled: BTreeMap<&str, Vec<String>> = versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .collect();
    let allowed: BTreeSet<&str> = allowed.iter().map(|(name, _reason)| *name).collect();
    for (name, versions) in doubled.iter().filter(|(name, _)| !allowed.contains(*name)) {
        let message = format!(
            "is built in {} versions ({}): bring them together, or list it with its reason under DOUBLED in \
             xtask/src/deps.rs",
            versions.len(),
            versions.join("; ")
        );
        findings.push(Finding::about(*name, message));
    }
    for name in allowed
        .into_iter()
        .filter(|name| !doubled.contains_key(name))
    {
        let message = "is under DOUBLED in xtask/src/deps.rs, but built in one version only: take it \
                       off, else the next doubling goes unseen";
        findings.push(Finding::about(name, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::expect;

    fn of(allowed: &[(&str, &str)]) -> Vec<Finding> {
        let graph = Graph::of(&[
            ("a", &["rand 0.8.8"]),
            ("b", &["rand 0.9.5"]),
            ("c", &["bytes 1.0.0"]),
        ]);
        let mut findings = Vec::new();
        check(&graph, allowed, &mut findings);
        findings
    }

    #[test]
    fn a_new_doubling_is_found_with_who_asks_for_it() {
        expect(
            of(&[]),
            &["rand: is built in 2 versions (0.8.8 for a; 0.9.5 for b)"],
        );
        expect(of(&[("rand", "a is behind")]), &[]);
    }

    #[test]
    fn a_stale_entry_is_found() {
        let allowed = [
            ("rand", "a is behind"),
            ("bytes", "c is behind"),
            ("gone", "was there"),
        ];
        expect(
            of(&allowed),
            &["bytes: is under DOUBLED", "gone: is under DOUBLED"],
        );
    }
}
