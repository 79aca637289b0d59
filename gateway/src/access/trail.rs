//! The trail of administration: who did what, when, and what came of it.

use crate::failure::Failure;
use parking_lot::Mutex;
use proto::id::TokenId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One thing that was done, or tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailEntry {
    /// When, by the clock of the node that was asked.
    pub at_millis: u64,
    /// Who, as histories name them.
    pub who: String,
    /// The token that was shown, if one was and it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// The call.
    pub call: String,
    /// What was asked for, in words.
    pub what: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// It was not: the reason, and the message that the caller got.
    Refused {
        /// The reason or code.
        reason: String,
        /// The message.
        message: String,
    },
}

impl From<&Failure> for Outcome {
    fn from(failure: &Failure) -> Self {
        Self::Refused {
            reason: failure.reason.as_str().into(),
            message: failure.message.clone(),
        }
    }
}

/// Keeps entries. It must not block: entries come from where calls are answered.
pub trait Trail: Send + Sync {
    /// Keeps one.
    fn keep(&self, entry: TrailEntry);
}

/// Where a call says in words what it was asked for. It comes with the request of every call that is
/// kept; others have none, and writing to it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Note(Option<Arc<Mutex<String>>>);

impl Note {
    pub(crate) fn blank() -> Self {
        Self(Some(Arc::default()))
    }

    /// The note of a request.
    #[must_use]
    pub fn of(extensions: &axum::http::Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Writes what is asked for. Never a secret.
    pub fn write(&self, what: impl Into<String>) {
        if let Some(note) = &self.0 {
            *note.lock() = what.into();
        }
    }

    pub(super) fn read(&self) -> String {
        let text = self.0.as_ref().map(|note| note.lock().clone());
        text.unwrap_or_default()
    }
}
