//! What a replica knows in every role: itself, the configuration, its log, what is closed.

use crate::{
    closes::Closes,
    configuration::{Configuration, Fence, Member},
    context::Context,
    effect::{Broken, Effect},
    entry::Entry,
    log::Log,
    message::{Body, Message},
    planted::{Bug, Planted},
    replica::Identity,
};
use proto::{
    hlc::Hlc,
    id::{NodeId, Position},
};

/// A snapshot that is arriving. While it does, the log is empty and nothing is appended to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loading {
    pub(crate) fence: Fence,
    pub(crate) session: u32,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) me: Identity,
    pub(crate) configuration: Option<Configuration>,
    pub(crate) log: Log,
    pub(crate) closes: Closes,
    pub(crate) loading: Option<Loading>,
    /// The store lost something of this shard: it answers nothing until it starts from a snapshot.
    pub(crate) damaged: bool,
    pub(crate) planted: Planted,
}

impl Core {
    /// The fence of the newest configuration seen; before the first, one that all others exceed.
    pub(crate) fn fence(&self) -> Fence {
        self.configuration
            .as_ref()
            .map_or_else(Fence::default, |configuration| configuration.fence)
    }

    /// This replica as its configuration names it: by boot where durable means memory.
    pub(crate) fn member(&self) -> Member {
        let mut member = self.me.member();
        let known = |member: &Member| {
            let configuration = self.configuration.as_ref();
            configuration.is_some_and(|known| known.standing(*member).is_some())
        };
        if !known(&member) {
            member.boot = Some(self.me.boot);
            if !known(&member) {
                member.boot = None;
            }
        }
        member
    }

    /// The last position that counts as durable here, as the region understands it: on this disk, or
    /// written and in memory still.
    pub(crate) fn durable(&self) -> Position {
        let configuration = self.configuration.as_ref();
        if configuration.is_some_and(Configuration::counts_memory) {
            self.log.written()
        } else {
            self.log.synced()
        }
    }

    pub(crate) fn send(&self, to: NodeId, body: Body, effects: &mut Vec<Effect>) {
        if to == self.me.node {
            // A set may name an earlier disk of this very node, which will never answer.
            return;
        }
        let fence = self.fence();
        let message = Message { fence, body };
        effects.push(Effect::Send { to, message });
    }

    /// Appends one entry; the clock follows its stamp.
    pub(crate) fn append(
        &mut self,
        ctx: &mut Context<'_>,
        entry: Entry,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        let header = *entry.header();
        ctx.clock.observe(header.hlc);
        self.log.append(entry, ctx.budget, effects)?;
        if self.planted.has(Bug::EntryMovesClosedHlc) {
            self.closes.close(crate::closes::Close {
                placement: header.placement,
                incarnation: header.incarnation,
                sequence: header.sequence,
                hlc: header.hlc,
            });
        }
        Ok(())
    }

    /// Commits through `through` and gives what this committed.
    pub(crate) fn commit(
        &mut self,
        ctx: &mut Context<'_>,
        through: Position,
        effects: &mut Vec<Effect>,
    ) -> Vec<Entry> {
        self.log.commit(through, ctx.budget, effects)
    }

    /// Whether the promise to stamp above `hlc` outlives a crash: a restarted clock starts at its
    /// bound. Asks for a larger bound where it does not.
    pub(crate) fn promise(
        &self,
        ctx: &mut Context<'_>,
        hlc: Hlc,
        effects: &mut Vec<Effect>,
    ) -> bool {
        ctx.clock.observe(hlc);
        if ctx.clock.bound() > hlc || self.planted.has(Bug::PromiseNotPersisted) {
            return true;
        }
        effects.push(Effect::RaiseClockBound { above: hlc });
        false
    }
}
