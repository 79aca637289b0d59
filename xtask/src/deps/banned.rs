//! Crates that may be nowhere in the tree, not even for a test or a build script; and those that one other
//! may use alone.

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

pub fn check_confined(graph: &Graph, confined: &[(&str, &str, &str)], findings: &mut Vec<Finding>) {
    for (id, package) in &graph.packages {
        let Some((name, user, reason)) = confined.iter().find(|(name, ..)| *name == package.name)
        else {
            continue;
        };
        let users = graph.users_of(id);
        for other in users.into_iter().filter(|other| other != user) {
            let message = format!("is for {user} alone but used by {other}: {reason}");
            findings.push(Finding::about(*name, message));
        }
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

    #[test]
    fn confined_crates_are_found_with_who_else_uses_them() {
        let graph = Graph::of(&[
            ("rdkafka-sys", &["openssl-sys"]),
            ("reqwest", &["openssl-sys"]),
        ]);
        let mut findings = Vec::new();
        check_confined(&graph, super::super::CONFINED, &mut findings);
        expect(
            findings,
            &["openssl-sys: is for rdkafka-sys alone but used by reqwest: ring is the one"],
        );
    }
}
