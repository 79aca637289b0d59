//! One shard's replica on one node: it takes events to its role, and changes its role as the
//! committed configuration says.

use crate::{
    backup::Backup,
    base::Recovered,
    closes::Closes,
    configuration::{Configuration, Member, Standing},
    context::{Context, Micros},
    core::{Core, Loading},
    effect::{Broken, Effect},
    event::Event,
    follow::Following,
    idle::Idle,
    joining::Joining,
    log::Log,
    message::{Body, Message},
    planted::{Bug, Planted},
    primary::Primary,
    write::{Answer, Refused, Write},
};
use proto::id::{BootId, NodeId, RegionId, ShardId, StoreId};

/// Which replica this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The shard.
    pub shard: ShardId,
    /// The region.
    pub region: RegionId,
    /// The node.
    pub node: NodeId,
    /// Its disk.
    pub store: StoreId,
    /// Its run.
    pub boot: BootId,
}

impl Identity {
    /// The replica as a member where durable means disk.
    #[must_use]
    pub const fn member(&self) -> Member {
        Member {
            node: self.node,
            store: self.store,
            boot: None,
        }
    }
}

/// The name of a replica's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleName {
    /// It appends.
    Primary,
    /// It follows, in sync.
    Backup,
    /// It follows, to get in sync.
    Joining,
    /// It follows for lookups only: no commit waits for it, and it never leads.
    Observer,
    /// It has no part.
    Idle,
    /// An invariant broke; it does nothing any more.
    Stopped,
}

#[derive(Debug)]
enum Role {
    Primary(Box<Primary>),
    Backup(Backup),
    Joining(Joining),
    Idle(Idle),
    Stopped,
}

/// One shard's replica on one node.
#[derive(Debug)]
pub struct Replica {
    pub(crate) core: Core,
    role: Role,
}

impl Replica {
    /// A replica on what its store found. The clock follows the log: a promise to stamp above an
    /// entry outlives a restart only so.
    #[must_use]
    pub fn open(me: Identity, recovered: Recovered, ctx: &mut Context<'_>) -> Self {
        let log = Log::open(recovered, ctx.budget);
        ctx.clock.observe(log.hlc());
        let core = Core {
            me,
            configuration: None,
            log,
            closes: Closes::default(),
            loading: None,
            damaged: false,
            planted: Planted::NONE,
        };
        let role = Role::Idle(Idle::default());
        Self { core, role }
    }

    /// Takes one rule out, for a test; see [`Planted`], which without its feature takes out none.
    pub const fn plant(&mut self, planted: Planted) {
        self.core.planted = planted;
    }

    /// Gives back what the replica holds of the node's limits: its shard leaves this node. Callers
    /// that still wait are told that the outcome is unknown.
    pub fn retire(mut self, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        if let Role::Primary(mut primary) = self.role {
            primary.depose(effects);
            primary.release(ctx);
        }
        self.core.log.release(ctx.budget);
    }

    /// Takes an event, and says what is to be done.
    pub fn step(&mut self, ctx: &mut Context<'_>, event: Event, effects: &mut Vec<Effect>) {
        if matches!(self.role, Role::Stopped) {
            return;
        }
        if let Err(broken) = self.take(ctx, event, effects) {
            effects.push(Effect::Stop(broken));
            self.role = Role::Stopped;
        }
    }

    fn take(
        &mut self,
        ctx: &mut Context<'_>,
        event: Event,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        match event {
            Event::Configuration(configuration) => {
                self.configure(ctx, configuration, effects);
                self.dispatch(ctx, Event::ClockRaised, effects)
            }
            Event::Write(write) if !matches!(self.role, Role::Primary(_)) => {
                self.refuse(&write, effects);
                Ok(())
            }
            Event::Message { from, message } => self.on_message(ctx, from, message, effects),
            Event::RowsDamaged if self.is_spare() => self.take(ctx, Event::StoreDamaged, effects),
            event => {
                self.note(ctx, &event);
                self.dispatch(ctx, event, effects)
            }
        }
    }

    /// Whether others hold all that was acknowledged.
    fn is_spare(&self) -> bool {
        let others = |member: &&Member| **member != self.core.member();
        let configuration = self.core.configuration.as_ref();
        configuration.is_some_and(|known| known.in_sync.iter().any(|member| others(&member)))
    }

    /// What every role has to know.
    fn note(&mut self, ctx: &mut Context<'_>, event: &Event) {
        match event {
            Event::Durable { through } => self.core.log.note_synced(*through),
            Event::Written { through } => self.core.log.note_written(*through),
            Event::StoreDamaged => self.core.damaged = true,
            Event::SnapshotAborted => self.core.loading = None,
            Event::SnapshotInstalled {
                fence,
                session,
                base,
            } => {
                let (fence, session) = (*fence, *session);
                if self.core.loading == Some(Loading { fence, session }) {
                    ctx.clock.observe(base.hlc);
                    self.core.log.install(base.clone());
                    self.core.loading = None;
                }
            }
            Event::Configuration(_)
            | Event::Write(_)
            | Event::Remote(_)
            | Event::Skip(_)
            | Event::Message { .. }
            | Event::ClockRaised
            | Event::LogRead { .. }
            | Event::SnapshotEnded { .. }
            | Event::SnapshotBegun { .. }
            | Event::PeerUp(_)
            | Event::PeerDown(_)
            | Event::RowsDamaged
            | Event::Tick => {}
        }
    }

    fn dispatch(
        &mut self,
        ctx: &mut Context<'_>,
        event: Event,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        let core = &mut self.core;
        match &mut self.role {
            Role::Primary(primary) => primary.step(core, ctx, event, effects),
            Role::Backup(backup) => backup.step(core, ctx, event, effects),
            Role::Joining(joining) => joining.step(core, ctx, event, effects),
            Role::Idle(idle) => {
                idle.step(core, ctx, event, effects);
                Ok(())
            }
            Role::Stopped => Ok(()),
        }
    }

    fn refuse(&self, write: &Write, effects: &mut Vec<Effect>) {
        let primary = self.core.configuration.as_ref();
        let primary = primary
            .map(|known| known.primary.node)
            .filter(|node| *node != self.core.me.node);
        effects.push(Effect::Reply {
            to: write.reply_to,
            answer: Answer::Refused(Refused::NotPrimary { primary }),
        });
    }

    /// A message counts only under the fence it was sent under; the older side gets the newer
    /// side's configuration, which is committed.
    fn on_message(
        &mut self,
        ctx: &mut Context<'_>,
        from: NodeId,
        message: Message,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        let core = &self.core;
        if let Body::Configuration(configuration) = message.body {
            self.configure(ctx, configuration, effects);
            return self.dispatch(ctx, Event::ClockRaised, effects);
        }
        let counts_anyway =
            core.planted.has(Bug::OldEpochAckCounts) && matches!(message.body, Body::Ack(_));
        if message.fence > core.fence() {
            core.send(from, Body::Behind, effects);
            return Ok(());
        }
        if message.fence < core.fence() && !counts_anyway {
            if let Some(configuration) = &core.configuration {
                let body = Body::Configuration(configuration.clone());
                core.send(from, body, effects);
            }
            return Ok(());
        }
        let to = match &message.body {
            Body::Append(append) => Some(append.member),
            Body::Close { member, .. } => Some(*member),
            Body::Ack(_) | Body::Mismatch(_) | Body::Configuration(_) | Body::Behind => None,
        };
        if to.is_some_and(|to| to != core.member()) {
            return Ok(());
        }
        self.dispatch(ctx, Event::Message { from, message }, effects)
    }

    fn configure(&mut self, ctx: &mut Context<'_>, new: Configuration, effects: &mut Vec<Effect>) {
        let known = self.core.configuration.as_ref();
        if known.is_some_and(|known| known.order() >= new.order()) {
            return;
        }
        let same_fence = known.is_some_and(|known| known.fence == new.fence);
        self.core.configuration = Some(new);
        let part = self.part();
        if same_fence && part == self.role() {
            // Only joiners or observers came or went.
            if let Role::Primary(primary) = &mut self.role {
                primary.place_peers(&self.core, ctx, None);
                // A joiner that does not know that it is one would let all messages pass.
                self.tell_configuration(effects);
            }
            return;
        }
        self.change_role(ctx, part, effects);
    }

    /// The role that the configuration gives this replica.
    fn part(&self) -> RoleName {
        let Some(configuration) = &self.core.configuration else {
            return RoleName::Idle;
        };
        let me = self.core.me;
        match configuration.standing(self.core.member()) {
            Some(Standing::InSync) => {
                let same_boot = configuration.primary.boot == me.boot
                    || self.core.planted.has(Bug::RestartKeepsEpoch);
                match configuration.primary.node == me.node {
                    true if same_boot => RoleName::Primary,
                    true => RoleName::Idle,
                    false => RoleName::Backup,
                }
            }
            Some(Standing::Joining) => RoleName::Joining,
            Some(Standing::Observing) => RoleName::Observer,
            None => RoleName::Idle,
        }
    }

    fn change_role(&mut self, ctx: &mut Context<'_>, part: RoleName, effects: &mut Vec<Effect>) {
        let before = match std::mem::replace(&mut self.role, Role::Stopped) {
            Role::Primary(primary) => Some(*primary),
            Role::Backup(_) | Role::Joining(_) | Role::Idle(_) | Role::Stopped => None,
        };
        self.role = if part == RoleName::Primary {
            let primary = Primary::new(&self.core, ctx, before);
            self.tell_configuration(effects);
            Role::Primary(Box::new(primary))
        } else {
            if let Some(mut before) = before {
                before.depose(effects);
                before.release(ctx);
            }
            self.follow(ctx, part, effects)
        };
    }

    fn follow(&self, ctx: &Context<'_>, part: RoleName, effects: &mut Vec<Effect>) -> Role {
        let core = &self.core;
        let primary = core.configuration.as_ref();
        let primary = primary.map_or(core.me.node, |known| known.primary.node);
        let following = Following::new(core, primary);
        match part {
            RoleName::Backup => Role::Backup(Backup { following }),
            RoleName::Joining | RoleName::Observer => {
                Role::Joining(Joining::new(core, following, part))
            }
            RoleName::Idle | RoleName::Primary | RoleName::Stopped => {
                let mut idle = Idle::default();
                idle.propose_return(core, ctx, effects);
                Role::Idle(idle)
            }
        }
    }

    /// Peers may not have heard of the epoch yet.
    fn tell_configuration(&self, effects: &mut Vec<Effect>) {
        let Some(configuration) = &self.core.configuration else {
            return;
        };
        for (member, _) in configuration.members() {
            let body = Body::Configuration(configuration.clone());
            self.core.send(member.node, body, effects);
        }
    }

    /// Whether entries can be appended now: the epoch is open, and nothing is lost here.
    #[must_use]
    pub fn appends(&self) -> bool {
        match &self.role {
            Role::Primary(primary) => !self.core.damaged && primary.is_open(&self.core),
            Role::Backup(_) | Role::Joining(_) | Role::Idle(_) | Role::Stopped => false,
        }
    }

    /// Whether a primary will close its streams with the next tick, and wants to
    /// [know](Self::know_origins) before what it has of others'.
    #[must_use]
    pub fn is_beat_due(&self, now: Micros) -> bool {
        match &self.role {
            Role::Primary(primary) => primary.is_beat_due(now),
            Role::Backup(_) | Role::Joining(_) | Role::Idle(_) | Role::Stopped => false,
        }
    }

    /// Tells a primary that everything acknowledged in other regions before these instants, on this
    /// node's clock, is committed here. Regions that are not named are unknown.
    pub fn know_origins(&mut self, origins: Vec<(RegionId, Micros)>) {
        if let Role::Primary(primary) = &mut self.role {
            primary.know_origins(origins);
        }
    }

    /// Whether what it has may be dropped, and the replica be retired.
    #[must_use]
    pub fn is_leftover(&self, now: Micros) -> bool {
        match &self.role {
            Role::Idle(idle) => idle.is_leftover(now),
            Role::Primary(_) | Role::Backup(_) | Role::Joining(_) | Role::Stopped => false,
        }
    }

    /// Whether time alone makes it act: a primary beats, an idle replica proposes itself or becomes a
    /// leftover. All others act on what they are told, and ticks are nothing to them.
    #[must_use]
    pub const fn minds_time(&self) -> bool {
        match self.role {
            Role::Primary(_) | Role::Idle(_) => true,
            Role::Backup(_) | Role::Joining(_) | Role::Stopped => false,
        }
    }

    /// The role it has.
    #[must_use]
    pub const fn role(&self) -> RoleName {
        match &self.role {
            Role::Primary(_) => RoleName::Primary,
            Role::Backup(_) => RoleName::Backup,
            Role::Joining(joining) => joining.name,
            Role::Idle(_) => RoleName::Idle,
            Role::Stopped => RoleName::Stopped,
        }
    }
}
