//! Real data: every value of every article comes back exactly, by every way in.

use super::{client, process::Node, reflection::Client};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
};
use prost_reflect::{DynamicMessage, Value};
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

const ARTICLES: usize = 9_874;
const FEATURES: usize = 58;
/// Rows of one lookup.
const CHUNK: usize = 823;
/// The column that dates the rows here, taken as seconds, so that not all have the same time.
const TIME: &str = "timedelta";
const SHARES: &str = "shares";

/// A value as the file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Int(i64),
    /// The bits: two zeros are not the same.
    Float(u64),
}

#[derive(Debug)]
pub struct Article {
    pub url: String,
    pub event_time_us: i64,
    features: BTreeMap<String, Number>,
}

pub fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(path)
}

/// The file, read row by row with nothing of ours.
pub fn articles() -> Vec<Article> {
    let reader =
        SerializedFileReader::new(File::open(example("data/news_articles.parquet")).unwrap())
            .unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let mut article = Article {
            url: String::new(),
            event_time_us: 0,
            features: BTreeMap::new(),
        };
        for (name, field) in row.unwrap().get_column_iter() {
            match (name.as_str(), field) {
                ("url", Field::Str(url)) => article.url.clone_from(url),
                (TIME, Field::Long(days)) => article.event_time_us = days * 1_000_000,
                (SHARES, _) => {}
                (name, Field::Long(number)) => {
                    let number = Number::Int(*number);
                    article.features.insert(name.to_lowercase(), number);
                }
                (name, Field::Double(number)) => {
                    article
                        .features
                        .insert(name.to_lowercase(), Number::Float(number.to_bits()));
                }
                (name, field) => panic!("{name} is {field:?}"),
            }
        }
        assert_eq!(article.features.len(), FEATURES);
        article
    });
    let articles: Vec<Article> = rows.collect();
    assert_eq!(articles.len(), ARTICLES);
    articles
}

pub fn load(node: &Node) {
    let file = example("data/news_articles.parquet");
    let (state, rejects) = (node.file("state"), node.file("rejects"));
    let loaded = node.atoll(&[
        "load",
        "--project",
        "shop",
        "--view",
        "article_features",
        "--output",
        "json",
        "--file",
        file.to_str().unwrap(),
        "--event-time",
        "timedelta:s",
        "--map",
        "shares=-",
        "--state",
        state.to_str().unwrap(),
        "--rejects",
        rejects.to_str().unwrap(),
    ]);
    let loaded: Json = serde_json::from_str(&loaded.done()).unwrap();
    let counts = ["accepted", "superseded", "rejected"].map(|name| loaded[name].as_u64().unwrap());
    assert_eq!(counts, [ARTICLES as u64, 0, 0], "{loaded}");
}

fn list(message: &DynamicMessage, field: &str) -> Vec<Value> {
    message
        .get_field_by_name(field)
        .unwrap()
        .as_list()
        .unwrap()
        .to_vec()
}

/// Looks all articles up with a client that knows the schema from the server alone.
pub fn check_over_grpc(node: &Node, project: &str, articles: &[Article]) {
    let client = Client::of(node);
    for chunk in articles.chunks(CHUNK) {
        let urls: Vec<&str> = chunk.iter().map(|article| article.url.as_str()).collect();
        let request = json!({
            "project": project, "features": { "names": ["article_features:*"] },
            "rows": [{ "name": "url", "strings": urls }], "event_times": true,
        });
        let answer = client.call("Lookup", &request).unwrap();
        let number = |message: &DynamicMessage, field: &str| {
            message.get_field_by_name(field).unwrap().as_u32().unwrap() as usize
        };
        assert_eq!(number(&answer, "row_count"), chunk.len());
        let (columns, times) = (list(&answer, "columns"), list(&answer, "times"));
        assert_eq!(columns.len(), FEATURES);
        for column in &columns {
            let column = column.as_message().unwrap();
            let name = column.get_field_by_name("feature").unwrap();
            let name = name
                .as_str()
                .unwrap()
                .strip_prefix("article_features:")
                .unwrap();
            assert_eq!(
                number(column, "statuses"),
                0,
                "{name}: all values are present"
            );
            let values = numbers(column);
            assert_eq!(values.len(), chunk.len());
            let dated = times[number(column, "times") - 1].as_message().unwrap();
            let dated = list(dated, "micros");
            for ((article, value), time) in chunk.iter().zip(values).zip(dated) {
                assert_eq!(value, article.features[name], "{name} of {}", article.url);
                assert_eq!(
                    time,
                    Value::I64(article.event_time_us),
                    "time of {name} of {}",
                    article.url
                );
            }
        }
    }
}

/// The values of a column, which must be in the field of its type.
fn numbers(column: &DynamicMessage) -> Vec<Number> {
    let ty = column
        .get_field_by_name("type")
        .unwrap()
        .as_enum_number()
        .unwrap();
    match ty {
        3 => list(column, "i64")
            .iter()
            .map(|value| Number::Int(value.as_i64().unwrap()))
            .collect(),
        5 => list(column, "f64")
            .iter()
            .map(|value| Number::Float(value.as_f64().unwrap().to_bits()))
            .collect(),
        _ => panic!("type {ty}"),
    }
}

/// Checks an answer in JSON, of HTTP or of the command.
fn check_json(answer: &Json, asked: &[&Article]) {
    assert_eq!(answer["rows"], asked.len());
    let columns = answer["features"].as_array().unwrap();
    assert_eq!(columns.len(), FEATURES);
    for column in columns {
        let name = column["name"]
            .as_str()
            .unwrap()
            .strip_prefix("article_features:")
            .unwrap();
        for (row, article) in asked.iter().enumerate() {
            let value = &column["values"][row];
            let number = match column["type"].as_str().unwrap() {
                "int64" => Number::Int(value.as_i64().unwrap()),
                "float64" => Number::Float(value.as_f64().unwrap().to_bits()),
                ty => panic!("{name} is {ty}"),
            };
            assert_eq!(number, article.features[name], "{name} of {}", article.url);
            assert_eq!(
                column["statuses"][row], "PRESENT",
                "{name} of {}",
                article.url
            );
            let seconds = article.event_time_us / 1_000_000;
            let time = format!("1970-01-01T00:{:02}:{:02}Z", seconds / 60, seconds % 60);
            assert_eq!(
                column["event_times"][row],
                time.as_str(),
                "time of {name} of {}",
                article.url
            );
        }
    }
}

fn check_over_http(node: &Node, articles: &[Article]) {
    for chunk in articles.chunks(CHUNK) {
        let urls: Vec<&str> = chunk.iter().map(|article| article.url.as_str()).collect();
        let request = json!({
            "project": "shop", "features": ["article_features:*"], "rows": { "url": urls }, "event_times": true,
        });
        let (status, answer) =
            client::post(node.http(), "/v1/lookup", &request.to_string()).unwrap();
        assert_eq!(status, 200, "{answer}");
        check_json(&answer, &chunk.iter().collect::<Vec<_>>());
    }
}

fn check_by_command(node: &Node, articles: &[Article]) {
    let sample: Vec<&Article> = articles
        .iter()
        .step_by(articles.len() / 100)
        .take(100)
        .collect();
    assert_eq!(sample.len(), 100);
    let urls: Vec<&str> = sample.iter().map(|article| article.url.as_str()).collect();
    let rows = format!("url={}", urls.join(","));
    let answer = node.atoll(&[
        "get",
        "--project",
        "shop",
        "--features",
        "article_features:*",
        "--rows",
        &rows,
        "--event-times",
        "--output",
        "json",
    ]);
    check_json(&serde_json::from_str(&answer.done()).unwrap(), &sample);
}

#[test]
fn every_value_of_every_article_comes_back_exactly_with_its_event_time_also_after_a_kill() {
    let mut node = Node::start();
    node.atoll(&["apply", "--yes", example("shop").to_str().unwrap()])
        .done();
    load(&node);
    let articles = articles();
    check_over_grpc(&node, "shop", &articles);
    check_over_http(&node, &articles);
    check_by_command(&node, &articles);
    node.kill_and_restart();
    check_over_grpc(&node, "shop", &articles);
    check_by_command(&node, &articles);
}
