//! Arrows between members: each uses what the table lists, and nothing else.

use super::graph::Graph;
use crate::finding::Finding;

pub fn check(graph: &Graph, arrows: &[(&str, &[&str])], findings: &mut Vec<Finding>) {
    for member in graph.members() {
        let Some((_, allowed)) = arrows.iter().find(|(name, _)| *name == member.name) else {
            let message =
                "not in the table of arrows (xtask/src/deps.rs): say there what it may use";
            findings.push(Finding::about(&member.name, message));
            continue;
        };
        // A crate that turns a feature of its own on for its tests names itself; that is no arrow.
        let others = member.declared.iter().filter(|name| **name != member.name);
        let used = others.filter(|name| graph.has_member(name));
        for name in used.filter(|name| !allowed.contains(&name.as_str())) {
            let message = format!(
                "may not use `{name}`: a crate knows those below it in ARCHITECTURE.md only, so that it can \
                 be read, tested and simulated without the rest; a new arrow needs a page in \
                 docs/decisions"
            );
            findings.push(Finding::about(&member.name, message));
        }
    }
    for (name, _) in arrows.iter().filter(|(name, _)| !graph.has_member(name)) {
        let message = "in the table of arrows (xtask/src/deps.rs), but no member: take it out";
        findings.push(Finding::about(*name, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::expect;

    const TABLE: &[(&str, &[&str])] = &[
        ("proto", &[]),
        ("store", &["proto"]),
        ("node", &["proto", "store"]),
    ];
    const MEMBERS: &[&str] = &["proto", "store", "node"];

    fn of(packages: &[(&str, &[&str])], members: &[&str]) -> Vec<Finding> {
        let mut findings = Vec::new();
        check(
            &Graph::of(packages).with_members(members),
            TABLE,
            &mut findings,
        );
        findings
    }

    #[test]
    fn listed_arrows_pass_and_outside_crates_are_no_arrows() {
        expect(
            of(
                &[("store", &["proto", "bytes"]), ("node", &["store"])],
                MEMBERS,
            ),
            &[],
        );
    }

    #[test]
    fn a_crate_may_name_itself_for_its_tests() {
        expect(
            of(
                &[("store", &["~store"]), ("node", &["store", "proto"])],
                MEMBERS,
            ),
            &[],
        );
    }

    #[test]
    fn an_arrow_upwards_is_found_in_tests_too() {
        expect(
            of(&[("proto", &["store"]), ("store", &["~node"])], MEMBERS),
            &["proto: may not use `store`", "store: may not use `node`"],
        );
    }

    #[test]
    fn table_and_members_must_agree() {
        expect(
            of(
                &[("proto", &[]), ("store", &[]), ("chaos", &[])],
                &["proto", "store", "chaos"],
            ),
            &[
                "chaos: not in the table of arrows",
                "node: in the table of arrows",
            ],
        );
    }
}
