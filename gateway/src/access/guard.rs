//! The guard: which tokens the cluster has, and whether one that is shown is among them.
//!
//! What it goes by is one immutable snapshot that is replaced whole, so a call takes no lock for longer
//! than a pointer's copy. A gateway that is cut off from its metadata goes on with the last one: it
//! refuses tokens that expire meanwhile, and cannot hear of one that is revoked.

use super::{caller::Caller, secret::Secret, table::Requirement, trail::Trail};
use crate::{edge::Clock, failure::Failure};
use axum::http::{HeaderMap, header::AUTHORIZATION};
use parking_lot::RwLock;
use proto::{
    id::{ClusterId, TokenId},
    reason::Reason,
};
use raft::registry::{Registry, access::Token};
use std::{collections::HashMap, sync::Arc};

const SCHEME: &str = "Bearer ";

/// The tokens of a cluster at one moment.
#[derive(Debug, Default)]
pub enum Snapshot {
    /// Nothing is known yet: nobody is let in.
    #[default]
    Unknown,
    /// The cluster asks for no tokens.
    Open,
    /// It asks for one of these.
    Tokens {
        /// The cluster, which is in their hashes.
        cluster: ClusterId,
        /// By id.
        tokens: HashMap<TokenId, Arc<Token>>,
    },
}

impl Snapshot {
    /// What a registry says.
    #[must_use]
    pub fn of(registry: &Registry) -> Self {
        let Some(founding) = &registry.founding else {
            return Self::Unknown;
        };
        if registry.access.authority.is_none() {
            return Self::Open;
        }
        let tokens = registry.access.tokens.iter();
        Self::Tokens {
            cluster: founding.cluster,
            tokens: tokens.map(|(id, token)| (*id, Arc::clone(token))).collect(),
        }
    }
}

/// See the module. Clones are one.
#[derive(Clone)]
pub struct Guard {
    snapshot: Arc<RwLock<Arc<Snapshot>>>,
    clock: Arc<dyn Clock>,
    trail: Option<Arc<dyn Trail>>,
}

/// A call that is not let in, with who it was as far as that is known.
pub(crate) struct Refused {
    pub(crate) caller: Caller,
    pub(crate) failure: Failure,
}

impl Guard {
    /// A guard that lets nobody in before it is told who may.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            snapshot: Arc::default(),
            clock,
            trail: None,
        }
    }

    /// A guard of an open cluster.
    #[must_use]
    pub fn open(clock: Arc<dyn Clock>) -> Self {
        let guard = Self::new(clock);
        guard.go_by(Snapshot::Open);
        guard
    }

    /// Keeps a trail of what administrators do.
    #[must_use]
    pub fn with_trail(mut self, trail: Arc<dyn Trail>) -> Self {
        self.trail = Some(trail);
        self
    }

    /// Goes by newer tokens from now on.
    pub fn go_by(&self, snapshot: Snapshot) {
        *self.snapshot.write() = Arc::new(snapshot);
    }

    /// Where what administrators do is kept.
    pub(crate) fn trail(&self) -> Option<&Arc<dyn Trail>> {
        self.trail.as_ref()
    }

    pub(crate) fn wall_millis(&self) -> u64 {
        self.clock.wall_micros() / 1_000
    }

    /// Who sends these headers.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, Failure> {
        let snapshot = Arc::clone(&self.snapshot.read());
        match &*snapshot {
            Snapshot::Unknown => Err(Failure::new(
                Reason::NotReady,
                "this node does not know yet who may call it",
            )),
            Snapshot::Open => Ok(Caller::anybody()),
            Snapshot::Tokens { cluster, tokens } => {
                let secret = shown(headers)?;
                let known = tokens.get(&secret.id());
                let matching = known.filter(|token| secret.is_of(&token.hash, *cluster));
                let token = matching.ok_or_else(|| {
                    unauthenticated(
                        "the token is unknown or revoked; ask an administrator for another one",
                    )
                })?;
                self.in_time(token)?;
                Ok(Caller::known(Arc::clone(token)))
            }
        }
    }

    /// Whether a call with these headers is let in, and as whom.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        requirement: Requirement,
    ) -> Result<Caller, Refused> {
        if requirement == Requirement::Open {
            return Ok(Caller::nobody());
        }
        let caller = self.caller(headers).map_err(|failure| Refused {
            caller: Caller::nobody(),
            failure,
        })?;
        match requirement.check(&caller) {
            Ok(()) => Ok(caller.traced(headers)),
            Err(failure) => Err(Refused { caller, failure }),
        }
    }

    /// Fails where the caller of a call that lasts is none any more.
    pub fn still(&self, caller: &Caller) -> Result<(), Failure> {
        let Some(id) = caller.token() else {
            return Ok(());
        };
        let snapshot = Arc::clone(&self.snapshot.read());
        let token = match &*snapshot {
            Snapshot::Tokens { tokens, .. } => tokens.get(&id),
            Snapshot::Unknown | Snapshot::Open => None,
        };
        match token {
            Some(token) => self.in_time(token),
            None => Err(unauthenticated("the token was revoked")),
        }
    }

    fn in_time(&self, token: &Token) -> Result<(), Failure> {
        if token.is_expired(self.wall_millis()) {
            return Err(unauthenticated(
                "the token has expired; ask an administrator for another one",
            ));
        }
        Ok(())
    }
}

fn shown(headers: &HeaderMap) -> Result<Secret, Failure> {
    let value = headers.get(AUTHORIZATION).ok_or_else(|| {
        unauthenticated(
            "this cluster asks for a token: send the header \"authorization: Bearer TOKEN\", or use --token or ATOLL_TOKEN",
        )
    })?;
    let text = value.to_str().ok().and_then(|text| {
        let (scheme, rest) = text.split_at_checked(SCHEME.len())?;
        scheme.eq_ignore_ascii_case(SCHEME).then_some(rest.trim())
    });
    let text = text.ok_or_else(|| {
        unauthenticated("the header \"authorization\" is not of the form \"Bearer TOKEN\"")
    })?;
    Secret::read(text).map_err(|error| unauthenticated(&error.to_string()))
}

fn unauthenticated(message: &str) -> Failure {
    Failure::new(Reason::Unauthenticated, message)
}
