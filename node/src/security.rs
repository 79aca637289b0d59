//! What nodes know each other by: the cluster's authority, certificates, and secrets on disk.
//!
//! An open cluster has none of it. Who may call from outside is the gateway's business (`gateway::access`).

mod names;
mod secrets;

mod authority;
mod identity;

mod earlier;
mod founding;
mod join_token;

mod channel;
mod explain;
mod links;
mod prefixed;

mod datagram;

mod client;
mod listener;

pub use authority::{Authority, AuthorityError};
pub use channel::{Met, Proof, Security};
pub use client::{ClientCertificate, client_of, trusting_nobody};
pub use datagram::{Seal, SealedUdp};
pub use earlier::Earlier;
pub use explain::explain;
pub use founding::{
    authority as kept_authority, authority_certificate as kept_authority_certificate, found,
    keep_authority,
};
pub use identity::{Asks, Identity, NodeKey, Papers, public_key_bytes};
pub use join_token::{JoinToken, JoinTokenError};
pub use links::LinkConfigs;
pub use listener::{Served, Shown, TlsError, TlsListener};
pub use secrets::{FIRST_TOKEN, random_bits};

#[cfg(test)]
pub(crate) use identity::signing_key;
