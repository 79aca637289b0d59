//! The requests of the last minutes, from the entries that carry them.

use super::RecoveredShard;
use crate::{error::OpenError, hint::HintEntry, state::RecentRequest, store::Store};
use proto::{hlc::Hlc, id::ShardId, request::RequestId};
use std::{collections::BTreeMap, time::Duration};

/// Adds the committed requests within the window to what was recovered.
pub(super) fn collect(
    store: &Store,
    shards: &mut BTreeMap<ShardId, RecoveredShard>,
) -> Result<(), OpenError> {
    let oldest = window_start(store.largest_hlc(), store.settings.remembered);
    for body in store.bodies.all().iter().filter(|body| !body.is_base) {
        let (hint, content) = {
            let facts = body.facts.lock();
            (facts.hint.clone(), facts.content.entries.clone())
        };
        for entry in &content {
            note(entry, oldest, shards);
        }
        let Some(hint) = hint.filter(|hint| hint.span.largest_hlc >= oldest) else {
            continue;
        };
        for part in hint.parts.iter().filter(|part| part.entries > 0) {
            let begun = shards
                .get(&part.shard)
                .map_or(0, |shard| shard.state.begun_in_group);
            if hint.span.last_group < begun {
                continue;
            }
            for entry in hint
                .entries(part)
                .map_err(OpenError::while_doing("reading a hint file"))?
            {
                note(&entry, oldest, shards);
            }
        }
    }
    for shard in shards.values_mut() {
        shard.requests.sort_unstable();
        shard.requests.dedup();
    }
    Ok(())
}

/// The oldest stamp whose request is still remembered when the log has come to `newest`.
pub(crate) fn window_start(newest: Hlc, window: Duration) -> Hlc {
    let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    Hlc::from_millis(newest.millis().saturating_sub(window))
}

fn note(entry: &HintEntry, oldest: Hlc, shards: &mut BTreeMap<ShardId, RecoveredShard>) {
    if entry.request == RequestId::NONE || entry.hlc < oldest {
        return;
    }
    if let Some(shard) = shards.get_mut(&entry.shard) {
        let (position, hlc) = (entry.position, entry.hlc);
        shard.requests.push(RecentRequest {
            position,
            hlc,
            request: entry.request,
            part: entry.part,
        });
    }
}
