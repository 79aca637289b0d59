//! A backup: an in-sync replica that follows the primary. Every commit waits for it.

use crate::{
    context::Context,
    core::Core,
    effect::{Broken, Effect},
    event::Event,
    follow::Following,
    message::Body,
};

#[derive(Debug)]
pub(crate) struct Backup {
    pub(crate) following: Following,
}

impl Backup {
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
            Event::Durable { .. } | Event::Written { .. } => {
                self.following.on_durable(core, ctx, effects);
            }
            Event::ClockRaised => self.following.promise(core, ctx, effects),
            // It holds what was acknowledged: it never starts from a snapshot.
            Event::SnapshotBegun { .. }
            | Event::SnapshotInstalled { .. }
            | Event::SnapshotAborted
            | Event::Configuration(_)
            | Event::Write(_)
            | Event::Remote(_)
            | Event::Skip(_)
            | Event::LogRead { .. }
            | Event::SnapshotEnded { .. }
            | Event::PeerUp(_)
            | Event::PeerDown(_)
            | Event::StoreDamaged
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
            Body::Append(append) => self.following.on_append(core, ctx, append, effects),
            Body::Close {
                session,
                round,
                echo,
                ..
            } => {
                self.following
                    .on_close(core, ctx, session, round, echo, effects);
                Ok(())
            }
            Body::Ack(_) | Body::Mismatch(_) | Body::Configuration(_) | Body::Behind => Ok(()),
        }
    }
}
