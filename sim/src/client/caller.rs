//! One client: sends operations, sends writes again that have no outcome, records all of it.

use super::{
    lookup::ask,
    write::{Message, Sent, requests},
};
use crate::{
    history::{
        Bytes, Event, FinalRead, LookupAnswer, Micros, ReadCell, RecordError, Recorder, TokenBytes,
        Wanted, WriteAnswer, WriteRow,
    },
    random::Random,
    workload::Probe,
};
use proto::{id::ClusterId, request::RequestId, token::Token};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};
use tonic::{Request, Response, Status, transport::Channel};
use wire::v1::feature_service_client::FeatureServiceClient;

/// How long a call waits for its answer.
const CALL_WITHIN: Duration = Duration::from_secs(1);
/// Attempts of one write.
const ATTEMPTS: u32 = 4;

/// The harness's clock: since its history began.
pub type Clock = Arc<dyn Fn() -> Micros + Send + Sync>;

/// See the module.
pub struct Caller {
    client: FeatureServiceClient<Channel>,
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
            client: FeatureServiceClient::new(channel),
            probe,
            recorder,
            clock,
            cluster,
            random,
            token: Token::default(),
        }
    }

    /// Carries `rows` out, under request ids of the wall clock's `millis` and of `bits`.
    pub async fn write(
        &mut self,
        bits: u128,
        rows: Vec<WriteRow>,
        millis: u64,
    ) -> Result<(), RecordError> {
        let mut random = Random::of(bits as u64);
        let id = || RequestId::make(millis, random.wide_bits());
        for sent in requests(&self.probe, rows, id) {
            for attempt in 1..=ATTEMPTS {
                if self.attempt(&sent).await? {
                    break;
                }
                let pause = self.random.within(10_000..300_000 * u64::from(attempt));
                sleep(Duration::from_micros(pause)).await;
            }
        }
        Ok(())
    }

    /// Tells whether the request is settled.
    async fn attempt(&mut self, sent: &Sent) -> Result<bool, RecordError> {
        let rows = sent.rows.clone();
        let call = self
            .recorder
            .write_issued((self.clock)(), sent.id, rows, None)?;
        let mut client = self.client.clone();
        let answer = match sent.message.clone() {
            Message::Write(message) => within(client.write(request(message))).await,
            Message::Delete(message) => within(client.delete(request(message))).await,
        };
        let answer = sent.outcome(answer);
        let is_settled = match &answer {
            WriteAnswer::Acknowledged(given) => {
                self.saw(given.token.as_ref());
                given.unknown.is_empty()
            }
            WriteAnswer::Refused(_) => true,
            WriteAnswer::Unknown(_) => false,
        };
        self.recorder.write_answered((self.clock)(), call, answer)?;
        Ok(is_settled)
    }

    /// Looks `wanted` up, with all that this client has seen and written if `with_token`.
    pub async fn look_up(
        &mut self,
        wanted: &[Wanted],
        with_token: bool,
    ) -> Result<(), RecordError> {
        let token = if with_token { self.own_token() } else { None };
        let event_times = self.random.percent(50);
        let asked = ask(&self.probe, wanted, token.as_ref(), event_times);
        let issued = (self.clock)();
        let call = self
            .recorder
            .lookup_issued(issued, asked.wanted.clone(), token)?;
        let answer = within(self.client.lookup(request(asked.message.clone()))).await;
        let answer = asked.outcome(answer);
        if let LookupAnswer::Values(values) = &answer {
            self.saw(values.token.as_ref());
        }
        self.recorder.lookup_answered((self.clock)(), call, answer)
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
        let reading = async {
            loop {
                let began = (self.clock)();
                let answer = within(self.client.lookup(request(asked.message.clone()))).await;
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

    fn own_token(&self) -> Option<TokenBytes> {
        if self.token.is_empty() {
            return None;
        }
        let token = self.token.encode(self.cluster);
        Some(Bytes::of(&token.expect("merged tokens stay small")))
    }

    /// A token that cannot be read is recorded, and is the judge's business.
    fn saw(&mut self, token: Option<&TokenBytes>) {
        if let Some(Ok(token)) = token.map(|token| Token::decode(token.as_slice(), self.cluster)) {
            self.token.merge(&token);
        }
    }
}

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_WITHIN);
    request
}

async fn within<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
    // The channel ends a call whose answer does not begin in time, this one whose answer does not end.
    match timeout(2 * CALL_WITHIN, call).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("the client gave it up")),
    }
}
