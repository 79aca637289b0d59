//! What a node is asked for.

use super::{Version, put_length, put_token, take_token};
use crate::server::{
    fetch::{
        layouts::{Layouts, NotOfSchema},
        own::Asked,
    },
    frames::{opened, sealed},
};
use bytes::Bytes;
use gateway::{
    edge::Deadline,
    lookup::{
        fetch::{Fetch, GroupRead, KeyBatch},
        layout::Layout,
    },
    trace::Trace,
};
use proto::{
    codec::{Malformed, Reader},
    id::{ClusterId, EntityId, FeatureId, ProjectId, Revision, SchemaVersion, ShardId, ViewId},
    key::Key,
    limits::KEY_BYTES,
    schema::Schemas,
};
use std::{sync::Arc, time::Duration};

/// A request as the callee reads it.
pub struct Taken {
    /// What it is asked for, of the views that it knows.
    pub asked: Asked,
    /// For each view of each group, whether its schema is known here.
    pub is_known: Vec<Vec<bool>>,
    /// The version of the answer that the caller reads.
    pub version: Version,
}

/// The bytes of a request.
#[must_use]
pub fn encode_request(asked: &Asked, (version, cluster): (Version, ClusterId)) -> Bytes {
    let fetch = &asked.fetch;
    let mut out = opened(
        version as u16,
        256 + fetch.groups.iter().map(size_bytes).sum::<usize>(),
    );
    out.extend(fetch.project.0.to_le_bytes());
    out.extend(fetch.revision.0.to_le_bytes());
    out.extend((asked.wait.as_micros() as u64).to_le_bytes());
    out.push(u8::from(fetch.trace.is_some()));
    out.extend(fetch.trace.iter().flat_map(|trace| trace.bytes()));
    put_token(&asked.token, cluster, &mut out);
    out.extend((asked.places.len() as u16).to_le_bytes());
    asked
        .shards()
        .for_each(|shard| out.extend(shard.0.to_le_bytes()));
    out.extend((fetch.groups.len() as u16).to_le_bytes());
    for (group, keys) in fetch.groups.iter().zip(asked.wanted.groups()) {
        out.extend(group.entity.0.to_le_bytes());
        out.extend((group.views.len() as u16).to_le_bytes());
        put_length(keys.len(), &mut out);
        group
            .views
            .iter()
            .for_each(|layout| put_layout(layout, &mut out));
        for key in keys {
            let place = asked
                .places
                .binary_search(&group.places[*key as usize])
                .expect("only keys of the shards asked for are wanted");
            let bytes = group.keys.get(*key as usize);
            out.extend((place as u16).to_le_bytes());
            out.extend((bytes.len() as u16).to_le_bytes());
            out.extend_from_slice(bytes);
        }
    }
    sealed(out)
}

fn size_bytes(group: &GroupRead) -> usize {
    let features = group.views.iter().map(|layout| layout.columns().len());
    8 + group.keys.joined().0.len() + 4 * group.keys.len() + 2 * features.sum::<usize>()
}

fn put_layout(layout: &Layout, out: &mut Vec<u8>) {
    out.extend(layout.view().0.to_le_bytes());
    out.extend(layout.schema().version().0.to_le_bytes());
    out.extend((layout.columns().len() as u16).to_le_bytes());
    for column in layout.columns() {
        out.extend(column.feature.0.to_le_bytes());
    }
}

fn take_trace(reader: &mut Reader<'_>) -> Result<Option<Trace>, Malformed> {
    match reader.u8()? {
        0 => Ok(None),
        1 => {
            let bytes = reader.take(Trace::BYTES)?;
            let bytes = bytes.try_into().expect("as many were taken");
            Ok(Some(Trace::from_bytes(bytes)))
        }
        _ => Err(reader.malformed("it says neither that it has a trace nor that it has none")),
    }
}

/// Reads a request.
pub fn decode_request(
    bytes: &[u8],
    cluster: ClusterId,
    layouts: &Layouts<impl Schemas>,
) -> Result<Taken, Malformed> {
    let (version, mut reader) = Version::check(bytes, "request for rows")?;
    let project = ProjectId(reader.u32()?);
    let revision = Revision(reader.u64()?);
    let wait = Duration::from_micros(reader.u64()?);
    let trace = take_trace(&mut reader)?;
    let token = take_token(&mut reader, cluster)?;
    let shards = (0..reader.u16()?).map(|_| reader.u16().map(ShardId));
    let shards: Vec<ShardId> = shards.collect::<Result<_, _>>()?;
    let (mut groups, mut is_known) = (Vec::new(), Vec::new());
    for _ in 0..reader.u16()? {
        let (group, known) = take_group(&mut reader, project, shards.len(), layouts)?;
        groups.push(group);
        is_known.push(known);
    }
    reader.finish()?;
    let fetch = Arc::new(Fetch {
        project,
        revision,
        shards,
        groups,
        token: Bytes::new(),
        max_staleness: None,
        deadline: Deadline(u64::MAX),
        trace,
    });
    Ok(Taken {
        asked: Asked::all(&fetch, &token, wait),
        is_known,
        version,
    })
}

fn take_group(
    reader: &mut Reader<'_>,
    project: ProjectId,
    shards: usize,
    layouts: &Layouts<impl Schemas>,
) -> Result<(GroupRead, Vec<bool>), Malformed> {
    let entity = EntityId(reader.u32()?);
    let views = reader.u16()?;
    let keys = reader.u32()?;
    let mut group = GroupRead {
        entity,
        keys: KeyBatch::default(),
        hashes: Vec::new(),
        places: Vec::new(),
        views: Vec::new(),
    };
    let mut is_known = Vec::new();
    for _ in 0..views {
        let layout = take_layout(reader, layouts)?;
        is_known.push(layout.is_some());
        group.views.extend(layout);
    }
    for _ in 0..keys {
        let place = reader.u16()?;
        let length = usize::from(reader.u16()?);
        if usize::from(place) >= shards || length > KEY_BYTES {
            return Err(reader.malformed("a key lies in no shard, or is too long"));
        }
        let key = Key::from_canonical(reader.take(length)?);
        group.hashes.push(key.hash(project, entity));
        group.keys.push(&key);
        group.places.push(place);
    }
    Ok((group, is_known))
}

/// A view's columns; none where this node does not know its schema.
fn take_layout(
    reader: &mut Reader<'_>,
    layouts: &Layouts<impl Schemas>,
) -> Result<Option<Arc<Layout>>, Malformed> {
    let (view, version) = (ViewId(reader.u32()?), SchemaVersion(reader.u16()?));
    let features = (0..reader.u16()?).map(|_| reader.u16().map(FeatureId));
    let features: Vec<FeatureId> = features.collect::<Result<_, _>>()?;
    if features.is_empty() || !features.is_sorted_by(|a, b| a < b) {
        return Err(reader.malformed("a view's features do not rise"));
    }
    layouts
        .get((view, version, features))
        .map_err(|NotOfSchema| reader.malformed("a feature is none of its schema"))
}
