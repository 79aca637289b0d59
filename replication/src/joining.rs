//! A joiner or observer: it follows like a backup, but no commit waits for it until the primary
//! takes it in, and it may start empty from a snapshot.
//!
//! Dropping a log is dangerous: acknowledgements given from it may still count. So a snapshot is
//! taken only under a session that the primary opened for this very run, and only once; the
//! primary counts nothing acknowledged under earlier sessions.

use crate::{
    configuration::Fence,
    context::Context,
    core::{Core, Loading},
    effect::{Broken, Effect},
    entry::Mark,
    event::Event,
    follow::Following,
    message::{Append, Body},
    replica::RoleName,
};
use proto::id::{BootId, Position};

#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) following: Following,
    /// Joining, or observing.
    pub(crate) name: RoleName,
    /// Its log is of an earlier incarnation, or damaged: it may not even be compared.
    pub(crate) unusable: bool,
}

impl Joining {
    pub(crate) fn new(core: &Core, following: Following, name: RoleName) -> Self {
        let unusable = is_unusable(core);
        Self {
            following,
            name,
            unusable,
        }
    }

    pub(crate) fn step(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        event: Event,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        match event {
            Event::Message { message, .. } => {
                return self.on_message(core, ctx, message.body, effects);
            }
            Event::Durable { .. } | Event::Written { .. } if !self.unusable => {
                self.following.on_durable(core, ctx, effects);
            }
            Event::ClockRaised if !self.unusable => self.following.promise(core, ctx, effects),
            Event::SnapshotBegun {
                fence,
                boot,
                session,
            } => self.begin(core, ctx, fence, boot, session, effects),
            Event::SnapshotInstalled { .. } => self.go_on(core, effects),
            Event::StoreDamaged => self.unusable = true,
            Event::Durable { .. }
            | Event::Written { .. }
            | Event::ClockRaised
            | Event::Configuration(_)
            | Event::Write(_)
            | Event::Remote(_)
            | Event::Skip(_)
            | Event::LogRead { .. }
            | Event::SnapshotEnded { .. }
            | Event::SnapshotAborted
            | Event::PeerUp(_)
            | Event::PeerDown(_)
            | Event::RowsDamaged
            | Event::Tick => {}
        }
        Ok(())
    }

    fn on_message(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        body: Body,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        match body {
            Body::Append(append) if self.unusable => {
                self.ask_for_snapshot(core, &append, effects);
                Ok(())
            }
            Body::Append(append) => self.following.on_append(core, ctx, append, effects),
            Body::Close {
                session,
                round,
                echo,
                ..
            } if !self.unusable => {
                self.following
                    .on_close(core, ctx, session, round, echo, effects);
                Ok(())
            }
            Body::Close { .. }
            | Body::Ack(_)
            | Body::Mismatch(_)
            | Body::Configuration(_)
            | Body::Behind => Ok(()),
        }
    }

    fn ask_for_snapshot(&mut self, core: &Core, append: &Append, effects: &mut Vec<Effect>) {
        if core.loading.is_none() && append.session >= self.following.session() {
            self.following.hear_session(append.session);
            self.following.say_where(core, Position(0), effects);
        }
    }

    fn begin(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        fence: Fence,
        boot: BootId,
        session: u32,
        effects: &mut Vec<Effect>,
    ) {
        let ours = fence == core.fence() && boot == core.me.boot;
        if !ours || session <= self.following.session() {
            return;
        }
        core.log.start_empty(ctx.budget, effects);
        core.closes.forget();
        core.loading = Some(Loading { fence, session });
        core.damaged = false;
        self.unusable = false;
        self.following.restart(core, session);
    }

    /// Its log is what a snapshot carried, even one of an earlier epoch: what it holds is committed.
    fn go_on(&mut self, core: &Core, effects: &mut Vec<Effect>) {
        let session = self.following.session();
        self.following.restart(core, session);
        self.unusable = is_unusable(core);
        if !self.unusable {
            let resume = core.log.committed().position.next();
            self.following.say_where(core, resume, effects);
        }
    }
}

fn is_unusable(core: &Core) -> bool {
    let is_empty = core.log.end() == Mark::default();
    let is_older = core.log.incarnation() < core.fence().incarnation;
    core.damaged || is_older && !is_empty
}
