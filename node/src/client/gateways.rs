//! Several gateways as one: a call goes to the first that answers, and the next begins there.
//!
//! Which fault sends a call on to the next gateway is decided here; repeating a write later is the
//! caller's business, because only the caller knows its request id and its patience.

use super::{
    fault::Fault,
    gateway::GatewayAddress,
    tls::{self, Opener, Trust},
};
use crate::security::AuthorityError;
use gateway::admission::{CLASS_HEADER, Class};
use proto::reason::{Action, Reason};
use std::{
    error::Error as _,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

/// How long opening a connection may take; a gateway that takes longer is passed over.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an open connection is tried, so that a silent machine is noticed while calls wait.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How much later than the call's deadline we give up: the channel ends a call whose answer does
/// not begin in time, this ends one whose answer does not end.
const DEADLINE_MARGIN: Duration = Duration::from_millis(200);

/// Connections to one or more gateways.
#[derive(Debug)]
pub struct Gateways {
    doors: Vec<Door>,
    preferred: AtomicUsize,
    authorization: Option<MetadataValue<Ascii>>,
    class: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Door {
    address: GatewayAddress,
    channel: Channel,
    /// How it is spoken to with TLS, if it is.
    tls: Option<Opener>,
}

/// Why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// A gateway refused it.
    #[error(transparent)]
    Refused(#[from] Fault),
    /// No gateway could be reached.
    #[error(
        "no gateway answers at {addresses}: {cause}; start one with `atoll serve`, or name one with --gateway HOST:PORT"
    )]
    Unreachable {
        /// All that were tried.
        addresses: String,
        /// What the last one's connection said.
        cause: String,
    },
}

impl CallError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(fault) => {
                matches!(fault.action(), Action::Retry | Action::RetryElsewhere)
            }
            Self::Unreachable { .. } => true,
        }
    }

    /// The reason a gateway gave.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(fault) => fault.known_reason(),
            Self::Unreachable { .. } => None,
        }
    }
}

/// The access token or an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It does not fit a header.
    #[error(
        "the access token has characters that cannot travel in a header; copy it again from `atoll token create`"
    )]
    Token,
    /// The transport does not take the address.
    #[error("gateway {address} is no address to connect to: {cause}")]
    Address {
        /// The address.
        address: GatewayAddress,
        /// What the transport said.
        cause: String,
    },
    /// A gateway speaks TLS, and nobody says whom to trust.
    #[error(
        "gateway {0} speaks TLS; name the authority of its certificate with --ca-file FILE or ATOLL_CA_FILE"
    )]
    NoAuthorities(GatewayAddress),
    /// The authorities cannot be used.
    #[error("use --ca-file, --client-certificate-file and --client-key-file: {0}")]
    Authorities(#[from] AuthorityError),
    /// There is none.
    #[error("no gateway is named; name one with --gateway HOST:PORT")]
    None,
}

impl Gateways {
    /// Prepares connections; none is opened before the first call. Wants a tokio runtime.
    pub fn new(addresses: &[GatewayAddress], token: Option<&str>) -> Result<Self, SetupError> {
        Self::trusting(addresses, token, &Trust::default())
    }

    /// The same, for gateways with `https://` as well.
    pub fn trusting(
        addresses: &[GatewayAddress],
        token: Option<&str>,
        trust: &Trust,
    ) -> Result<Self, SetupError> {
        if addresses.is_empty() {
            return Err(SetupError::None);
        }
        let authorization = token
            .map(|token| format!("Bearer {token}").parse())
            .transpose()
            .map_err(|_| SetupError::Token)?;
        Ok(Self {
            doors: addresses
                .iter()
                .map(|address| door(address, trust))
                .collect::<Result<_, _>>()?,
            preferred: AtomicUsize::new(0),
            authorization,
            class: None,
        })
    }

    /// The same gateways, for work that gives way to that of others.
    #[must_use]
    pub fn in_bulk(&self) -> Self {
        Self {
            doors: self.doors.clone(),
            preferred: AtomicUsize::new(self.preferred.load(Ordering::Relaxed)),
            authorization: self.authorization.clone(),
            class: Some(Class::Bulk.as_str()),
        }
    }

    /// The gateway that the next call tries first.
    #[must_use]
    pub fn preferred(&self) -> &GatewayAddress {
        &self.doors[self.preferred.load(Ordering::Relaxed)].address
    }

    /// Sends `message` by `send`, to one gateway after the other until one answers. `deadline`
    /// bounds each attempt.
    pub async fn call<Q, A, F>(
        &self,
        message: Q,
        deadline: Duration,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, CallError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last_error = None;
        for turn in 0..self.doors.len() {
            let index = (first + turn) % self.doors.len();
            let request = self.request(message.clone(), deadline);
            let sent = send(self.doors[index].channel.clone(), request);
            let result = tokio::time::timeout(deadline + DEADLINE_MARGIN, sent)
                .await
                .unwrap_or_else(|_| Err(too_late(deadline)));
            match result {
                Ok(answer) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer.into_inner());
                }
                Err(status) => {
                    let status = or_too_late(status, deadline);
                    let error = self.error(&status, &self.doors[index]).await;
                    if !sends_on(&error) {
                        return Err(error);
                    }
                    last_error = Some(better(last_error, error));
                }
            }
        }
        Err(last_error.expect("there is at least one gateway"))
    }

    fn request<Q>(&self, message: Q, deadline: Duration) -> Request<Q> {
        let mut request = Request::new(message);
        request.set_timeout(deadline);
        if let Some(authorization) = &self.authorization {
            request
                .metadata_mut()
                .insert("authorization", authorization.clone());
        }
        if let Some(class) = self.class {
            let class = MetadataValue::from_static(class);
            request.metadata_mut().insert(CLASS_HEADER, class);
        }
        request
    }

    async fn error(&self, status: &Status, door: &Door) -> CallError {
        let speaks_tls = door.should_have_tls(status).await;
        if !speaks_tls && !is_closed(status) && !is_of_transport(status) {
            return Fault::of(status).into();
        }
        let addresses: Vec<String> = self
            .doors
            .iter()
            .map(|door| door.address.to_string())
            .collect();
        CallError::Unreachable {
            addresses: addresses.join(", "),
            cause: match speaks_tls {
                true => format!("it speaks TLS; name it https://{}", door.address),
                false => door.cause(status).await,
            },
        }
    }
}

fn door(address: &GatewayAddress, trust: &Trust) -> Result<Door, SetupError> {
    let endpoint = Endpoint::from_shared(address.uri()).map_err(|error| SetupError::Address {
        address: address.clone(),
        cause: error.to_string(),
    })?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20);
    let tls = match address.is_tls() {
        true => Some(Opener::new(address, trust)?),
        false => None,
    };
    let channel = match &tls {
        Some(opener) => endpoint.connect_with_connector_lazy(opener.connector()),
        None => endpoint.connect_lazy(),
    };
    Ok(Door {
        address: address.clone(),
        channel,
        tls,
    })
}

impl Door {
    /// Why it cannot be spoken to.
    async fn cause(&self, status: &Status) -> String {
        let said = match &self.tls {
            Some(opener) => opener.why_closed().await,
            None => None,
        };
        said.unwrap_or_else(|| root_cause(status))
    }

    /// Whether a call failed because it was made without TLS. What comes of that has many shapes, so the gateway is
    /// looked at, where this side made the status.
    async fn should_have_tls(&self, status: &Status) -> bool {
        let is_of_this_side = status.source().is_some() || is_closed(status);
        self.tls.is_none() && is_of_this_side && tls::is_spoken_at(&self.address).await
    }
}

/// The answer of a gateway that speaks for itself ends the call; another may do better otherwise.
fn sends_on(error: &CallError) -> bool {
    match error {
        CallError::Unreachable { .. } => true,
        CallError::Refused(fault) => fault.action() == Action::RetryElsewhere,
    }
}

/// What a gateway said is worth more to a person than that another could not be reached.
fn better(held: Option<CallError>, new: CallError) -> CallError {
    match (held, new) {
        (Some(held @ CallError::Refused(_)), CallError::Unreachable { .. }) => held,
        (_, new) => new,
    }
}

/// The channel calls its own timeout a cancellation.
fn or_too_late(status: Status, deadline: Duration) -> Status {
    if status.code() == Code::Cancelled && status.message() == "Timeout expired" {
        too_late(deadline)
    } else {
        status
    }
}

fn too_late(deadline: Duration) -> Status {
    Status::deadline_exceeded(format!(
        "no answer within {:.1} s; a write may have happened all the same",
        deadline.as_secs_f64()
    ))
}

/// Whether the connection was closed before the call was sent.
fn is_closed(status: &Status) -> bool {
    status.code() == Code::Cancelled && status.message() == "operation was canceled"
}

/// What the library says of bytes that are no frames of HTTP/2.
const FRAMES_BROKE: &str = "h2 protocol error";

/// Whether the status was made on this side, because the connection failed.
fn is_of_transport(status: &Status) -> bool {
    let mut source = status.source();
    // The other side speaks something else; only a status of this side has a source.
    if source.is_some() && status.message().starts_with(FRAMES_BROKE) {
        return true;
    }
    while let Some(error) = source {
        if error.is::<tonic::transport::Error>() || error.is::<std::io::Error>() {
            return matches!(status.code(), Code::Unavailable | Code::Unknown);
        }
        source = error.source();
    }
    false
}

fn root_cause(status: &Status) -> String {
    let mut cause = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        cause = error.to_string();
        source = error.source();
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code) -> CallError {
        Fault::of(&Status::new(code, "said so")).into()
    }

    fn unreachable() -> CallError {
        CallError::Unreachable {
            addresses: "a:1".to_owned(),
            cause: "connection refused".to_owned(),
        }
    }

    #[test]
    fn only_what_another_gateway_may_do_better_is_sent_on() {
        assert!(sends_on(&unreachable()));
        assert!(sends_on(&refused(Code::Unavailable)));
        assert!(!sends_on(&refused(Code::InvalidArgument)));
        assert!(!sends_on(&refused(Code::DeadlineExceeded)));
    }

    #[test]
    fn a_gateways_own_word_is_kept_over_a_failed_connection() {
        let kept = better(Some(refused(Code::Unavailable)), unreachable());
        assert!(matches!(kept, CallError::Refused(_)));
        let kept = better(Some(unreachable()), refused(Code::Unavailable));
        assert!(matches!(kept, CallError::Refused(_)));
    }

    #[tokio::test]
    async fn nobody_listening_is_said_with_the_way_out() {
        // Port 1 of loopback: nothing listens there, and connecting is refused at once.
        let addresses = ["127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap()];
        let gateways = Gateways::new(&addresses, Some("secret")).unwrap();
        let error = gateways
            .call(
                (),
                Duration::from_secs(5),
                |channel, request: Request<()>| async move {
                    let mut client =
                        wire::v1::admin_service_client::AdminServiceClient::new(channel);
                    client
                        .status(request.map(|()| wire::v1::StatusRequest {}))
                        .await
                },
            )
            .await
            .unwrap_err();
        assert!(error.is_retryable());
        let message = error.to_string();
        assert!(
            message.starts_with("no gateway answers at 127.0.0.1:1, [::1]:1: "),
            "{message}"
        );
        assert!(
            message.ends_with("name one with --gateway HOST:PORT"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn a_gateway_that_says_nothing_is_too_late() {
        // It takes connections and never speaks.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap().to_string().parse().unwrap();
        let gateways = Gateways::new(&[address], None).unwrap();
        let request = wire::v1::StatusRequest {};
        let error = gateways
            .status(request, Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(error.is_retryable());
        assert_eq!(
            error.to_string(),
            "no answer within 0.1 s; a write may have happened all the same"
        );
    }

    #[test]
    fn a_token_with_a_line_break_is_refused() {
        let address = "127.0.0.1:1".parse().unwrap();
        let error = Gateways::new(&[address], Some("a\nb")).unwrap_err();
        assert!(matches!(error, SetupError::Token));
    }
}
