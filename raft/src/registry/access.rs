//! Who may do what: the tokens of a cluster and the roles that they give.
//!
//! The secret of a token is nowhere in here: it is shown once to who asked for it, and its hash is
//! kept. How secrets are hashed and compared is the gateway's business; who may make tokens too.

use super::state::Registry;
use proto::{
    id::{NodeId, TokenId},
    limits::{GRANTS_PER_TOKEN, TOKEN_NAME_BYTES, TOKENS},
    name::Name,
    reason::{Reason, Refusal},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

/// A token that expired stays for people to see for this long.
const KEPT_MILLIS: u64 = 30 * 24 * 3_600_000;

/// What may be done by whom. Shared, so that two copies show by pointer what differs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Access {
    /// The certificate of the cluster's authority, as PEM. A cluster that has one is secured: nodes
    /// know each other by certificates and callers show tokens. One without is open.
    pub authority: Option<Arc<str>>,
    /// All tokens.
    pub tokens: BTreeMap<TokenId, Arc<Token>>,
}

/// What a cluster is secured with when it is founded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// The certificate of its authority, as PEM.
    pub authority: Arc<str>,
    /// The first token, which makes all others.
    pub administrator: Token,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What it is named by.
    pub id: TokenId,
    /// The hash of its secret.
    pub hash: TokenHash,
    /// What it is for, in the words of who made it.
    pub name: String,
    /// What it gives.
    pub gives: Gives,
    /// When it ends; none: when it is revoked.
    pub expires_at_millis: Option<u64>,
    /// When it was made.
    pub created_at_millis: u64,
    /// Who made it.
    pub created_by: String,
}

/// What a token gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Gives {
    /// Roles.
    Access(Vec<Grant>),
    /// A node's place in the cluster, once.
    Join {
        /// Who took it.
        used_by: Option<JoinedNode>,
    },
}

/// Who took a join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinedNode {
    /// The node.
    pub node: NodeId,
    /// Its public key, as hexadecimal digits: it may ask again when it did not get the answer.
    pub public_key: String,
}

/// A role and where it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The project, by its name, which may come later than the token; none: the whole cluster.
    pub project: Option<Name>,
}

/// What callers are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Lookups.
    Reader,
    /// Writes and deletions.
    Writer,
    /// Changes of definitions.
    Registrar,
    /// All of it, and tokens; in the whole cluster its operation as well.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Writer, Self::Registrar, Self::Admin];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Registrar => "registrar",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; choose reader, writer, registrar or admin")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.project {
            Some(project) => write!(f, "{} of {project}", self.role),
            None => write!(f, "{} of the cluster", self.role),
        }
    }
}

impl fmt::Display for Gives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access(grants) => {
                let words: Vec<String> = grants.iter().map(ToString::to_string).collect();
                f.write_str(&words.join(", "))
            }
            Self::Join { used_by: None } => f.write_str("join, once"),
            Self::Join {
                used_by: Some(joined),
            } => write!(f, "join, used by node {}", joined.node),
        }
    }
}

/// The hash of a token's secret; stored as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for TokenHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err("a hash has 64 hexadecimal digits");
        }
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16)
                .map_err(|_| "a hash has hexadecimal digits")?;
        }
        Ok(Self(bytes))
    }
}

impl Token {
    /// Who joined with it.
    #[must_use]
    pub fn joined(&self) -> Option<&JoinedNode> {
        match &self.gives {
            Gives::Join { used_by } => used_by.as_ref(),
            Gives::Access(_) => None,
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_expired(&self, at_millis: u64) -> bool {
        self.expires_at_millis.is_some_and(|end| end <= at_millis)
    }

    fn check(&self) -> Result<(), Refusal> {
        let bad =
            |field, message: String| Refusal::of_field(Reason::InvalidRequest, field, message);
        if self.name.len() > TOKEN_NAME_BYTES || self.name.chars().any(char::is_control) {
            let message =
                format!("a token's name has up to {TOKEN_NAME_BYTES} characters, in one line");
            return Err(bad("name", message));
        }
        let Gives::Access(grants) = &self.gives else {
            return Ok(());
        };
        if grants.is_empty() || grants.len() > GRANTS_PER_TOKEN {
            let message = format!("a token has 1 to {GRANTS_PER_TOKEN} roles; give it another one");
            return Err(bad("grants", message));
        }
        Ok(())
    }
}

impl Registry {
    pub(super) fn secure(&mut self, security: Security) -> Vec<String> {
        let Security {
            authority,
            administrator,
        } = security;
        let words = format!("first token {}: {}", administrator.id, administrator.gives);
        self.access.authority = Some(authority);
        let id = administrator.id;
        self.access.tokens.insert(id, Arc::new(administrator));
        vec![words]
    }

    pub(super) fn create_token(
        &mut self,
        token: Token,
        at_millis: u64,
    ) -> Result<Vec<String>, Refusal> {
        if self.access.authority.is_none() {
            let message = "this cluster was founded open and asks nobody for tokens; found one with cluster.secure = true";
            return Err(Refusal::new(Reason::IncompatibleChange, message));
        }
        token.check()?;
        self.forget_tokens(at_millis);
        if self.access.tokens.contains_key(&token.id) {
            let message = format!("there is a token {} already", token.id);
            return Err(Refusal::of_field(Reason::InvalidRequest, "id", message));
        }
        if self.access.tokens.len() >= TOKENS {
            let message = format!("a cluster has at most {TOKENS} tokens; revoke some");
            return Err(Refusal::new(Reason::Quota, message));
        }
        let words = format!(
            "create token {} ({}): {}",
            token.id, token.name, token.gives
        );
        self.access.tokens.insert(token.id, Arc::new(token));
        Ok(vec![words])
    }

    pub(super) fn revoke_token(&mut self, id: TokenId) -> Result<Vec<String>, Refusal> {
        let is_last_administrator = |tokens: &BTreeMap<TokenId, Arc<Token>>| {
            let others = tokens.values().filter(|token| token.id != id);
            !others.into_iter().any(|token| token.is_administrator())
        };
        let Some(token) = self.access.tokens.get(&id) else {
            return Err(unknown(id));
        };
        if token.is_administrator() && is_last_administrator(&self.access.tokens) {
            let message = "this is the last token that administers the cluster; create another one before it is revoked";
            return Err(Refusal::of_field(Reason::IncompatibleChange, "id", message));
        }
        let words = format!("revoke token {id} ({}): {}", token.name, token.gives);
        self.access.tokens.remove(&id);
        Ok(vec![words])
    }

    /// Gives a join token to a node. Who asks has seen the secret; whether it is the first, and in
    /// time, is decided here, where everybody agrees.
    pub(super) fn use_join_token(
        &mut self,
        id: TokenId,
        by: JoinedNode,
        at_millis: u64,
    ) -> Result<Vec<String>, Refusal> {
        let refuse = |message: String| Refusal::of_field(Reason::Forbidden, "token", message);
        let another =
            |joined: &JoinedNode| joined.node == by.node && joined.public_key != by.public_key;
        let mut joined = self
            .access
            .tokens
            .values()
            .filter_map(|token| token.joined());
        let is_anothers = joined.any(another);
        let token = self.access.tokens.get_mut(&id).ok_or_else(|| unknown(id))?;
        let Gives::Join { used_by } = &token.gives else {
            return Err(refuse(format!("token {id} is not for joining")));
        };
        match used_by {
            Some(first) if *first == by && !token.is_expired(at_millis) => return Ok(Vec::new()),
            Some(first) if *first == by => {}
            Some(first) => {
                return Err(refuse(format!(
                    "join token {id} was used by node {} already; create another one for each node",
                    first.node
                )));
            }
            None => {}
        }
        if is_anothers {
            return Err(refuse(format!(
                "node {} has joined with another key; empty its data directory, so that it joins as a new node",
                by.node
            )));
        }
        if token.is_expired(at_millis) {
            return Err(refuse(format!(
                "join token {id} has expired; create another one"
            )));
        }
        let words = format!("node {} joined with token {id} ({})", by.node, token.name);
        Arc::make_mut(token).gives = Gives::Join { used_by: Some(by) };
        Ok(vec![words])
    }

    fn forget_tokens(&mut self, at_millis: u64) {
        let before = at_millis.saturating_sub(KEPT_MILLIS);
        self.access
            .tokens
            .retain(|_, token| !token.is_expired(before));
    }
}

impl Token {
    /// Whether it administers the whole cluster for good.
    fn is_administrator(&self) -> bool {
        let everywhere = |grant: &Grant| grant.role == Role::Admin && grant.project.is_none();
        self.expires_at_millis.is_none()
            && matches!(&self.gives, Gives::Access(grants) if grants.iter().any(everywhere))
    }
}

fn unknown(id: TokenId) -> Refusal {
    let message = format!("there is no token {id}; `atoll token list` shows what there is");
    Refusal::of_field(Reason::InvalidRequest, "id", message)
}
