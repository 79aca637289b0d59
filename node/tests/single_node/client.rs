//! A small HTTP client, and the calls that most tests make with it.

use super::process::Node;
use serde_json::{Map, Value as Json, json};
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
};

/// Status and body of a `GET`; none where nobody answers.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    exchange(
        port,
        &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
    )
}

/// Status and body of a `POST`; none where the answer did not come whole.
pub fn post(port: u16, path: &str, body: &str) -> Option<(u16, Json)> {
    post_with(port, path, "", body)
}

/// The same with more headers, each ended by a line's end.
pub fn post_with(port: u16, path: &str, headers: &str, body: &str) -> Option<(u16, Json)> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {}",
        body.len()
    );
    let (status, text) = exchange(port, &format!("{head}\r\n\r\n{body}"))?;
    Some((
        status,
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}")),
    ))
}

fn exchange(port: u16, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines.find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")
            .map(str::to_owned)
    });
    let length: usize = length
        .expect("answers name their length")
        .trim()
        .parse()
        .unwrap();
    // A process that was killed in the middle leaves a part.
    (body.len() == length).then(|| (status, body.to_owned()))
}

impl Node {
    /// Posts JSON.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Json) -> (u16, Json) {
        post(self.http(), path, &body.to_string()).expect("an answer")
    }

    /// Posts what must be done.
    #[track_caller]
    pub fn posted(&self, path: &str, body: &Json) -> Json {
        let (status, answer) = self.post(path, body);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Posts what must be refused as a whole.
    #[track_caller]
    pub fn refused(&self, path: &str, body: &Json, status: u16, reason: &str, words: &[&str]) {
        let (got, answer) = self.post(path, body);
        check_refused((got, &answer), status, reason, words);
    }

    /// Writes rows of which none may be rejected.
    #[track_caller]
    pub fn write(&self, view: &str, rows: Json) -> Json {
        let answer = self.posted(
            "/v1/write",
            &json!({ "project": "lab", "view": view, "rows": rows }),
        );
        assert_eq!(
            (&answer["rejected"], &answer["unknown"]),
            (&json!([]), &json!([])),
            "{answer}"
        );
        answer
    }

    /// Deletes rows by their `id`.
    #[track_caller]
    pub fn delete(&self, view: &str, ids: &[u64], event_time: &str) -> Json {
        let keys: Vec<Json> = ids.iter().map(|id| json!({ "id": id })).collect();
        let body =
            json!({ "project": "lab", "view": view, "keys": keys, "event_time": event_time });
        let answer = self.posted("/v1/delete", &body);
        assert_eq!(answer["rejected"], json!([]), "{answer}");
        answer
    }

    /// Rows by their `id`: of each feature its value, its status and its event time.
    #[track_caller]
    pub fn rows(&self, view: &str, ids: &[u64]) -> Vec<Json> {
        let body = json!({
            "project": "lab", "features": [format!("{view}:*")], "rows": { "id": ids },
            "event_times": true, "defaults": false,
        });
        let answer = self.posted("/v1/lookup", &body);
        let columns = answer["features"].as_array().unwrap();
        let row = |row: usize| {
            let cells = columns.iter().map(|column| {
                let name = column["name"].as_str().unwrap().split(':').nth(1).unwrap();
                (
                    name.to_owned(),
                    json!([
                        column["values"][row],
                        column["statuses"][row],
                        column["event_times"][row]
                    ]),
                )
            });
            Json::Object(cells.collect::<Map<_, _>>())
        };
        (0..ids.len()).map(row).collect()
    }

    /// One row.
    #[track_caller]
    pub fn row(&self, view: &str, id: u64) -> Json {
        self.rows(view, &[id]).remove(0)
    }
}

/// Checks the answer to a call that was refused as a whole.
#[track_caller]
pub fn check_refused((got, answer): (u16, &Json), status: u16, reason: &str, words: &[&str]) {
    let error = &answer["error"];
    assert_eq!(
        (got, error["reason"].as_str()),
        (status, Some(reason)),
        "{answer}"
    );
    let message = error["message"].as_str().unwrap();
    assert!(
        words.iter().all(|word| message.contains(word)),
        "not all of {words:?} in {message:?}"
    );
}

/// Checks that one row of a write, and no other, was rejected.
#[track_caller]
pub fn check_rejected(answer: &Json, row: usize, reason: &str, field: &str) {
    let rejected = answer["rejected"].as_array().unwrap();
    let only: Vec<_> = rejected
        .iter()
        .map(|row| (&row["row"], row["reason"].as_str(), row["field"].as_str()))
        .collect();
    assert_eq!(only, [(&json!(row), Some(reason), Some(field))], "{answer}");
    assert!(
        !rejected[0]["message"].as_str().unwrap().is_empty(),
        "{answer}"
    );
}
