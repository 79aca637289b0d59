//! The dependency graph as the rules see it: less than `cargo metadata` says, and easy to make up in
//! a test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, PackageId};

/// One platform is looked at: others add crates that are never built here.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

pub struct Graph {
    /// By cargo's own id, so that two versions of a crate are two entries.
    pub packages: BTreeMap<String, Package>,
}

pub struct Package {
    pub name: String,
    pub version: String,
    /// An SPDX expression, where the crate states one.
    pub licence: Option<String>,
    /// Where the manifest lies, for members of the workspace.
    pub manifest: Option<PathBuf>,
    /// Names in the manifest, of all kinds and platforms, used or not.
    pub declared: BTreeSet<String>,
    /// What is really built for it.
    pub edges: Vec<Edge>,
}

pub struct Edge {
    pub to: String,
    pub purpose: Purpose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Part of what is built from the crate.
    Normal,
    /// For its tests or its build script alone.
    Aside,
}

impl Graph {
    /// Asks cargo. The lock file is taken as it is: a check writes nothing.
    pub fn read(root: &Path) -> Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(root)
            .features(CargoOpt::AllFeatures)
            .other_options(["--locked", "--filter-platform", PLATFORM].map(str::to_owned).to_vec())
            .exec()
            .context("read the dependency graph with cargo metadata")?;
        Self::of_metadata(&metadata)
    }

    fn of_metadata(metadata: &Metadata) -> Result<Self> {
        let resolve = metadata.resolve.as_ref().context("cargo metadata gave no graph")?;
        let mut packages = BTreeMap::new();
        for node in &resolve.nodes {
            packages.insert(node.id.repr.clone(), package_of(metadata, &node.id)?);
        }
        for node in &resolve.nodes {
            let package = packages.get_mut(&node.id.repr).expect("inserted just above");
            package.edges = node.deps.iter().flat_map(edges_of).collect();
        }
        Ok(Self { packages })
    }

    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|package| package.manifest.is_some())
    }

    /// Whether a member has this name.
    pub fn has_member(&self, name: &str) -> bool {
        self.members().any(|member| member.name == name)
    }

    /// Everything built into a member, each with the path of names that leads to it.
    pub fn built_into(&self, member: &str) -> BTreeMap<&str, Vec<&str>> {
        let start = self.packages.iter().find(|(_, package)| package.name == member);
        let mut paths: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut queue: Vec<(&str, Vec<&str>)> =
            start.map(|(id, _)| (id.as_str(), Vec::new())).into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some((id, path)) = queue.pop() {
            if !seen.insert(id) {
                continue;
            }
            let package = &self.packages[id];
            let path = [path, vec![package.name.as_str()]].concat();
            let normal = package.edges.iter().filter(|edge| edge.purpose == Purpose::Normal);
            queue.extend(normal.map(|edge| (edge.to.as_str(), path.clone())));
            paths.insert(&package.name, path);
        }
        paths
    }

    /// Names of the crates that use this one directly.
    pub fn users_of(&self, id: &str) -> BTreeSet<&str> {
        let uses = |package: &&Package| package.edges.iter().any(|edge| edge.to == id);
        self.packages.values().filter(uses).map(|package| package.name.as_str()).collect()
    }
}

fn package_of(metadata: &Metadata, id: &PackageId) -> Result<Package> {
    let package = metadata
        .packages
        .iter()
        .find(|package| package.id == *id)
        .with_context(|| format!("cargo metadata names {id} but does not describe it"))?;
    let is_member = metadata.workspace_members.contains(id);
    Ok(Package {
        name: package.name.to_string(),
        version: package.version.to_string(),
        licence: package.license.clone(),
        manifest: is_member.then(|| package.manifest_path.clone().into_std_path_buf()),
        declared: package.dependencies.iter().map(|used| used.name.clone()).collect(),
        edges: Vec::new(),
    })
}

fn edges_of(used: &cargo_metadata::NodeDep) -> impl Iterator<Item = Edge> {
    used.dep_kinds.iter().map(|kind| Edge {
        to: used.pkg.repr.clone(),
        purpose: match kind.kind {
            DependencyKind::Normal => Purpose::Normal,
            _ => Purpose::Aside,
        },
    })
}

#[cfg(test)]
impl Graph {
    /// A graph of crates `name version`, each with what it uses, for tests of rules. A use that
    /// begins with `~` is for tests or build scripts. Crates that are only used exist too.
    pub fn of(packages: &[(&str, &[&str])]) -> Self {
        let mut graph = Self { packages: BTreeMap::new() };
        for (id, uses) in packages {
            let used = |named: &&str| named.trim_start_matches('~').to_owned();
            for id in uses.iter().map(used) {
                graph.packages.entry(id.clone()).or_insert_with(|| plain(&id));
            }
            let mut package = plain(id);
            package.declared = uses.iter().map(|named| plain(&used(named)).name).collect();
            package.edges = uses
                .iter()
                .map(|named| Edge {
                    to: used(named),
                    purpose: if named.starts_with('~') { Purpose::Aside } else { Purpose::Normal },
                })
                .collect();
            graph.packages.insert((*id).to_owned(), package);
        }
        graph
    }

    /// The same graph with these as members.
    pub fn with_members(mut self, names: &[&str]) -> Self {
        for package in self.packages.values_mut() {
            if names.contains(&package.name.as_str()) {
                package.manifest = Some(PathBuf::from(&package.name).join("Cargo.toml"));
            }
        }
        self
    }

    pub fn with_licence(mut self, id: &str, licence: Option<&str>) -> Self {
        self.packages.get_mut(id).unwrap().licence = licence.map(str::to_owned);
        self
    }
}

#[cfg(test)]
fn plain(id: &str) -> Package {
    let (name, version) = id.split_once(' ').unwrap_or((id, "1.0.0"));
    Package {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: Some("MIT".to_owned()),
        manifest: None,
        declared: BTreeSet::new(),
        edges: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_leaves_out_tests_and_build_scripts() {
        let graph = Graph::of(&[("a", &["b", "~c"]), ("b", &["d", "~e"]), ("d", &["b"])]);
        let built = graph.built_into("a");
        assert_eq!(built.keys().copied().collect::<Vec<_>>(), ["a", "b", "d"]);
        assert_eq!(built["d"], ["a", "b", "d"]);
    }

    #[test]
    fn users_are_named_per_version() {
        let graph = Graph::of(&[("a", &["x 1.0.0"]), ("b", &["x 2.0.0"]), ("c", &["~x 1.0.0"])]);
        assert_eq!(graph.users_of("x 1.0.0"), BTreeSet::from(["a", "c"]));
    }

    #[test]
    fn this_workspace_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let graph = Graph::read(root).unwrap();
        assert!(graph.has_member("xtask") && graph.has_member("proto"));
        let built = graph.built_into("xtask");
        assert!(built.contains_key("serde_json") && !built.contains_key("tempfile"), "{built:?}");
    }
}
