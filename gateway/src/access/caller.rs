//! A caller, as its token shows it, and what it may do.

use crate::{failure::Failure, trace::Trace};
use axum::http::HeaderMap;
use proto::{id::TokenId, reason::Reason};
use raft::registry::access::{Gives, Grant, Role, Token};
use std::sync::Arc;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// See what is defined. Every role may.
    See,
    /// Look up.
    Read,
    /// Write and delete.
    Write,
    /// Change definitions.
    Define,
    /// Give rights to others; in the whole cluster: operate it.
    Administer,
}

impl Right {
    /// Whether a role has it.
    const fn is_of(self, role: Role) -> bool {
        match role {
            Role::Admin => true,
            Role::Reader => matches!(self, Self::See | Self::Read),
            Role::Writer => matches!(self, Self::See | Self::Write),
            Role::Registrar => matches!(self, Self::See | Self::Define),
        }
    }

    /// The roles that have it, in words.
    pub(super) const fn roles(self) -> &'static str {
        match self {
            Self::See => "any role",
            Self::Read => "the role reader",
            Self::Write => "the role writer",
            Self::Define => "the role registrar",
            Self::Administer => "the role admin",
        }
    }
}

/// Who calls, and in the name of which trace.
#[derive(Debug, Clone)]
pub struct Caller {
    kind: Kind,
    trace: Option<Trace>,
}

#[derive(Debug, Clone)]
enum Kind {
    /// The cluster is open and asks nobody.
    Anybody,
    /// Nobody asked who it is: the call needs no right, and gives none.
    Nobody,
    /// A token says so.
    Known(Arc<Token>),
}

impl Caller {
    /// A caller of an open cluster, who may do everything.
    #[must_use]
    pub fn anybody() -> Self {
        Self::untraced(Kind::Anybody)
    }

    /// A caller without any right.
    #[must_use]
    pub fn nobody() -> Self {
        Self::untraced(Kind::Nobody)
    }

    pub(super) fn known(token: Arc<Token>) -> Self {
        Self::untraced(Kind::Known(token))
    }

    const fn untraced(kind: Kind) -> Self {
        Self { kind, trace: None }
    }

    /// The same, with the trace that a call's headers name.
    pub(super) fn traced(mut self, headers: &HeaderMap) -> Self {
        self.trace = Trace::of(headers);
        self
    }

    /// The trace in whose name the call is made.
    #[must_use]
    pub const fn trace(&self) -> Option<Trace> {
        self.trace
    }

    /// The caller that the guard saw. A service that no guard stands before serves nobody.
    #[must_use]
    pub fn of(extensions: &axum::http::Extensions) -> Self {
        extensions.get().cloned().unwrap_or_else(Self::nobody)
    }

    /// The token it showed, if it had to.
    #[must_use]
    pub fn token(&self) -> Option<TokenId> {
        match &self.kind {
            Kind::Known(token) => Some(token.id),
            Kind::Anybody | Kind::Nobody => None,
        }
    }

    /// How the caller is called in histories: never by its secret.
    #[must_use]
    pub fn author(&self) -> String {
        match &self.kind {
            Kind::Known(token) if token.name.is_empty() => format!("token {}", token.id),
            Kind::Known(token) => format!("{} (token {})", token.name, token.id),
            Kind::Anybody | Kind::Nobody => "anonymous".into(),
        }
    }

    /// Fails where the caller has not the right in the project.
    pub fn may(&self, right: Right, project: &str) -> Result<(), Failure> {
        let in_project = |grant: &Grant| {
            let of = grant.project.as_ref();
            of.is_none_or(|of| of.as_str() == project)
        };
        self.holds(right, in_project, || format!("project {project:?}"))
    }

    /// Fails where the caller has not the right in the whole cluster.
    pub fn may_everywhere(&self, right: Right) -> Result<(), Failure> {
        let everywhere = |grant: &Grant| grant.project.is_none();
        self.holds(right, everywhere, || "the whole cluster".into())
    }

    /// Fails where the caller has the right nowhere.
    pub fn may_somewhere(&self, right: Right) -> Result<(), Failure> {
        self.holds(right, |_| true, || "a project".into())
    }

    /// Whether the caller may see that the project exists.
    #[must_use]
    pub fn sees(&self, project: &str) -> bool {
        self.may(Right::See, project).is_ok()
    }

    fn holds(
        &self,
        right: Right,
        place: impl Fn(&Grant) -> bool,
        named: impl Fn() -> String,
    ) -> Result<(), Failure> {
        let has = match &self.kind {
            Kind::Anybody => true,
            Kind::Nobody => false,
            Kind::Known(token) => grants(token)
                .iter()
                .any(|grant| right.is_of(grant.role) && place(grant)),
        };
        if has {
            return Ok(());
        }
        let message = format!(
            "{} has not {} in {}; ask an administrator for a token that has it",
            self.author(),
            right.roles(),
            named()
        );
        Err(Failure::new(Reason::Forbidden, message))
    }
}

fn grants(token: &Token) -> &[Grant] {
    match &token.gives {
        Gives::Access(grants) => grants,
        Gives::Join { .. } => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::name::Name;
    use raft::registry::access::TokenHash;

    fn caller(grants: &[(Role, Option<&str>)]) -> Caller {
        let grant = |(role, project): &(Role, Option<&str>)| Grant {
            role: *role,
            project: project.map(|name| Name::new(name).unwrap()),
        };
        Caller::known(Arc::new(Token {
            id: TokenId(7),
            hash: TokenHash([0; 32]),
            name: "ci".into(),
            gives: Gives::Access(grants.iter().map(grant).collect()),
            expires_at_millis: None,
            created_at_millis: 0,
            created_by: String::new(),
        }))
    }

    const RIGHTS: [Right; 5] = [
        Right::See,
        Right::Read,
        Right::Write,
        Right::Define,
        Right::Administer,
    ];

    #[test]
    fn a_role_has_its_rights_in_its_project_and_nowhere_else() {
        let table = [
            (Role::Reader, [true, true, false, false, false]),
            (Role::Writer, [true, false, true, false, false]),
            (Role::Registrar, [true, false, false, true, false]),
            (Role::Admin, [true; 5]),
        ];
        for (role, has) in table {
            let own = caller(&[(role, Some("shop"))]);
            let all = caller(&[(role, None)]);
            for (right, has) in RIGHTS.into_iter().zip(has) {
                assert_eq!(own.may(right, "shop").is_ok(), has, "{role} {right:?}");
                assert_eq!(own.may_somewhere(right).is_ok(), has, "{role} {right:?}");
                assert!(own.may(right, "other").is_err() && own.may(right, "").is_err());
                assert!(own.may_everywhere(right).is_err());
                assert_eq!(all.may(right, "other").is_ok(), has);
                assert_eq!(all.may_everywhere(right).is_ok(), has);
            }
        }
    }

    #[test]
    fn a_refusal_says_who_lacks_what_where() {
        let refused = caller(&[(Role::Reader, Some("shop"))]).may(Right::Write, "shop");
        let failure = refused.unwrap_err();
        assert_eq!(failure.reason, Reason::Forbidden);
        assert_eq!(
            failure.message,
            "ci (token 0000000000000007) has not the role writer in project \"shop\"; ask an administrator for a token that has it"
        );
    }

    #[test]
    fn nobody_has_no_right_and_in_an_open_cluster_anybody_has_all() {
        for right in RIGHTS {
            assert!(Caller::nobody().may_somewhere(right).is_err());
            assert!(Caller::anybody().may_everywhere(right).is_ok());
        }
    }
}
