//! Tokens, as far as the judge needs them: does one cover another?

use super::Unjudgeable;
use crate::history::{CallId, TokenBytes};
use proto::{
    id::{ClusterId, Stream},
    token::{Reached, Token},
};
use std::{collections::BTreeMap, rc::Rc};

/// How far a client had seen, by stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach(BTreeMap<Stream, Reached>);

impl Reach {
    /// Reads a token of a history.
    pub fn of(
        token: Option<&TokenBytes>,
        cluster: ClusterId,
        call: CallId,
    ) -> Result<Option<Rc<Self>>, Unjudgeable> {
        let Some(bytes) = token else { return Ok(None) };
        let token = Token::decode(bytes.as_slice(), cluster)
            .map_err(|source| Unjudgeable::Token { call, source })?;
        // A token that names no stream promises nothing.
        Ok((token.streams().next().is_some()).then(|| Rc::new(Self(token.streams().collect()))))
    }

    /// Whether whoever has seen this has seen all of `part`.
    pub fn covers(&self, part: &Self) -> bool {
        part.0
            .iter()
            .all(|(stream, reached)| self.0.get(stream).is_some_and(|own| own >= reached))
    }
}
