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
    let kept_before = match authority(home)? {
        Some(authority) => authority,
        None => {
            let authority = Authority::make()?;
            keep_authority(home, &authority)?;
            authority
        }
    };
    let certificate = kept_before.certificate()?;
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

/// The authority, at a node that may sign.
pub fn authority(home: &dyn Home) -> Result<Option<Authority>, AuthorityError> {
    let pem = home
        .secret(AUTHORITY_KEY)
        .map_err(failed("read a secret"))?;
    pem.map(|pem| Authority::of_key(&pem)).transpose()
}

/// The authority's certificate, at every node that has had papers.
pub fn authority_certificate(home: &dyn Home) -> Result<Option<String>, AuthorityError> {
    home.secret(AUTHORITY).map_err(failed("read a secret"))
}

/// Keeps the authority: this node may sign from now on.
pub fn keep_authority(home: &dyn Home, authority: &Authority) -> Result<(), AuthorityError> {
    let kept = home.keep_secret(AUTHORITY_KEY, &authority.key());
    kept.map_err(failed("keep a secret"))
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
