//! What a cluster is secured with when it is founded: its authority, and the first token.

use super::{Authority, AuthorityError, FIRST_TOKEN, authority::failed, random_bits};
use crate::components::Home;
use gateway::access::Secret;
use proto::id::{ClusterId, TokenId};
use raft::registry::access::{Gives, Grant, Role, Security, Token};

/// The authority's key, at the nodes that may sign.
pub(super) const AUTHORITY_KEY: &str = "authority.key";
/// Its certificate, for people who give it to clients; the registry has it as well.
pub(super) const AUTHORITY: &str = "authority.pem";

/// Makes the authority of `cluster` and its first token, or takes those that an earlier try has kept
/// in `home`. The token's text stays there, for an administrator to take away.
pub fn found(
    home: &dyn Home,
    cluster: ClusterId,
    at_millis: u64,
) -> Result<Security, AuthorityError> {
    let keep = |name: &str, text: &str| {
        let kept = home.keep_secret(name, text);
        kept.map_err(failed("keep a secret"))
    };
    let kept = |name: &str| home.secret(name).map_err(failed("read a secret"));
    let authority = match kept(AUTHORITY_KEY)? {
        Some(pem) => Authority::of_key(&pem)?,
        None => {
            let authority = Authority::make()?;
            keep(AUTHORITY_KEY, &authority.key())?;
            authority
        }
    };
    let certificate = authority.certificate()?;
    keep(AUTHORITY, &certificate)?;
    let first = match kept(FIRST_TOKEN)? {
        Some(text) => Secret::read(text.trim()).map_err(failed("read the first token"))?,
        None => {
            let (id, bits) = (random_bits(), random_bits());
            let id = u64::from_le_bytes(*id.first_chunk().expect("256 bits have 64"));
            let secret = Secret::new(TokenId(id), bits);
            keep(FIRST_TOKEN, &format!("{}\n", secret.text()))?;
            secret
        }
    };
    Ok(Security {
        authority: certificate.into(),
        administrator: administrator(&first, cluster, at_millis),
    })
}

fn administrator(secret: &Secret, cluster: ClusterId, at_millis: u64) -> Token {
    Token {
        id: secret.id(),
        hash: secret.hash(cluster),
        name: "first administrator".into(),
        gives: Gives::Access(vec![Grant {
            role: Role::Admin,
            project: None,
        }]),
        expires_at_millis: None,
        created_at_millis: at_millis,
        created_by: "atoll init".into(),
    }
}
