//! Appending what is not a write: what came from other regions, and what is said to them.

use super::{
    Primary,
    open::{header, stamps},
};
use crate::{
    context::Context,
    core::Core,
    effect::{Broken, Effect},
    entry::Entry,
    remote::Remote,
};
use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind},
    id::PlacementId,
    record,
};

impl Primary {
    pub(super) fn append_remote(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        remote: Remote,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        if core.damaged || !self.is_open(core) {
            return Ok(());
        }
        let entry = remote_entry(core, remote);
        core.append(ctx, entry, effects)?;
        self.ship_to_all(core, ctx, effects);
        Ok(())
    }

    /// The next entry of a stream says that entries before it were given up.
    pub(super) fn append_skip(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        placement: PlacementId,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        let head = core.log.heads().get(placement);
        let sequence = head.map(|head| head.sequence.next());
        let (true, Some(sequence)) = (!core.damaged && self.is_open(core), sequence) else {
            return Ok(());
        };
        let Some(stamp) = stamps(ctx, 1, effects) else {
            return Ok(());
        };
        let header = header(core, EntryKind::Skip, placement, sequence, stamp);
        let entry = Entry::built(header, EntryBuilder::new(header));
        core.append(ctx, entry, effects)?;
        self.ship_to_all(core, ctx, effects);
        Ok(())
    }
}

fn remote_entry(core: &Core, remote: Remote) -> Entry {
    let Remote {
        kind,
        origin,
        placement,
        reached,
        hlc,
        position,
        extras,
        rows,
    } = remote;
    let own = header(core, kind, placement, reached.sequence, hlc);
    let header = EntryHeader {
        origin,
        // Of the stream, not of this log.
        incarnation: if kind == EntryKind::Remote {
            reached.incarnation
        } else {
            own.incarnation
        },
        link_position: position,
        ..own
    };
    let mut builder = if extras.is_empty() {
        EntryBuilder::new(header)
    } else {
        EntryBuilder::with_extras(header, &extras)
    };
    for mut row in rows {
        record::seal(&mut row.bytes, header.position);
        builder.push(&row.bytes);
    }
    Entry::built(header, builder)
}
