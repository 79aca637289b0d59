//! The dependency graph as the rules see it: less than `cargo metadata` says, and easy to make up in
//! a test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

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
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .values()
            .filter(|package| package.manifest.is_some())
    }

    /// Whether a member has this name.
    pub fn has_member(&self, name: &str) -> bool {
        self.members().any(|member| member.name == name)
    }

    /// Everything built into a member, each with the path of names that leads to it.
    pub fn built_into(&self, member: &str) -> BTreeMap<&str, Vec<&str>> {
        let start = self
            .packages
            .iter()
            .find(|(_, package)| package.name == member);
        let mut paths: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut queue: Vec<(&str, Vec<&str>)> = start
            .map(|(id, _)| (id.as_str(), Vec::new()))
            .into_iter()
            .collect();
        let mut seen = BTreeSet::new();
        while let Some((id, path)) = queue.pop() {
            if !seen.insert(id) {
                continue;
            }
            let package = &self.packages[id];
            let path = [path, vec![package.name.as_str()]].concat();
            let normal = package
                .edges
                .iter()
                .filter(|edge| edge.purpose == Purpose::Normal);
            queue.extend(normal.map(|edge| (edge.to.as_str(), path.clone())));
            paths.insert(&package.name, path);
        }
        paths
    }

    /// Names of the crates that use this one directly.
    pub fn users_of(&self, id: &str) -> BTreeSet<&str> {
        let uses = |package: &&Package| package.edges.iter().any(|edge| edge.to == id);
        self.packages
            .values()
            .filter(uses)
            .map(|package| package.name.as_str())
            .collect()
    }
}

#[cfg(test)]
impl Graph {
    /// A graph of crates `name version`, each with what it uses, for tests of rules. A use that
    /// begins with `~` is for tests or build scripts. Crates that are only used exist too.
    pub fn of(packages: &[(&str, &[&str])]) -> Self {
        let mut graph = Self {
            packages: BTreeMap::new(),
        };
        for (id, uses) in packages {
            let used = |named: &&str| named.trim_start_matches('~').to_owned();
            for id in uses.iter().map(used) {
                graph
                    .packages
                    .entry(id.clone())
                    .or_insert_with(|| plain(&id));
            }
            let mut package = plain(id);
            package.declared = uses.iter().map(|named| plain(&used(named)).name).collect();
            package.edges = uses
                .iter()
                .map(|named| Edge {
                    to: used(named),
                    purpose: if named.starts_with('~') {
                        Purpose::Aside
                    } else {
                        Purpose::Normal
                    },
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
        let graph = Graph::of(&[
            ("a", &["x 1.0.0"]),
            ("b", &["x 2.0.0"]),
            ("c", &["~x 1.0.0"]),
        ]);
        assert_eq!(graph.users_of("x 1.0.0"), BTreeSet::from(["a", "c"]));
    }
}
