//! Tokens: made, ended and listed by who administers what they give.

use crate::{
    security::{JoinToken, random_bits},
    server::{global::Global, guard::Followed},
};
use gateway::{
    access::{Caller, Note, Right, Secret},
    failure::Failure,
};
use proto::{
    id::{ClusterId, TokenId},
    name::Name,
    reason::{Reason, Refusal},
};
use raft::registry::{
    RegistryOutcome, Request,
    access::{Gives, Grant, Role, Token},
};
use std::{sync::Arc, time::Duration};
use wire::v1;

/// No token ends later: its end still is a time of day.
const LONGEST: Duration = Duration::from_hours(24 * 365 * 100);

/// How long a join token holds where nobody says: it lies in a file until its node starts.
const JOINS_WITHIN: Duration = Duration::from_hours(24);

/// The tokens of the cluster.
pub struct Tokens {
    /// The cluster, which is in their hashes.
    cluster: ClusterId,
    /// Where they are kept.
    global: Arc<Global>,
    /// Who goes by them.
    guard: Followed,
}

impl Tokens {
    /// Those of `cluster`.
    #[must_use]
    pub fn new(cluster: ClusterId, global: &Arc<Global>, guard: Followed) -> Self {
        let global = Arc::clone(global);
        Self {
            cluster,
            global,
            guard,
        }
    }

    /// Makes a token. Its secret is drawn here and leaves in the answer alone.
    pub async fn create(
        &self,
        caller: &Caller,
        note: &Note,
        request: v1::CreateTokenRequest,
    ) -> Result<v1::CreateTokenResponse, Failure> {
        let gives = gives(&request)?;
        note.write(format!("{:?}: {gives}", request.name));
        may(caller, &gives)?;
        let now = self.global.wall_millis();
        let asked = request.valid_for_seconds.map(Duration::from_secs);
        let valid_for = asked.or(request.join.then_some(JOINS_WITHIN));
        let millis = |span: Duration| span.min(LONGEST).as_millis() as u64;
        let (id, bits) = (random_bits(), random_bits());
        let id = u64::from_le_bytes(*id.first_chunk().expect("256 bits have 64"));
        let secret = Secret::new(TokenId(id), bits);
        let token = Token {
            id: secret.id(),
            hash: secret.hash(self.cluster),
            name: request.name,
            gives,
            expires_at_millis: valid_for.map(|span| now.saturating_add(millis(span))),
            created_at_millis: now,
            created_by: caller.author(),
        };
        let info = info(&token, now);
        note.write(format!(
            "token {} ({}): {}",
            token.id, token.name, token.gives
        ));
        self.change(caller, Request::CreateToken { token }).await?;
        let token = if request.join {
            self.join_token(secret)?
        } else {
            secret.text()
        };
        Ok(v1::CreateTokenResponse {
            token,
            info: Some(info),
        })
    }

    fn join_token(&self, secret: Secret) -> Result<String, Failure> {
        let catalog = self.global.catalog();
        let authority = catalog.registry().access.authority.as_deref();
        let token = JoinToken::of(secret, self.cluster, authority.unwrap_or_default());
        let token = token.map_err(|error| Failure::internal(error.to_string()))?;
        Ok(token.text())
    }

    /// Ends a token.
    pub async fn revoke(
        &self,
        caller: &Caller,
        note: &Note,
        id: &str,
    ) -> Result<v1::RevokeTokenResponse, Failure> {
        let unknown = || {
            let message = format!("there is no token {id:?}; `atoll token list` shows their ids");
            Failure::of_field(Reason::InvalidRequest, "id", message)
        };
        let id: TokenId = id.parse().map_err(|_| unknown())?;
        note.write(format!("token {id}"));
        let catalog = self.global.catalog();
        let token = catalog.registry().access.tokens.get(&id);
        let token = token.ok_or_else(unknown)?;
        may(caller, &token.gives)?;
        note.write(format!("token {id} ({}): {}", token.name, token.gives));
        self.change(caller, Request::RevokeToken { id }).await?;
        Ok(v1::RevokeTokenResponse {})
    }

    /// The tokens that the caller may end.
    #[must_use]
    pub fn list(&self, caller: &Caller) -> Vec<v1::TokenInfo> {
        let (catalog, now) = (self.global.catalog(), self.global.wall_millis());
        let tokens = catalog.registry().access.tokens.values();
        let own = tokens.filter(|token| may(caller, &token.gives).is_ok());
        own.map(|token| info(token, now)).collect()
    }

    /// Changes them; once that is answered, this node judges its callers by it.
    async fn change(&self, caller: &Caller, request: Request) -> Result<(), Failure> {
        match self.global.propose(&caller.author(), request).await? {
            RegistryOutcome::Done { revision, .. } => {
                self.guard.reaches(revision).await;
                Ok(())
            }
            RegistryOutcome::Refused { refusals, .. } => {
                let mut refusals = refusals.into_iter();
                let first = refusals.next();
                Err(first.map_or_else(
                    || Failure::internal("the registry refused without a reason"),
                    Failure::from,
                ))
            }
        }
    }
}

/// Nobody gives what is not theirs to give.
fn may(caller: &Caller, gives: &Gives) -> Result<(), Failure> {
    let Gives::Access(grants) = gives else {
        return caller.may_everywhere(Right::Administer);
    };
    grants.iter().try_for_each(|grant| match &grant.project {
        Some(project) => caller.may(Right::Administer, project.as_str()),
        None => caller.may_everywhere(Right::Administer),
    })
}

fn gives(request: &v1::CreateTokenRequest) -> Result<Gives, Refusal> {
    let bad = |message: String| Refusal::of_field(Reason::InvalidRequest, "grants", message);
    if request.join {
        if request.grants.is_empty() {
            return Ok(Gives::Join { used_by: None });
        }
        return Err(bad("a join token gives no roles; make two tokens".into()));
    }
    let grant = |grant: &v1::Grant| {
        let role: Role = grant
            .role
            .parse()
            .map_err(|error| bad(format!("{error}")))?;
        let project = match grant.project.as_str() {
            "" => None,
            name => Some(Name::new(name).map_err(|error| bad(error.to_string()))?),
        };
        Ok::<_, Refusal>(Grant { role, project })
    };
    let mut grants: Vec<Grant> = request.grants.iter().map(grant).collect::<Result<_, _>>()?;
    grants.sort();
    grants.dedup();
    Ok(Gives::Access(grants))
}

fn info(token: &Token, now_millis: u64) -> v1::TokenInfo {
    let micros = |millis: u64| i64::try_from(millis.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let (grants, join, used_by) = match &token.gives {
        Gives::Access(grants) => (grants.as_slice(), false, None),
        Gives::Join { used_by } => ([].as_slice(), true, used_by.as_ref()),
    };
    let grant = |grant: &Grant| v1::Grant {
        role: grant.role.as_str().into(),
        project: grant
            .project
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    };
    v1::TokenInfo {
        id: token.id.to_string(),
        name: token.name.clone(),
        grants: grants.iter().map(grant).collect(),
        join,
        used_by: used_by.map(|by| by.node.to_string()).unwrap_or_default(),
        created_at_us: micros(token.created_at_millis),
        created_by: token.created_by.clone(),
        expires_at_us: token.expires_at_millis.map(micros),
        expired: token.is_expired(now_millis),
    }
}
