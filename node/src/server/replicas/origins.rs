//! The regions whose writes an answer may lack. Pure.
//!
//! An answer says how old it can be towards each region that may write the views it reads: one that holds
//! them, and of which something may still come. Regions that are evacuated, lost or decommissioned are
//! left out.

use crate::server::fetch::Version;
use gateway::lookup::fetch::Fetch;
use proto::id::RegionId;
use raft::registry::Catalog;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// The name of the region that answers.
    pub own: String,
    /// The others, in the order of their ids.
    pub others: Vec<(RegionId, String)>,
}

impl Origins {
    /// Those of what a lookup reads. A view that is not known any more may have been held anywhere.
    #[must_use]
    pub fn of(fetch: &Fetch, catalog: &Catalog, (own, name): (RegionId, String)) -> Self {
        let regions = catalog.registry().regions.values();
        let others = regions.filter(|region| region.id != own && region.state.may_write());
        let holds = |region: RegionId| {
            let layouts = fetch.groups.iter().flat_map(|group| &group.views);
            let mut views = layouts.map(|layout| catalog.view(layout.view()));
            views.any(|view| view.is_none_or(|view| view.holders.contains(&region)))
        };
        let others = others.filter(|region| holds(region.id));
        Self {
            own: name,
            others: others
                .map(|region| (region.id, region.settings.name.to_string()))
                .collect(),
        }
    }

    /// What nodes must be asked for.
    #[must_use]
    pub fn version(&self) -> Version {
        match self.others.is_empty() {
            true => Version::OwnAges,
            false => Version::AllAges,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use gateway::{
        edge::Deadline,
        lookup::{
            fetch::{GroupRead, KeyBatch},
            layout::Layout,
        },
    };
    use proto::{
        id::{ClusterId, EntityId, FeatureId, ProjectId, Revision, ViewId},
        schema::{Column, RowSchema},
        shard::{ShardHash, Sharding},
    };
    use raft::registry::{Registry, RegistryCommand, Request, parse_yaml, region};
    use region::RegionState::{self, Decommissioned, Draining, Evacuated, Lost};
    use std::sync::Arc;

    const DEFINITIONS: &str = "
project: shop
entities:
  - { name: customer, keys: [{ name: id, type: int64 }] }
views:
  - { name: all, entity: customer, features: [{ name: a, type: int64 }] }
  - { name: near, entity: customer, regions: [eu, us], features: [{ name: a, type: int64 }] }
  - { name: home, entity: customer, regions: [eu], features: [{ name: a, type: int64 }] }
";

    fn founding(regions: &[&str]) -> Request {
        let region = |name: &&str| region::RegionSettings {
            name: name.parse().unwrap(),
            copies: 1,
            min_in_sync: 1,
            durability: region::Durability::Fsync,
            kafka: None,
            objects: None,
        };
        let sharding = Sharding {
            shards: 4,
            seed: 1,
            algorithm: ShardHash::Xxh3Multiply,
        };
        Request::Found {
            founding: region::Founding {
                cluster: ClusterId(1),
                name: "test".into(),
                sharding,
                transport: region::Transport::Direct,
                max_offset_millis: 500,
                max_future_millis: 300_000,
            },
            regions: regions.iter().map(region).collect(),
            security: None,
        }
    }

    /// A cluster of these regions, of which some have gone through a part of their lives.
    fn catalog(regions: &[&str], lives: &[(u16, &[RegionState])]) -> Catalog {
        let definitions = match regions.len() {
            3 => DEFINITIONS.to_owned(),
            _ => DEFINITIONS.replace(", regions: [eu, us]", ""),
        };
        let apply = Request::Apply {
            definitions: parse_yaml("test.yaml", &definitions).unwrap(),
            prune: false,
            expect_revision: None,
            breaking: Default::default(),
        };
        let mut requests = vec![founding(regions), apply];
        for (region, states) in lives {
            // A region of several begins as joining.
            let mut from = RegionState::Joining;
            for to in [&[RegionState::Active], *states].concat() {
                let region = RegionId(*region);
                requests.push(Request::SetRegionState { region, from, to });
                from = to;
            }
        }
        let mut registry = Registry::default();
        for request in requests {
            let outcome = registry.apply(RegistryCommand {
                author: "test".into(),
                at_millis: 1,
                request,
            });
            let text = format!("{outcome:?}");
            assert!(text.starts_with("Done"), "{text}");
        }
        Catalog::of(&registry, &Catalog::default())
    }

    fn fetch(views: &[ViewId]) -> Fetch {
        let layout = |view: &ViewId| {
            let columns = vec![Column::of("int64".parse().unwrap())];
            let schema = RowSchema::new(*view, proto::id::SchemaVersion(1), columns);
            Arc::new(Layout::new(Arc::new(schema), [FeatureId(0)]))
        };
        let group = GroupRead {
            entity: EntityId(1),
            keys: KeyBatch::default(),
            hashes: Vec::new(),
            places: Vec::new(),
            views: views.iter().map(layout).collect(),
        };
        Fetch {
            project: ProjectId(1),
            revision: Revision(1),
            shards: Vec::new(),
            groups: vec![group],
            token: Bytes::new(),
            max_staleness: None,
            deadline: Deadline(0),
            trace: None,
        }
    }

    #[track_caller]
    fn check(catalog: &Catalog, views: &[&str], expected: &[(u16, &str)]) {
        let id = |name: &&str| {
            let mut views = catalog.views();
            let found = views.find(|view| view.view.name.as_str() == *name);
            found.map_or(ViewId(900), |found| found.view.id)
        };
        let views: Vec<ViewId> = views.iter().map(id).collect();
        let origins = Origins::of(&fetch(&views), catalog, (RegionId(1), "eu".into()));
        let expected = expected.iter();
        let expected: Vec<(RegionId, String)> = expected
            .map(|(id, name)| (RegionId(*id), (*name).to_owned()))
            .collect();
        assert_eq!((origins.own.as_str(), origins.others), ("eu", expected));
    }

    #[test]
    fn the_regions_that_hold_one_of_the_views_count() {
        let catalog = catalog(&["eu", "us", "ap"], &[]);
        let (us, ap) = ((2, "us"), (3, "ap"));
        check(&catalog, &["all"], &[us, ap]);
        check(&catalog, &["near"], &[us]);
        check(&catalog, &["home"], &[]);
        check(&catalog, &["home", "near", "all"], &[us, ap]);
        check(&catalog, &["home", "one that was removed"], &[us, ap]);
    }

    #[test]
    fn regions_of_which_nothing_more_comes_do_not_count() {
        let regions = ["eu", "us", "ap"];
        let lives: &[(u16, &[RegionState])] = &[(2, &[Draining]), (3, &[Lost])];
        check(&catalog(&regions, lives), &["all"], &[(2, "us")]);
        let lives: &[(u16, &[RegionState])] =
            &[(2, &[Draining, Evacuated]), (3, &[Lost, Decommissioned])];
        check(&catalog(&regions, lives), &["all"], &[]);
    }

    #[test]
    fn a_region_by_itself_asks_for_no_other_ages() {
        let catalog = catalog(&["eu"], &[]);
        check(&catalog, &["all", "home"], &[]);
        let alone = Origins::of(&fetch(&[]), &catalog, (RegionId(1), "eu".into()));
        assert_eq!(alone.version(), Version::OwnAges);
    }
}
