//! Writing hint files for segments in which nothing is open any more.

use super::StepError;
use crate::{
    body::Body,
    hint::{self, Content, HintFile, HintSpan, hint_path},
    store::Store,
};
use proto::hlc::Hlc;
use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

impl Store {
    /// Writes the hint file of one settled segment. Says whether there was one.
    pub fn hint_step(&self) -> Result<bool, StepError> {
        let _alone = self.keeper.lock();
        let bodies = self.bodies.all();
        let synced = self.progress.synced.load(Ordering::Acquire);
        // The states at the head of the newest log segment are read at a restart, so the newest
        // one whose head is durable stays without a hint file.
        let logs = bodies.iter().filter(|body| !body.is_base);
        let newest_durable = logs
            .map(|body| &body.segment)
            .filter(|segment| segment.header.first_group <= synced);
        let newest_durable = newest_durable.map(|segment| segment.id).max();
        let due = bodies.iter().find(|body| {
            let facts = body.facts.lock();
            let settled = facts.hint.is_none() && facts.end.is_some() && facts.unsettled == 0;
            settled
                && (body.is_base || newest_durable.is_some_and(|newest| body.segment.id < newest))
        });
        let Some(body) = due else { return Ok(false) };
        self.write_hint(body)
            .map_err(StepError::while_doing("writing a hint file"))?;
        Ok(true)
    }

    /// Nothing is added to settled content, so it can be read while the lock is free.
    fn write_hint(&self, body: &Arc<Body>) -> io::Result<()> {
        let mut facts = body.facts.lock();
        facts.content.settle();
        let views = self.views.read().by_number();
        let encoded = hint::encode(
            &span_of(body, facts.end, facts.last_group, &facts.content),
            &facts.content,
            &views,
        );
        drop(facts);
        encoded.write(&self.directory, body.segment.id)?;
        self.directory.sync()?;
        let written = HintFile::open(
            self.directory.disk().as_ref(),
            &hint_path(&self.directory, body.segment.id),
        )?;
        let written = written.ok_or_else(|| io::Error::other("a hint file does not read back"))?;
        let mut facts = body.facts.lock();
        facts.hint = Some(Arc::new(written));
        facts.content = Content::default();
        Ok(())
    }
}

fn span_of(body: &Body, end: Option<u64>, last_group: u64, content: &Content) -> HintSpan {
    let header = &body.segment.header;
    HintSpan {
        segment: body.segment.id.0,
        end: end.unwrap_or(body.segment.size_bytes()),
        first_group: header.first_group,
        last_group,
        born_after: header.born_after,
        largest_hlc: content
            .entries
            .iter()
            .map(|entry| entry.hlc)
            .max()
            .unwrap_or(Hlc::ZERO),
        row_bytes: content
            .rows
            .iter()
            .map(|row| row.place.length() as u64)
            .sum(),
    }
}
