//! Crates that may be nowhere in the tree, not even for a test or a build script.

use super::graph::Graph;
use crate::finding::Finding;

pub fn check(graph: &Graph, banned: &[(&str, &str)], findings: &mut Vec<Finding>) {
    for (id, package) in &graph.packages {
        let Some((name, reason)) = banned.iter().find(|(name, _)| *name == package.name) else {
            continue;
        };
        let users: Vec<&str> = graph.users_of(id).into_iter().collect();
        let message = format!("is banned but used by {}: {reason}", users.join(", "));
        findings.push(Finding::about(*name, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::expect;

    #[test]
    fn banned_crates_are_found_with_who_uses_them() {
        let graph = Graph::of(&[
            ("rustls", &["aws-lc-sys", "ring"]),
            ("node", &["~aws-lc-sys"]),
        ]);
        let mut findings = Vec::new();
        check(&graph, super::super::BANNED, &mut findings);
        expect(
            findings,
            &["aws-lc-sys: is banned but used by node, rustls: ring is the one"],
        );
    }
}
