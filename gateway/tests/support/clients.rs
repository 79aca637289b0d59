//! Clients of a gateway in this process: gRPC over a pipe, HTTP straight into the router.

use super::World;
use axum::body::Body;
use futures::StreamExt;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use proto::reason::Reason;
use serde_json::Value;
use std::sync::Arc;
use tokio::{io::DuplexStream, sync::mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint, Uri},
};
use tonic_types::StatusExt;
use tower::{ServiceExt, service_fn};
use wire::v1;

/// A client with the published schema.
pub type Client = v1::feature_service_client::FeatureServiceClient<Channel>;

impl World {
    /// A channel to a server that ends with the test.
    pub async fn channel(&self) -> Channel {
        let (connect, connections) = mpsc::unbounded_channel::<DuplexStream>();
        let connections = UnboundedReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
        let routes = gateway::grpc::routes(&self.gateway);
        tokio::spawn(gateway::grpc::serve(
            routes,
            (
                self.gateway.guard().clone(),
                Arc::clone(self.gateway.gate()),
            ),
            connections,
            std::future::pending(),
        ));
        let connector = service_fn(move |_: Uri| {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let sent = connect.send(theirs);
            async move {
                sent.map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>(TokioIo::new(ours))
            }
        });
        Endpoint::from_static("http://gateway")
            .connect_with_connector(connector)
            .await
            .unwrap()
    }

    /// A client with the published schema, as any language generates it.
    pub async fn client(&self) -> Client {
        let limit = proto::limits::MESSAGE_BYTES;
        Client::new(self.channel().await)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }

    /// Posts JSON text and gives status and body.
    pub async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request = axum::http::Request::post(path)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let (status, text) = self.send(request).await;
        super::openapi::check("POST", path, body, status, &text);
        (
            status,
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}")),
        )
    }

    /// Gets a path.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let request = axum::http::Request::get(path).body(Body::empty());
        let (status, text) = self.send(request.unwrap()).await;
        super::openapi::check("GET", path, "", status, &text);
        (status, text)
    }

    /// Any method, path and body, held to `/openapi.json` as well.
    pub async fn exchange(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .body(Body::from(body.to_owned()));
        let (status, text) = self.send(request.unwrap()).await;
        super::openapi::check(method, path, body, status, &text);
        (status, text)
    }

    async fn send(&self, request: axum::http::Request<Body>) -> (u16, String) {
        let response = gateway::http::router(&self.gateway)
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }
}

/// One join key of integers.
pub fn ints(name: &str, ints: &[i64]) -> v1::KeyColumn {
    v1::KeyColumn {
        name: name.into(),
        ints: ints.to_vec(),
        ..Default::default()
    }
}

/// One join key of strings.
pub fn texts(name: &str, texts: &[&str]) -> v1::KeyColumn {
    let strings = texts.iter().map(|text| (*text).to_owned()).collect();
    v1::KeyColumn {
        name: name.into(),
        strings,
        ..Default::default()
    }
}

/// A column of int64.
pub fn int64s(feature: &str, i64: &[i64]) -> v1::Column {
    v1::Column {
        feature: feature.into(),
        r#type: v1::Type::Int64.into(),
        i64: i64.to_vec(),
        ..Default::default()
    }
}

/// Rows of one view in project `shop`.
pub fn write(
    view: &str,
    keys: Vec<v1::KeyColumn>,
    features: Vec<v1::Column>,
    times: &[u64],
) -> v1::WriteRequest {
    let event_times_us = times
        .iter()
        .map(|time| i64::try_from(*time).unwrap())
        .collect();
    let rows = v1::ViewRows {
        view: view.into(),
        keys,
        features,
        event_times_us,
    };
    v1::WriteRequest {
        project: "shop".into(),
        writes: vec![rows],
        ..Default::default()
    }
}

/// A lookup of features in project `shop`.
pub fn lookup(
    features: &[&str],
    shared: Vec<v1::KeyColumn>,
    rows: Vec<v1::KeyColumn>,
) -> v1::LookupRequest {
    let names = features.iter().map(|text| (*text).to_owned()).collect();
    v1::LookupRequest {
        project: "shop".into(),
        select: Some(v1::lookup_request::Select::Features(v1::Features { names })),
        shared,
        rows,
        ..Default::default()
    }
}

/// The statuses of an answer's column, one byte per row.
pub fn statuses(answer: &v1::LookupResponse, column: usize) -> Vec<u8> {
    let column = &answer.columns[column];
    let rows = if column.shared {
        1
    } else {
        answer.row_count as usize
    };
    match (column.statuses as usize).checked_sub(1) {
        None => vec![v1::ValueStatus::Present as u8; rows],
        Some(place) => answer.statuses[place].to_vec(),
    }
}

/// The call was refused with this code, reason and these words.
#[track_caller]
pub fn check_refused<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: Code,
    reason: Reason,
    words: &str,
) {
    let status = answer.unwrap_err();
    let details = status.get_error_details();
    let info = details.error_info().expect("every error says its reason");
    assert_eq!(
        (status.code(), info.reason.as_str()),
        (code, reason.as_str()),
        "{status}"
    );
    assert_eq!(info.domain, "atoll");
    assert!(
        status.message().contains(words),
        "{:?} lacks {words:?}",
        status.message()
    );
}
