//! Licences of everything in the tree, tests and build scripts included.

use super::graph::{Graph, Package};
use super::spdx;
use crate::finding::Finding;

pub fn check(
    graph: &Graph,
    allowed: &[&str],
    exceptions: &[(&str, &str, &str)],
    findings: &mut Vec<Finding>,
) {
    let mut needed = Vec::new();
    for package in graph.packages.values() {
        if is_allowed(package, &|licence| allowed.contains(&licence), findings) {
            continue;
        }
        let by_exception = |licence: &str| {
            let is_named = |(name, excepted, _): &(&str, &str, &str)| {
                *name == package.name && *excepted == licence
            };
            allowed.contains(&licence) || exceptions.iter().any(is_named)
        };
        if is_allowed(package, &by_exception, &mut Vec::new()) {
            needed.push(package.name.as_str());
        } else if let Some(licence) = &package.licence {
            let message = format!(
                "its licence `{licence}` is not on the list in xtask/src/deps.rs: Atoll could not be given out \
                 under Apache-2.0; use another crate, or list it with its reason"
            );
            findings.push(Finding::about(&package.name, message));
        }
    }
    for (name, licence, _) in exceptions
        .iter()
        .filter(|(name, _, _)| !needed.contains(name))
    {
        let message =
            format!("excepted for {licence} in xtask/src/deps.rs without need: take it out");
        findings.push(Finding::about(*name, message));
    }
}

fn is_allowed(
    package: &Package,
    is_listed: &dyn Fn(&str) -> bool,
    findings: &mut Vec<Finding>,
) -> bool {
    let Some(licence) = &package.licence else {
        let message = "states no licence: nobody may use it; ask its author or use another crate";
        findings.push(Finding::about(&package.name, message));
        return false;
    };
    spdx::allows(licence, is_listed).unwrap_or_else(|error| {
        let message = format!("its licence `{licence}` is no SPDX expression: {error}");
        findings.push(Finding::about(&package.name, message));
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::expect;

    const SHIELD: &[(&str, &str, &str)] = &[("shield", "MPL-2.0", "used unchanged")];

    fn of(licence: Option<&str>, exceptions: &[(&str, &str, &str)]) -> Vec<Finding> {
        let graph = Graph::of(&[("node", &["shield"])]).with_licence("shield", licence);
        let mut findings = Vec::new();
        check(&graph, &["MIT", "Apache-2.0"], exceptions, &mut findings);
        findings
    }

    #[test]
    fn listed_licences_pass_and_others_are_found() {
        expect(of(Some("MIT OR GPL-3.0"), &[]), &[]);
        expect(
            of(Some("MPL-2.0"), &[]),
            &["shield: its licence `MPL-2.0` is not on the list"],
        );
    }

    #[test]
    fn missing_licences_are_found_once() {
        expect(of(None, &[]), &["shield: states no licence"]);
    }

    #[test]
    fn broken_expressions_are_found() {
        let findings = of(Some("MIT AND"), &[]);
        assert!(
            findings[0].to_string().contains("is no SPDX expression"),
            "{findings:?}"
        );
    }

    #[test]
    fn an_exception_is_for_one_crate_and_one_licence_and_must_be_needed() {
        expect(of(Some("MPL-2.0 AND MIT"), SHIELD), &[]);
        expect(of(Some("MIT"), SHIELD), &["shield: excepted for MPL-2.0"]);
        let other = &[("other", "MPL-2.0", "used unchanged")];
        expect(
            of(Some("MPL-2.0"), other),
            &[
                "other: excepted for MPL-2.0",
                "shield: its licence `MPL-2.0`",
            ],
        );
    }
}
