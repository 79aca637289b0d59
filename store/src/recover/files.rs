//! The files of a store's directory: which hint files are sound, which base segments there are.

use super::{aside::Why, identity::Identity, replay::Hurt};
use crate::{
    body::{Body, Facts},
    disk::Disk,
    error::OpenError,
    hint::{HintFile, HintRow},
    place::{Order, Place, Slot, key_check},
    preface::BasePreface,
    segment::{
        Damage, FILE_HEADER_BYTES, FileHeader, Group, Known, Scanned, Segment, SegmentId,
        parse_name, scan_all,
    },
    snapshot::CARRIED,
    store::Store,
};
use proto::{id::ShardId, record::RecordView};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

/// Sound hint files by segment.
pub(super) struct Hints(BTreeMap<SegmentId, Arc<HintFile>>);

/// What opening base segments found.
#[derive(Default)]
pub(super) struct Bases {
    pub(super) damage: Vec<Damage>,
    /// What of shards' rows was lost.
    pub(super) hurts: Vec<Hurt>,
    /// Files that no longer count, to be put aside once the log says what was lost with them.
    pub(super) aside: Vec<(SegmentId, Why)>,
}

impl Hints {
    pub(super) fn known(&self, segment: &Segment) -> Option<Known> {
        let span = self.0.get(&segment.id)?.span;
        Some(Known {
            end: span.end,
            last_group: span.last_group,
        })
    }

    fn get(&self, segment: SegmentId) -> Option<Arc<HintFile>> {
        self.0.get(&segment).cloned()
    }
}

/// Opens all hint files. One that is not sound is left out: its segment is read instead.
pub(super) fn open_hints(disk: &dyn Disk, directory: &str) -> Result<Hints, OpenError> {
    let while_doing = OpenError::while_doing;
    let mut hints = BTreeMap::new();
    for name in disk
        .list(directory)
        .map_err(while_doing("listing the store"))?
    {
        let Some((id, "hint")) = parse_name(&name) else {
            continue;
        };
        let hint = HintFile::open(disk, &format!("{directory}/{name}"))
            .map_err(while_doing("reading a hint file"))?;
        let Some(hint) = hint.filter(|hint| hint.span.segment == id.0) else {
            continue;
        };
        if hint
            .is_sound()
            .map_err(while_doing("reading a hint file"))?
        {
            hints.insert(id, Arc::new(hint));
        }
    }
    Ok(Hints(hints))
}

/// Gives each log segment a slot.
pub(super) fn add_log_bodies(
    store: &Store,
    segments: &[(Arc<Segment>, Known)],
    hints: &Hints,
) -> Vec<Arc<Body>> {
    let add = |(segment, known): &(Arc<Segment>, Known)| {
        let hint = hints.get(segment.id);
        let has_cuts = hint.as_ref().is_some_and(|hint| !hint.cuts.is_empty());
        let facts = Facts {
            end: Some(known.end),
            last_group: known.last_group,
            has_cuts,
            hint,
            ..Facts::default()
        };
        store
            .bodies
            .add(|slot| Body::new(slot, Arc::clone(segment), false, facts))
    };
    segments.iter().map(add).collect()
}

/// Opens the base segments and gives each a slot. One without a hint file is read through.
pub(super) fn open_bases(
    store: &Store,
    hints: &Hints,
    identity: &Identity,
) -> Result<Bases, OpenError> {
    let while_doing = OpenError::while_doing;
    let disk = store.directory.disk();
    let names = disk
        .list(&store.settings.directory)
        .map_err(while_doing("listing the store"))?;
    let mut bases = Bases::default();
    for (id, extension) in names
        .iter()
        .filter_map(|name| parse_name(name))
        .filter(|(_, kind)| *kind == "base")
    {
        let path = store.directory.path(id, extension);
        let segment = Segment::open(disk.as_ref(), path.clone())?.filter(|found| found.id == id);
        let segment = match segment {
            Some(foreign) if !identity.owns(&foreign.header) => {
                bases.aside.push((id, Why::Former));
                continue;
            }
            Some(segment) => segment,
            None if identity.begins => {
                bases.aside.push((id, Why::Former));
                continue;
            }
            None => match without_header(store, id, path, hints, &mut bases)? {
                Some(segment) => segment,
                None => continue,
            },
        };
        let segment = Arc::new(segment);
        let hint = hints.get(id);
        let is_hinted = hint.is_some();
        let facts = Facts {
            end: Some(segment.size_bytes()),
            last_group: segment.header.born_after,
            hint,
            ..Facts::default()
        };
        let body = store
            .bodies
            .add(|slot| Body::new(slot, Arc::clone(&segment), true, facts));
        if !is_hinted {
            read_base(store, &body, &mut bases).map_err(while_doing("reading a base segment"))?;
        }
    }
    Ok(bases)
}

/// A base segment was published whole, so rot took its header. With a hint file that says all of it
/// nothing is lost: records guard themselves, and the header is written again. Without one nothing says
/// when its rows were copied, so the shards that have rows in it need a new copy.
fn without_header(
    store: &Store,
    id: SegmentId,
    path: String,
    hints: &Hints,
    bases: &mut Bases,
) -> Result<Option<Segment>, OpenError> {
    let while_doing = OpenError::while_doing;
    bases.damage.push(Damage {
        segment: id,
        from: 0,
        to: FILE_HEADER_BYTES,
    });
    let file = store.directory.disk().open(&path);
    let file = file.map_err(while_doing("opening a segment"))?;
    let size_bytes = file.size_bytes();
    let size_bytes = size_bytes.map_err(while_doing("measuring a segment"))?;
    let hint = hints.get(id).filter(|hint| hint.span.end <= size_bytes);
    let born_after = hint.as_ref().map_or(u64::MAX, |hint| hint.span.born_after);
    let header = FileHeader::of_base(id, born_after, store.directory.owner());
    let segment = Segment::opened(header, path, size_bytes, file);
    if hint.is_some() {
        let restored = segment.restore_header();
        restored.map_err(while_doing("writing a segment's header again"))?;
        return Ok(Some(segment));
    }
    let whose =
        shards_in(store, Arc::new(segment)).map_err(while_doing("reading a base segment"))?;
    let hurt = |shard| Hurt {
        shard,
        through_group: u64::MAX,
    };
    match whose {
        Some(shards) => bases
            .hurts
            .extend(shards.into_iter().map(|shard| hurt(Some(shard)))),
        None => bases.hurts.push(hurt(None)),
    }
    bases.aside.push((id, Why::Rotten));
    Ok(None)
}

/// The shards that have rows in a base segment; none where a part of it cannot be read.
fn shards_in(store: &Store, segment: Arc<Segment>) -> io::Result<Option<BTreeSet<ShardId>>> {
    let facts = Facts::default();
    let unplaced = Body::new(Slot(0), Arc::clone(&segment), true, facts);
    let mut shards = BTreeSet::new();
    let rotten = scan_all(
        &segment,
        &|group| base_rows(store, &unplaced, group).is_some(),
        &mut |scanned| {
            if let Scanned::Group(_, group) = scanned
                && let Ok(preface) = BasePreface::decode(group.preface())
            {
                shards.insert(preface.shard);
            }
        },
    )?;
    Ok((rotten.is_empty() && !shards.is_empty()).then_some(shards))
}

/// Collects a base segment's rows from the segment itself.
fn read_base(store: &Store, body: &Arc<Body>, bases: &mut Bases) -> io::Result<()> {
    let mut rows = Vec::new();
    let mut hurt = Vec::new();
    let rotten = scan_all(
        &body.segment,
        &|group| base_rows(store, body, group).is_some(),
        &mut |scanned| match scanned {
            Scanned::Group(_, group) => {
                rows.extend(base_rows(store, body, &group).into_iter().flatten());
            }
            Scanned::Damaged(_, group) => hurt.push(
                BasePreface::decode(group.preface())
                    .ok()
                    .map(|preface| preface.shard),
            ),
        },
    )?;
    if rotten.len() > hurt.len() {
        hurt.push(None);
    }
    let through_group = body.segment.header.born_after;
    bases.hurts.extend(hurt.into_iter().map(|shard| Hurt {
        shard,
        through_group,
    }));
    bases.damage.extend(rotten.iter().map(|&(from, to)| Damage {
        segment: body.segment.id,
        from,
        to,
    }));
    let mut facts = body.facts.lock();
    facts.content.rows = rows;
    facts.content.settle();
    Ok(())
}

/// The rows of a base segment's group, if all its records are sound.
fn base_rows(store: &Store, body: &Body, group: &Group) -> Option<Vec<HintRow>> {
    let preface = BasePreface::decode(group.preface()).ok()?;
    let mut rows = Vec::with_capacity(preface.hashes.len());
    let mut at = 0;
    for hash in preface.hashes {
        let record = RecordView::parse(group.payload().get(at..)?).ok()?;
        record.verify().ok()?;
        rows.push(HintRow {
            shard: preface.shard,
            hash,
            place: Place::of(&record, body.slot, group.payload_offset() + at as u64),
            order: Order::new(
                record.version().event_time,
                store.view_number(record.view()),
            ),
            position: record.position(),
            check: key_check(record.key()),
        });
        at += record.bytes().len();
    }
    (at == group.payload().len()).then_some(rows)
}

/// Deletes what a crash left half-made, and hint files whose segments are gone.
pub(super) fn delete_orphans(store: &Store) -> Result<(), OpenError> {
    let disk = store.directory.disk();
    let names = disk
        .list(&store.settings.directory)
        .map_err(OpenError::while_doing("listing the store"))?;
    let segments: BTreeSet<_> = store
        .bodies
        .all()
        .iter()
        .map(|body| body.segment.id)
        .collect();
    let carried: BTreeSet<_> = store
        .all_shards()
        .iter()
        .filter_map(|shard| Some(SegmentId(shard.rows.read().state.carried?.file)))
        .collect();
    for name in &names {
        let orphan = match parse_name(name) {
            Some((_, "new" | "hint-new")) => true,
            Some((id, "hint")) => !segments.contains(&id),
            Some((id, CARRIED)) => !carried.contains(&id),
            _ => false,
        };
        if orphan {
            let path = format!("{}/{name}", store.settings.directory);
            disk.delete(&path)
                .map_err(OpenError::while_doing("deleting a file"))?;
        }
    }
    Ok(())
}
