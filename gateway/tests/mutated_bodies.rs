//! Bodies that somebody damaged: the gateway answers or refuses them as documented, and never panics.
//!
//! A fuzzer's work on stable Rust: kept bodies (`corpus/`), a seeded generator, a bounded run. A failure names its
//! seed; what it found belongs into the corpus. `ATOLL_MUTATIONS=100000` makes a run as long as that.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "../../proto/tests/mutations/mod.rs"]
mod mutations;
mod support;

use axum::http::uri::PathAndQuery;
use bytes::{Buf as _, BufMut as _};
use gateway::http::{Compat, FeastSettings};
use mutations::Numbers;
use prost::Message as _;
use serde_json::{Value, json};
use support::{World, catalog};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use wire::v1;

const RUNS: u64 = 2_000;

/// Paths and what is sent there.
const BODIES: [(&str, &str); 6] = [
    ("/v1/lookup", include_str!("corpus/lookup.json")),
    ("/v1/write", include_str!("corpus/write.json")),
    ("/v1/delete", include_str!("corpus/delete.json")),
    (
        "/get-online-features",
        include_str!("corpus/feast-get.json"),
    ),
    ("/push", include_str!("corpus/feast-push.json")),
    (
        "/write-to-online-store",
        include_str!("corpus/feast-write.json"),
    ),
];

/// What JSON and the bodies give a meaning to.
const PIECES: [&str; 28] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "-0",
    "1e999",
    "-1e-999",
    "9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "\"NaN\"",
    "\"-Infinity\"",
    "\"\\ud800\"",
    "\\u0000",
    "\"\"",
    "{\"a\":",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "\"9999-12-31T23:59:60Z\"",
    "\"1969-01-01T00:00:00Z\"",
    "\"-5s\"",
    "\"99999999999999999999h\"",
    "é",
    "\u{0}",
];

fn world() -> World {
    let feast = FeastSettings {
        project: Some("shop".into()),
        compat: Compat::Spec,
    };
    World::with_feast(catalog::shop(), feast)
}

/// Whether a refusal says something: ours in `error`, Feast's in `detail` or as a text by itself.
fn has_words(answer: &str) -> bool {
    let told: Value = serde_json::from_str(answer).unwrap();
    let ours = told.pointer("/error/message");
    let words = ours.or_else(|| told.get("detail")).unwrap_or(&told);
    !matches!(words, Value::Null) && *words != json!("") && *words != json!([])
}

#[tokio::test]
async fn damaged_json_is_answered_or_refused_as_the_document_says() {
    let world = world();
    for (path, kept) in BODIES {
        let (status, answer) = world.exchange("POST", path, kept).await;
        assert_eq!(status, 200, "the kept body is a good one: {path}: {answer}");
        let (mut taken, mut refused) = (0, 0);
        for seed in 0..mutations::runs(RUNS) {
            let body = mutations::text(kept, &PIECES, &mut Numbers::of(seed));
            // Holds status and answer, and what was taken, to /openapi.json.
            let (status, answer) = world.exchange("POST", path, &body).await;
            let about = || format!("{path}, seed {seed}: {status} {answer} to {body}");
            // Feast's own server answers a feature that is named twice with 500.
            let is_feasts = status == 500 && answer.contains("FeatureNameCollisionError");
            assert!(status < 500 || is_feasts, "{}", about());
            taken += u64::from(status < 400);
            refused += u64::from(status >= 400);
            if status >= 400 {
                assert!(has_words(&answer), "{}", about());
            }
        }
        assert!(
            taken > 0 && refused > mutations::runs(RUNS) / 4,
            "{path}: {taken} taken, {refused} refused: too little is tried"
        );
    }
}

/// Sends bytes as they are, and drops what comes back.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        from.advance(from.remaining());
        Ok(Some(()))
    }
}

/// Calls a method with bytes; the code of what came back, and its words.
async fn call(client: &mut Grpc<Channel>, method: &str, message: Vec<u8>) -> (Code, String) {
    client.ready().await.unwrap();
    let path = format!("/atoll.v1.FeatureService/{method}");
    let path = PathAndQuery::from_maybe_shared(path).unwrap();
    match client.unary(Request::new(message), path, Raw).await {
        Ok(_) => (Code::Ok, String::new()),
        Err(status) => (status.code(), status.message().to_owned()),
    }
}

#[tokio::test]
async fn damaged_messages_are_answered_or_refused() {
    let world = world();
    let client_lookup = v1::LookupRequest {
        project: "shop".into(),
        select: Some(v1::lookup_request::Select::Features(v1::Features {
            names: ["activity:orders", "activity:recent"]
                .map(String::from)
                .to_vec(),
        })),
        rows: vec![support::clients::ints(
            "customer_id",
            &[17_850, -1, i64::MAX],
        )],
        event_times: true,
        ..Default::default()
    };
    let client_delete = v1::DeleteRequest {
        project: "shop".into(),
        what: Some(v1::delete_request::What::View("activity".into())),
        keys: vec![support::clients::ints("customer_id", &[17_850])],
        ..Default::default()
    };
    // Of every kind that the view has, with a value absent and a null.
    let mut orders = support::clients::int64s("orders", &[7, 0, 0]);
    orders.cells = vec![1, 0, 2].into();
    let segment = v1::Column {
        feature: "segment".into(),
        r#type: v1::Type::String.into(),
        strings: vec!["a".into(), String::new(), "päivää".into()],
        ..Default::default()
    };
    let client_write = support::clients::write(
        "activity",
        vec![support::clients::ints("customer_id", &[17_850, -1, 3])],
        vec![orders, segment],
        &[support::START_MICROS; 3],
    );
    let kept = [
        ("Lookup", client_lookup.encode_to_vec()),
        ("Delete", client_delete.encode_to_vec()),
        ("Write", client_write.encode_to_vec()),
    ];
    let mut client = Grpc::new(world.channel().await);
    for (method, kept) in kept {
        let good = call(&mut client, method, kept.clone()).await;
        assert_eq!(good.0, Code::Ok, "{method}: {}", good.1);
        let mut refused = 0;
        for seed in 0..mutations::runs(RUNS) * 4 {
            let message = mutations::bytes(&kept, &mut Numbers::of(seed));
            let (code, words) = call(&mut client, method, message.clone()).await;
            let about = || format!("{method}, seed {seed}: {code:?} {words} to {message:02x?}");
            let is_unreadable = words.contains("decode") || words.contains("read");
            assert!(
                !matches!(code, Code::Unknown | Code::Unavailable)
                    && (code != Code::Internal || is_unreadable),
                "{}",
                about()
            );
            assert!(code == Code::Ok || !words.is_empty(), "{}", about());
            refused += u64::from(code != Code::Ok);
        }
        assert!(
            refused > mutations::runs(RUNS),
            "{method}: only {refused} were refused"
        );
    }
}
