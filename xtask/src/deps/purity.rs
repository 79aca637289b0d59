//! Pure crates bring no runtime: the proof that they wait for nothing is that they cannot.

use super::graph::Graph;
use crate::finding::Finding;

pub fn check(graph: &Graph, pure: &[&str], runtimes: &[&str], findings: &mut Vec<Finding>) {
    for member in pure {
        let built = graph.built_into(member);
        for path in runtimes.iter().filter_map(|runtime| built.get(runtime)) {
            let message = format!(
                "must stay free of runtimes and threads, but builds {}: keep the deciding here and move \
                 the doing into a driver, or turn the feature off that brings it",
                path.join(" → ")
            );
            findings.push(Finding::about(*member, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::expect;

    fn of(packages: &[(&str, &[&str])]) -> Vec<Finding> {
        let mut findings = Vec::new();
        check(
            &Graph::of(packages),
            &["proto", "store"],
            &["tokio", "rayon"],
            &mut findings,
        );
        findings
    }

    #[test]
    fn a_runtime_is_found_however_deep() {
        expect(
            of(&[
                ("proto", &["bytes"]),
                ("bytes", &["tokio"]),
                ("store", &["rayon"]),
            ]),
            &[
                "proto: must stay free of runtimes and threads, but builds proto → bytes → tokio",
                "store: must stay free of runtimes and threads, but builds store → rayon",
            ],
        );
    }

    #[test]
    fn tests_and_build_scripts_may_have_one() {
        expect(
            of(&[
                ("proto", &["~tokio", "bytes"]),
                ("node", &["tokio", "proto"]),
            ]),
            &[],
        );
    }
}
