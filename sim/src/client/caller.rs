//! One client: sends operations, sends writes again that have no outcome, records all of it.

use super::{
    lookup::ask,
    write::{Message, Sent, requests},
};
use crate::{
    history::{
        Bytes, Event, FinalRead, LookupAnswer, Micros, ReadCell, RecordError, Recorder,
        RejectedRow, Status, TokenBytes, Wanted, WriteAnswer, WriteRow,
    },
    random::Random,
    workload::Probe,
};
use proto::{id::ClusterId, request::RequestId, token::Token};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};
use tonic::{Request, Response, transport::Channel};
use wire::v1::feature_service_client::FeatureServiceClient;

/// How long a call waits for its answer, unless the caller says otherwise.
const CALL_WITHIN: Duration = Duration::from_secs(1);
/// Attempts of one write.
const ATTEMPTS: u32 = 4;

/// The harness's clock: since its history began.
pub type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// How a lookup ended; what it said stands in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// With values, so many of them `UNAVAILABLE`.
    Answered {
        /// How many.
        unavailable: usize,
    },
    /// With `STALE`.
    Stale,
    /// With another error, or not at all.
    Failed(String),
}

/// How a write ended, over all its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrote {
    /// Every row of it was acknowledged or rejected by itself.
    Acknowledged,
    /// Something of it was refused as a whole.
    Refused,
    /// Something of it has no outcome.
    Open,
}

/// See the module.
pub struct Caller {
    gateways: Vec<FeatureServiceClient<Channel>>,
    /// The one it calls now.
    at: usize,
    call_within: Duration,
    probe: Probe,
    recorder: Recorder,
    clock: Clock,
    cluster: ClusterId,
    random: Random,
    /// All that this client has seen and written.
    token: Token,
}

impl Caller {
    /// A client of the gateway behind `channel`; `random` draws its pauses.
    #[must_use]
    pub fn new(
        channel: Channel,
        probe: Probe,
        (recorder, clock): (Recorder, Clock),
        cluster: ClusterId,
        random: Random,
    ) -> Self {
        Self {
            gateways: vec![FeatureServiceClient::new(channel)],
            at: 0,
            call_within: CALL_WITHIN,
            probe,
            recorder,
            clock,
            cluster,
            random,
            token: Token::default(),
        }
    }

    /// The same client with further gateways: a write without an outcome is sent again to the next
    /// one.
    #[must_use]
    pub fn with_gateways(mut self, channels: impl IntoIterator<Item = Channel>) -> Self {
        let more = channels.into_iter().map(FeatureServiceClient::new);
        self.gateways.extend(more);
        self
    }

    /// The same client with calls that wait for `within`.
    #[must_use]
    pub const fn with_patience(mut self, within: Duration) -> Self {
        self.call_within = within;
        self
    }

    /// Which gateway it calls, in the order in which they were given.
    #[must_use]
    pub const fn gateway(&self) -> usize {
        self.at
    }

    /// Calls that gateway from now on.
    ///
    /// # Panics
    /// If there is no such gateway.
    pub fn choose(&mut self, gateway: usize) {
        assert!(gateway < self.gateways.len(), "no gateway {gateway}");
        self.at = gateway;
    }

    /// All that this client has seen and written.
    #[must_use]
    pub const fn token(&self) -> &Token {
        &self.token
    }

    /// Carries `rows` out, under request ids of the wall clock's `millis` and of `bits`.
    pub async fn write(
        &mut self,
        bits: u128,
        rows: Vec<WriteRow>,
        millis: u64,
    ) -> Result<Wrote, RecordError> {
        let mut random = Random::of(bits as u64);
        let id = || RequestId::make(millis, random.wide_bits());
        let mut worst = Wrote::Acknowledged;
        for sent in requests(&self.probe, rows, id) {
            worst = worst.max(self.settle(&sent).await?);
        }
        Ok(worst)
    }

    /// Sends a request until it has an outcome, or often enough.
    async fn settle(&mut self, sent: &Sent) -> Result<Wrote, RecordError> {
        for attempt in 1..=ATTEMPTS {
            let wrote = self.attempt(sent).await?;
            if wrote != Wrote::Open {
                return Ok(wrote);
            }
            self.at = (self.at + 1) % self.gateways.len();
            let pause = self.random.within(10_000..300_000 * u64::from(attempt));
            sleep(Duration::from_micros(pause)).await;
        }
        Ok(Wrote::Open)
    }

    async fn attempt(&mut self, sent: &Sent) -> Result<Wrote, RecordError> {
        let rows = sent.rows.clone();
        let call = self
            .recorder
            .write_issued((self.clock)(), sent.id, rows, None)?;
        let mut client = self.client();
        let limit = self.call_within;
        let answer = match sent.message.clone() {
            Message::Write(message) => within(limit, client.write(request(limit, message))).await,
            Message::Delete(message) => within(limit, client.delete(request(limit, message))).await,
        };
        let answer = sent.outcome(answer);
        let wrote = match &answer {
            WriteAnswer::Acknowledged(given) => {
                self.saw(given.token.as_ref());
                // What this attempt could not place has no outcome yet.
                let is_settled = RejectedRow::is_for_ever;
                if given.unknown.is_empty() && given.rejected.iter().all(is_settled) {
                    Wrote::Acknowledged
                } else {
                    Wrote::Open
                }
            }
            WriteAnswer::Refused(_) => Wrote::Refused,
            WriteAnswer::Unknown(_) => Wrote::Open,
        };
        self.recorder.write_answered((self.clock)(), call, answer)?;
        Ok(wrote)
    }

    /// Looks `wanted` up, with all that this client has seen and written if `with_token`.
    pub async fn look_up(
        &mut self,
        wanted: &[Wanted],
        with_token: bool,
    ) -> Result<Looked, RecordError> {
        let token = if with_token { self.own_token() } else { None };
        let event_times = self.random.percent(50);
        let asked = ask(&self.probe, wanted, token.as_ref(), event_times);
        let issued = (self.clock)();
        let call = self
            .recorder
            .lookup_issued(issued, asked.wanted.clone(), token)?;
        let limit = self.call_within;
        let mut client = self.client();
        let calling = client.lookup(request(limit, asked.message.clone()));
        let answer = within(limit, calling).await;
        let answer = asked.outcome(answer);
        let looked = looked(&answer);
        if let LookupAnswer::Values(values) = &answer {
            self.saw(values.token.as_ref());
        }
        self.recorder
            .lookup_answered((self.clock)(), call, answer)?;
        Ok(looked)
    }

    /// Reads rows for the end of a run, until they answer; `replica` is who is asked. The error says
    /// why they did not within `patience`.
    pub async fn read_at_the_end(
        &mut self,
        wanted: &[Wanted],
        replica: &str,
        patience: Duration,
    ) -> Result<(), String> {
        let asked = ask(&self.probe, wanted, None, true);
        let mut why = String::from("no answer");
        let (mut client, limit) = (self.client(), self.call_within);
        let reading = async {
            loop {
                let began = (self.clock)();
                let calling = client.lookup(request(limit, asked.message.clone()));
                let answer = within(limit, calling).await;
                match asked.outcome(answer) {
                    LookupAnswer::Values(values) => return (began, values.rows),
                    LookupAnswer::Stale => why = "stale".into(),
                    LookupAnswer::Failed(failure) => why = failure,
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        let Ok((began, rows)) = timeout(patience, reading).await else {
            return Err(format!("no final read of {replica} in {patience:?}: {why}"));
        };
        self.record_final(replica, began, asked.wanted, rows)
            .map_err(|error| error.to_string())
    }

    fn record_final(
        &self,
        replica: &str,
        began: Micros,
        wanted: Vec<Wanted>,
        rows: Vec<Vec<ReadCell>>,
    ) -> Result<(), RecordError> {
        for (wanted, cells) in wanted.into_iter().zip(rows) {
            let read = FinalRead {
                replica: replica.to_owned(),
                began,
                wanted,
                cells,
            };
            self.recorder
                .event((self.clock)(), Event::FinalRead(read))?;
        }
        Ok(())
    }

    fn client(&self) -> FeatureServiceClient<Channel> {
        self.gateways[self.at].clone()
    }

    fn own_token(&self) -> Option<TokenBytes> {
        if self.token.is_empty() {
            return None;
        }
        Some(Bytes::of(&self.token.encode(self.cluster)))
    }

    /// A token that cannot be read is recorded, and is the judge's business.
    fn saw(&mut self, token: Option<&TokenBytes>) {
        if let Some(Ok(token)) = token.map(|token| Token::decode(token.as_slice(), self.cluster)) {
            self.token.merge(&token);
        }
    }
}

fn looked(answer: &LookupAnswer) -> Looked {
    match answer {
        LookupAnswer::Values(values) => {
            let cells = values.rows.iter().flatten();
            let unavailable = cells.filter(|cell| cell.status == Status::Unavailable);
            Looked::Answered {
                unavailable: unavailable.count(),
            }
        }
        LookupAnswer::Stale => Looked::Stale,
        LookupAnswer::Failed(why) => Looked::Failed(why.clone()),
    }
}

fn request<T>(within: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(within);
    request
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, tonic::Status>>,
) -> Result<T, tonic::Status> {
    // The channel ends a call whose answer does not begin in time, this one whose answer does not end.
    match timeout(2 * limit, call).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(tonic::Status::deadline_exceeded("the client gave it up")),
    }
}
