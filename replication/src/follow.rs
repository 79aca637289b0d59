//! Following a primary: taking its entries, saying how far one is, promising its closes. What backups
//! and joiners have in common; step 3 of the write path.
//!
//! "Matched" is the heart of it: the last position up to which this log is known to equal that of
//! this epoch's primary. Only that is acknowledged and committed: a tail from an earlier epoch that
//! has not been compared yet counts for nothing.

use crate::{
    closes::Round,
    context::Context,
    core::Core,
    effect::{Broken, Effect},
    entry::{Entry, Mark},
    message::{Ack, Append, Body, Echo, Mismatch},
    planted::Bug,
    settings::ROUNDS_KEPT,
};
use proto::id::{NodeId, Position};
use std::collections::VecDeque;

#[derive(Debug)]
struct Heard {
    round: Round,
    echo: Option<Echo>,
}

#[derive(Debug)]
pub(crate) struct Following {
    primary: NodeId,
    session: u32,
    matched: Position,
    committed: Position,
    rounds: VecDeque<Heard>,
    promised: u64,
    closed_through: u64,
    acknowledged: Position,
}

impl Following {
    /// Begins with the configuration's primary. What is committed here is committed there.
    pub(crate) fn new(core: &Core, primary: NodeId) -> Self {
        let matched = core.log.committed().position;
        Self {
            primary,
            session: 0,
            matched,
            committed: matched,
            rounds: VecDeque::new(),
            promised: 0,
            closed_through: 0,
            acknowledged: Position(0),
        }
    }

    pub(crate) const fn session(&self) -> u32 {
        self.session
    }

    pub(crate) const fn hear_session(&mut self, session: u32) {
        self.session = session;
    }

    pub(crate) fn on_append(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        append: Append,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        if append.session < self.session || core.loading.is_some() || core.damaged {
            return Ok(());
        }
        self.session = append.session;
        let fits = append.previous.position <= self.matched
            || core.log.epoch_at(append.previous.position) == Some(append.previous.epoch);
        if !fits {
            self.say_where(core, self.matched.next(), effects);
            return Ok(());
        }
        let written = self.take(core, ctx, append.previous, append.entries, effects)?;
        self.committed = self.committed.max(append.committed);
        self.closed_through = self.closed_through.max(append.closed_through);
        self.advance(core, ctx, effects);
        if !written {
            // What was written is acknowledged when it is durable.
            self.acknowledge(core, ctx, effects);
        }
        Ok(())
    }

    /// Appends what is missing and cuts what differs. Gives whether anything was written.
    fn take(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        previous: Mark,
        entries: Vec<Entry>,
        effects: &mut Vec<Effect>,
    ) -> Result<bool, Broken> {
        let mut before = previous;
        let mut written = false;
        for entry in entries {
            let mark = entry.mark();
            if entry.previous() != before {
                break;
            }
            before = mark;
            if mark.position <= core.log.committed().position {
                continue;
            }
            if core.log.epoch_at(mark.position) != Some(mark.epoch) {
                if mark.position <= self.matched {
                    let position = mark.position;
                    return Err(Broken::Rewritten { position });
                }
                if mark.position <= core.log.end().position {
                    core.log
                        .cut(entry.previous().position, ctx.budget, effects)?;
                }
                core.append(ctx, entry, effects)?;
                written = true;
            }
        }
        self.matched = self.matched.max(before.position);
        Ok(written)
    }

    /// Commits what is known to be committed, equal to the primary's, and on this disk.
    fn advance(&mut self, core: &mut Core, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        let mut through = self.committed.min(self.matched).min(core.durable());
        if core.planted.has(Bug::IndexBeforeCommit) {
            through = core.log.written();
        }
        core.commit(ctx, through, effects);
        self.close(core);
    }

    /// Takes the rounds that are done and whose entries are applied here.
    fn close(&mut self, core: &mut Core) {
        while let Some(heard) = self.rounds.front() {
            let done = heard.round.number <= self.closed_through;
            if !done || heard.round.position > core.log.committed().position {
                return;
            }
            for close in heard.round.closes() {
                core.closes.close(close);
            }
            if let Some(echo) = heard.echo.filter(|echo| echo.boot == core.me.boot) {
                core.closes.complete_before(echo.instant);
                core.closes.know_origins(echo.instant, &heard.round.ages);
            }
            self.rounds.pop_front();
        }
    }

    pub(crate) fn on_close(
        &mut self,
        core: &Core,
        ctx: &mut Context<'_>,
        session: u32,
        round: Round,
        echo: Option<Echo>,
        effects: &mut Vec<Effect>,
    ) {
        let newest = self.rounds.back().map_or(0, |last| last.round.number);
        let stale = session < self.session || round.number <= newest.max(self.promised);
        if stale || core.loading.is_some() || core.damaged {
            return;
        }
        self.session = session;
        if self.rounds.len() == ROUNDS_KEPT {
            self.rounds.pop_front();
        }
        self.rounds.push_back(Heard { round, echo });
        self.promise(core, ctx, effects);
    }

    /// Promises every round heard, the newest at once: its HLC is the largest.
    pub(crate) fn promise(
        &mut self,
        core: &Core,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(newest) = self.rounds.back().map(|heard| &heard.round) else {
            return;
        };
        let (number, hlc) = (newest.number, newest.hlc);
        if number > self.promised && core.promise(ctx, hlc, effects) {
            self.promised = number;
            self.acknowledge(core, ctx, effects);
        }
    }

    /// More is written or durable: commit what waited for that, and say so.
    pub(crate) fn on_durable(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        self.advance(core, ctx, effects);
        if self.durable(core) > self.acknowledged {
            self.acknowledge(core, ctx, effects);
        }
    }

    fn durable(&self, core: &Core) -> Position {
        self.matched.min(core.durable())
    }

    fn acknowledge(&mut self, core: &Core, ctx: &Context<'_>, effects: &mut Vec<Effect>) {
        if core.loading.is_some() || core.damaged {
            return;
        }
        self.acknowledged = self.durable(core);
        let ack = Ack {
            member: core.member(),
            boot: core.me.boot,
            session: self.session,
            durable: self.acknowledged,
            promised: self.promised,
            clock: ctx.now.monotonic,
        };
        core.send(self.primary, Body::Ack(ack), effects);
    }

    /// Tells the primary where this log goes on.
    pub(crate) fn say_where(&self, core: &Core, resume: Position, effects: &mut Vec<Effect>) {
        let mismatch = Mismatch {
            member: core.member(),
            boot: core.me.boot,
            session: self.session,
            resume,
        };
        core.send(self.primary, Body::Mismatch(mismatch), effects);
    }

    /// Goes on under a new session, from an empty log or an installed snapshot.
    pub(crate) fn restart(&mut self, core: &Core, session: u32) {
        let promised = self.promised;
        *self = Self::new(core, self.primary);
        (self.session, self.promised) = (session, promised);
    }
}
