//! The bytes of what replicas say to each other and of what a snapshot carries. Little endian, each
//! with a version first; the driver frames them and names the shard.
//!
//! Only layout: nothing is judged here but whether the bytes can be read. Entries' checksums are
//! compared while they are read.

mod base;
mod message;

pub use base::{decode_base, encode_base};
pub use message::{decode_message, encode_message};

use crate::{
    configuration::{Configuration, Fence, Member, Primary},
    entry::Mark,
};
use proto::{
    codec::{Malformed, Reader},
    id::{BootId, Epoch, Incarnation, NodeId, Position, Revision, StoreId},
};

/// The version that messages begin with.
const VERSION: u8 = 1;

fn check_version(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    match reader.u8()? {
        VERSION => Ok(()),
        _ => Err(reader.malformed("its version is not known here; update this node")),
    }
}

fn put_mark(out: &mut Vec<u8>, mark: Mark) {
    out.extend(mark.epoch.0.to_le_bytes());
    out.extend(mark.position.0.to_le_bytes());
}

fn mark(reader: &mut Reader<'_>) -> Result<Mark, Malformed> {
    Ok(Mark {
        epoch: Epoch(reader.u32()?),
        position: Position(reader.u64()?),
    })
}

fn put_fence(out: &mut Vec<u8>, fence: Fence) {
    out.extend(fence.incarnation.0.to_le_bytes());
    out.extend(fence.epoch.0.to_le_bytes());
}

fn fence(reader: &mut Reader<'_>) -> Result<Fence, Malformed> {
    Ok(Fence {
        incarnation: Incarnation(reader.u32()?),
        epoch: Epoch(reader.u32()?),
    })
}

fn put_member(out: &mut Vec<u8>, member: Member) {
    out.extend(member.node.0.to_le_bytes());
    out.extend(member.store.0.to_le_bytes());
    out.push(u8::from(member.boot.is_some()));
    out.extend(member.boot.unwrap_or_default().0.to_le_bytes());
}

fn member(reader: &mut Reader<'_>) -> Result<Member, Malformed> {
    let (node, store) = (NodeId(reader.u64()?), StoreId(reader.u64()?));
    let named = flag(reader)?;
    let boot = BootId(reader.u64()?);
    Ok(Member {
        node,
        store,
        boot: named.then_some(boot),
    })
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(reader.malformed("a flag is neither 0 nor 1")),
    }
}

fn put_configuration(out: &mut Vec<u8>, configuration: &Configuration) {
    put_fence(out, configuration.fence);
    out.extend(configuration.revision.0.to_le_bytes());
    out.extend(configuration.primary.node.0.to_le_bytes());
    out.extend(configuration.primary.boot.0.to_le_bytes());
    out.extend((configuration.min_in_sync as u32).to_le_bytes());
    out.extend((configuration.copies as u32).to_le_bytes());
    let lists = [
        &configuration.in_sync,
        &configuration.joining,
        &configuration.observing,
    ];
    for list in lists {
        out.extend((list.len() as u32).to_le_bytes());
        list.iter().for_each(|member| put_member(out, *member));
    }
}

fn configuration(reader: &mut Reader<'_>) -> Result<Configuration, Malformed> {
    let fence = fence(reader)?;
    let revision = Revision(reader.u64()?);
    let primary = Primary {
        node: NodeId(reader.u64()?),
        boot: BootId(reader.u64()?),
    };
    let (min_in_sync, copies) = (reader.u32()? as usize, reader.u32()? as usize);
    Ok(Configuration {
        fence,
        revision,
        primary,
        min_in_sync,
        copies,
        in_sync: members(reader)?,
        joining: members(reader)?,
        observing: members(reader)?,
    })
}

fn members(reader: &mut Reader<'_>) -> Result<Vec<Member>, Malformed> {
    let count = reader.u32()?;
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(member(reader)?);
    }
    Ok(members)
}
