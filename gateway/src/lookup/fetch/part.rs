//! What one replica answered with, and the check that it fits what was asked for: a wrong shape must
//! never become a wrong value.

use super::{Fetch, GroupRead};
use crate::lookup::staging::{Exception, Staging};

/// The rows of one node: of each shard that it answered for, all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// For each group of the fetch, what this part has of it.
    pub groups: Vec<GroupRows>,
}

/// Some keys of one group with all their views.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRows {
    /// Which keys of the group, rising.
    pub keys: Vec<u32>,
    /// A row for each of these keys, by view in the group's order.
    pub views: Vec<Staging>,
}

impl Part {
    /// Lets only the rows of some shards stay; `is_kept` is asked by place in [`Fetch::shards`].
    pub fn keep(&mut self, fetch: &Fetch, mut is_kept: impl FnMut(u16) -> bool) {
        for (rows, group) in self.groups.iter_mut().zip(&fetch.groups) {
            let kept: Vec<bool> = rows
                .keys
                .iter()
                .map(|key| is_kept(group.places[*key as usize]))
                .collect();
            if kept.iter().all(|kept| *kept) {
                continue;
            }
            let mut of_keys = kept.iter();
            rows.keys
                .retain(|_| *of_keys.next().expect("one for each key"));
            for staging in &mut rows.views {
                staging.keep_rows(&kept);
            }
        }
    }

    /// The places of the shards of which at least one row could not be read here.
    #[must_use]
    pub fn unreadable(&self, fetch: &Fetch) -> Vec<u16> {
        let mut places = Vec::new();
        for (rows, group) in self.groups.iter().zip(&fetch.groups) {
            let exceptions = rows.views.iter().flat_map(Staging::exceptions);
            let unavailable = exceptions
                .filter(|(_, exception)| *exception == Exception::Unavailable)
                .map(|(row, _)| group.places[rows.keys[*row as usize] as usize]);
            places.extend(unavailable);
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether this answers a part of `fetch`: its shape, not its content.
    #[must_use]
    pub fn fits(&self, fetch: &Fetch) -> bool {
        self.groups.len() == fetch.groups.len()
            && self
                .groups
                .iter()
                .zip(&fetch.groups)
                .all(|(rows, group)| rows.fits(group))
    }
}

impl GroupRows {
    fn fits(&self, group: &GroupRead) -> bool {
        let in_group = |key: &u32| (*key as usize) < group.keys.len();
        self.keys.is_sorted_by(|a, b| a < b)
            && self.keys.last().is_none_or(in_group)
            && self.views.len() == group.views.len()
            && self
                .views
                .iter()
                .zip(&group.views)
                .all(|(staging, layout)| {
                    staging.layout() == layout && staging.rows() == self.keys.len()
                })
    }
}

/// Parts that fit, and by group the keys that none of them has.
#[derive(Debug)]
pub struct Rows {
    pub parts: Vec<Part>,
    pub missing: Vec<Vec<u32>>,
}

/// Drops parts that do not fit, or that answer a key a second time.
pub fn fit(mut parts: Vec<Part>, fetch: &Fetch) -> Rows {
    let mut has: Vec<Vec<bool>> = fetch
        .groups
        .iter()
        .map(|group| vec![false; group.keys.len()])
        .collect();
    parts.retain(|part| {
        let fits = part.fits(fetch) && is_new(part, &has);
        if fits {
            note(part, &mut has);
        } else {
            tracing::error!("a replica's rows do not fit what was asked for");
        }
        fits
    });
    let missing = has.iter().map(|has| missing_of(has)).collect();
    Rows { parts, missing }
}

fn is_new(part: &Part, has: &[Vec<bool>]) -> bool {
    let mut groups = part.groups.iter().zip(has);
    groups.all(|(rows, has)| !rows.keys.iter().any(|key| has[*key as usize]))
}

fn note(part: &Part, has: &mut [Vec<bool>]) {
    for (rows, has) in part.groups.iter().zip(has) {
        rows.keys.iter().for_each(|key| has[*key as usize] = true);
    }
}

fn missing_of(has: &[bool]) -> Vec<u32> {
    let missing = has.iter().zip(0..).filter(|(has, _)| !**has);
    missing.map(|(_, key)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edge::Deadline,
        lookup::{fetch::KeyBatch, layout::Layout},
    };
    use proto::{
        id::{EntityId, FeatureId, ProjectId, Revision, SchemaVersion, ShardId, ViewId},
        key::{Key, KeyHash},
        schema::{Column, RowSchema},
        time::EventTime,
    };
    use std::sync::Arc;

    /// Two groups: three keys in shards 7, 9, 7, and one key in shard 9.
    fn fetch() -> Fetch {
        let columns = vec![Column::of("int64".parse().unwrap())];
        let schema = Arc::new(RowSchema::new(ViewId(1), SchemaVersion(1), columns));
        let layout = Arc::new(Layout::new(schema, [FeatureId(0)]));
        let group = |entity, places: &[u16]| {
            let mut keys = KeyBatch::default();
            for number in 0..places.len() as i64 {
                let mut key = Key::new();
                key.push_number(number).unwrap();
                keys.push(&key);
            }
            GroupRead {
                entity: EntityId(entity),
                keys,
                hashes: vec![KeyHash(0); places.len()],
                places: places.to_vec(),
                views: vec![Arc::clone(&layout)],
            }
        };
        Fetch {
            project: ProjectId(1),
            revision: Revision(1),
            shards: vec![ShardId(7), ShardId(9)],
            groups: vec![group(1, &[0, 1, 0]), group(2, &[1])],
            token: bytes::Bytes::new(),
            max_staleness: None,
            deadline: Deadline(0),
            trace: None,
        }
    }

    /// Rows whose value and time is their key's number.
    fn rows(fetch: &Fetch, group: usize, keys: &[u32]) -> GroupRows {
        let layout = Arc::clone(&fetch.groups[group].views[0]);
        let mut staging = Staging::with_capacity(layout, keys.len());
        for key in keys {
            staging.push_runs(
                &u64::from(*key).to_le_bytes(),
                EventTime::saturating(u64::from(*key)),
            );
        }
        GroupRows {
            keys: keys.to_vec(),
            views: vec![staging],
        }
    }

    fn part(fetch: &Fetch, first: &[u32], second: &[u32]) -> Part {
        Part {
            groups: vec![rows(fetch, 0, first), rows(fetch, 1, second)],
        }
    }

    #[test]
    fn keys_that_no_part_has_are_missing() {
        let fetch = fetch();
        let rows = fit(vec![part(&fetch, &[0, 2], &[])], &fetch);
        assert_eq!(rows.parts.len(), 1);
        assert_eq!(rows.missing, [vec![1], vec![0]]);
        let both = vec![part(&fetch, &[1], &[0]), part(&fetch, &[0, 2], &[])];
        assert_eq!(fit(both, &fetch).missing, [vec![], Vec::<u32>::new()]);
    }

    #[test]
    fn parts_of_a_wrong_shape_are_dropped_whole() {
        let fetch = fetch();
        let good = part(&fetch, &[0, 2], &[]);
        let mut wrong = Vec::new();
        let mut breakage = |damage: &dyn Fn(&mut Part)| {
            let mut part = good.clone();
            damage(&mut part);
            wrong.push(part);
        };
        breakage(&|part| part.groups.truncate(1));
        breakage(&|part| part.groups[0].keys = vec![2, 0]);
        breakage(&|part| part.groups[0].keys = vec![0, 0]);
        breakage(&|part| part.groups[0].keys = vec![0, 3]);
        breakage(&|part| part.groups[0].keys = vec![0]);
        breakage(&|part| part.groups[0].views.clear());
        breakage(&|part| part.groups[0].views[0].push_absent());
        for part in wrong {
            let rows = fit(vec![part], &fetch);
            assert!(rows.parts.is_empty());
            assert_eq!(rows.missing, [vec![0, 1, 2], vec![0]]);
        }
    }

    #[test]
    fn a_key_is_answered_once() {
        let fetch = fetch();
        let parts = vec![part(&fetch, &[0], &[]), part(&fetch, &[0, 2], &[0])];
        let rows = fit(parts, &fetch);
        assert_eq!(rows.parts, [part(&fetch, &[0], &[])]);
        assert_eq!(rows.missing, [vec![1, 2], vec![0]]);
    }

    #[test]
    fn a_part_can_be_cut_down_to_some_shards() {
        let fetch = fetch();
        let mut cut = part(&fetch, &[0, 1, 2], &[0]);
        cut.groups[0].views[0] = {
            let mut staging = Staging::with_capacity(Arc::clone(&fetch.groups[0].views[0]), 3);
            staging.push_absent();
            staging.push_runs(&5_u64.to_le_bytes(), EventTime::saturating(5));
            staging.push_unavailable();
            staging
        };
        assert_eq!(cut.unreadable(&fetch), [0]);
        let mut other = cut.clone();
        cut.keep(&fetch, |place| place == 0);
        assert_eq!(cut.groups[0].keys, [0, 2]);
        let exceptions = [(0, Exception::Absent), (1, Exception::Unavailable)];
        assert_eq!(cut.groups[0].views[0].exceptions(), exceptions);
        assert!(cut.groups[1].keys.is_empty() && cut.fits(&fetch));
        other.keep(&fetch, |place| place == 1);
        assert_eq!(other.groups[0].keys, [1]);
        let staging = &other.groups[0].views[0];
        assert_eq!(staging.fixed(), 5_u64.to_le_bytes());
        assert_eq!(staging.times(), [EventTime::saturating(5)]);
        assert!(staging.exceptions().is_empty() && other.unreadable(&fetch).is_empty());
        assert_eq!(other.groups[1].keys, [0]);
    }
}
