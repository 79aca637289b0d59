//! Makes the graph from what `cargo metadata` says, less the edges that are never built.
//!
//! cargo also lists optional dependencies that no feature turns on, because a weak feature
//! (`rand?/std`) mentions them. They are in the lock file only; rules that went by them would ask for
//! exceptions from what does not happen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata as cargo;
use cargo_metadata::{CargoOpt, Dependency, DependencyKind, Metadata, MetadataCommand, PackageId};

use super::graph::{Edge, Graph, Package, Purpose};

/// One platform is looked at: others add crates that are never built here.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Asks cargo. The lock file is taken as it is: a check writes nothing.
pub fn read(root: &Path) -> Result<Graph> {
    let options = ["--locked", "--filter-platform", PLATFORM];
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .features(CargoOpt::AllFeatures)
        .other_options(options.map(str::to_owned))
        .exec()
        .context("read the dependency graph with cargo metadata")?;
    graph_of(&metadata)
}

fn graph_of(metadata: &Metadata) -> Result<Graph> {
    let described: BTreeMap<&PackageId, &cargo::Package> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package))
        .collect();
    let resolve = metadata
        .resolve
        .as_ref()
        .context("cargo metadata gave no graph")?;
    let mut packages = BTreeMap::new();
    for node in &resolve.nodes {
        let package = described
            .get(&node.id)
            .context("cargo metadata names a package only")?;
        let is_member = metadata.workspace_members.contains(&node.id);
        let mut edges = Vec::new();
        for used in &node.deps {
            let target = described
                .get(&used.pkg)
                .context("cargo metadata names a package only")?;
            let kinds = used.dep_kinds.iter().map(|kind| kind.kind);
            let built = kinds.filter(|kind| is_built(package, node, target, *kind));
            edges.extend(built.map(|kind| edge(&used.pkg, kind)));
        }
        packages.insert(node.id.repr.clone(), package_of(package, is_member, edges));
    }
    let roots: Vec<&str> = metadata
        .workspace_members
        .iter()
        .map(|id| id.repr.as_str())
        .collect();
    Ok(without_unreached(packages, &roots))
}

fn package_of(package: &cargo::Package, is_member: bool, edges: Vec<Edge>) -> Package {
    Package {
        name: package.name.to_string(),
        version: package.version.to_string(),
        licence: package.license.clone(),
        manifest: is_member.then(|| package.manifest_path.clone().into_std_path_buf()),
        declared: package
            .dependencies
            .iter()
            .map(|used| used.name.clone())
            .collect(),
        edges,
    }
}

fn edge(to: &PackageId, kind: DependencyKind) -> Edge {
    let purpose = match kind {
        DependencyKind::Normal => Purpose::Normal,
        _ => Purpose::Aside,
    };
    Edge {
        to: to.repr.clone(),
        purpose,
    }
}

fn without_unreached(mut packages: BTreeMap<String, Package>, roots: &[&str]) -> Graph {
    let mut reached = BTreeSet::new();
    let mut queue: Vec<&str> = roots.to_vec();
    while let Some(id) = queue.pop() {
        if reached.insert(id.to_owned()) {
            queue.extend(packages[id].edges.iter().map(|edge| edge.to.as_str()));
        }
    }
    packages.retain(|id, _| reached.contains(id));
    Graph { packages }
}

/// Whether the package, with the features it has in the graph, builds the other one for this purpose.
/// An edge that no line of the manifest explains is taken as built.
fn is_built(
    package: &cargo::Package,
    node: &cargo::Node,
    used: &cargo::Package,
    kind: DependencyKind,
) -> bool {
    let declares_it = |declared: &&Dependency| {
        declared.name == used.name.as_str()
            && declared.kind == kind
            && declared.req.matches(&used.version)
    };
    let declared: Vec<&Dependency> = package.dependencies.iter().filter(declares_it).collect();
    let is_on =
        |declared: &&Dependency| !declared.optional || is_turned_on(package, node, declared);
    declared.is_empty() || declared.iter().any(is_on)
}

fn is_turned_on(package: &cargo::Package, node: &cargo::Node, declared: &Dependency) -> bool {
    let name = declared.rename.as_ref().unwrap_or(&declared.name);
    let consequences = node
        .features
        .iter()
        .filter_map(|on| package.features.get(on.as_str()));
    consequences
        .flatten()
        .any(|consequence| turns_on(consequence, name))
}

/// `dep:name` and `name/feature` do; `name?/feature` asks for the feature only if others do, and a
/// bare `name` is another feature.
fn turns_on(consequence: &str, name: &str) -> bool {
    consequence
        .strip_prefix("dep:")
        .is_some_and(|dependency| dependency == name)
        || consequence
            .split_once('/')
            .is_some_and(|(dependency, _)| dependency == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_mentions_turn_a_dependency_on_and_weak_ones_do_not() {
        assert!(turns_on("dep:rand-0_9", "rand-0_9"));
        assert!(turns_on("rand-0_9/std", "rand-0_9"));
        assert!(!turns_on("rand-0_9?/std", "rand-0_9"));
        assert!(!turns_on("dep:rand-0_8", "rand-0_9"));
        assert!(!turns_on("rand-0_9", "rand-0_9"));
    }

    #[test]
    fn what_no_member_leads_to_is_left_out() {
        let graph = Graph::of(&[("a", &["b"]), ("c", &["b", "d"])]);
        let kept = without_unreached(graph.packages, &["a"]);
        assert_eq!(kept.packages.keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn this_workspace_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let graph = read(root).unwrap();
        assert!(graph.has_member("xtask") && graph.has_member("proto"));
        let built = graph.built_into("xtask");
        assert!(
            built.contains_key("serde_json") && !built.contains_key("tempfile"),
            "{built:?}"
        );
    }
}
