//! Export and load: what goes out comes in again, row for row, by files and by a real S3 server.

use super::{
    articles::{self, example},
    process::{Node, Said, atoll},
    s3::{BUCKET, S3},
};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, fs, fs::File};

type Environment = Vec<(String, String)>;

/// Runs a command against a node, with settings in its environment and files beside it in a folder.
fn run(node: &Node, environment: &Environment, arguments: &[&str]) -> Said {
    atoll()
        .args(arguments)
        .args([
            "--gateway",
            &format!("127.0.0.1:{}", node.grpc()),
            "--output",
            "json",
        ])
        .envs(environment.iter().cloned())
        .current_dir(node.file("."))
        .output()
        .unwrap()
        .into()
}

fn json_of(said: Said) -> Json {
    serde_json::from_str(&said.done()).unwrap()
}

/// Two projects of the same definitions; the articles are in the first.
fn node_with_articles() -> Node {
    let node = Node::start();
    let text = fs::read_to_string(example("shop/articles.yaml")).unwrap();
    node.apply(&text);
    node.apply(&text.replace("project: shop", "project: copy"));
    articles::load(&node);
    node
}

fn export(node: &Node, environment: &Environment, to: &str, more: &[&str]) -> Json {
    let view = [
        "export",
        "--project",
        "shop",
        "--view",
        "article_features",
        "--to",
        to,
    ];
    let arguments: Vec<&str> = view.iter().chain(more).copied().collect();
    json_of(run(node, environment, &arguments))
}

fn load_copy(node: &Node, environment: &Environment, from: &str) -> Json {
    let arguments = [
        "load",
        "--project",
        "copy",
        "--view",
        "article_features",
        "--file",
        from,
    ];
    json_of(run(node, environment, &arguments))
}

/// Out and in again: all articles are in the other project, value for value with their times.
fn check_round_trip(node: &Node, environment: &Environment, to: &str) {
    let all = articles::articles();
    let exported = export(node, environment, to, &[]);
    assert_eq!(exported["rows"], json!(all.len()), "{exported}");
    let loaded = load_copy(node, environment, to);
    let counts = ["accepted", "superseded", "rejected"].map(|name| loaded[name].clone());
    assert_eq!(json!(counts), json!([all.len(), 0, 0]), "{loaded}");
    articles::check_over_grpc(node, "copy", &all);
}

#[test]
fn what_is_exported_to_files_loads_into_equal_rows() {
    let node = node_with_articles();
    let folder = node.file("out");
    let url = format!("file://{}", folder.display());
    check_round_trip(&node, &Vec::new(), &url);

    let manifest: Json =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap();
    let rows = files.iter().map(|file| {
        let file = File::open(folder.join(file.as_str().unwrap())).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        reader.metadata().file_metadata().num_rows()
    });
    assert_eq!(json!(rows.sum::<i64>()), manifest["rows"]);
    assert!(
        !folder.join("_whole").exists()
            || fs::read_dir(folder.join("_whole")).unwrap().count() == 0
    );
    let arguments = [
        "export",
        "--project",
        "shop",
        "--view",
        "article_features",
        "--to",
        &url,
    ];
    run(&node, &Vec::new(), &arguments).failed(1, &["holds a complete export"]);
}

#[test]
fn what_is_exported_to_a_real_s3_server_loads_into_equal_rows() {
    let Some(s3) = S3::start() else { return };
    let node = node_with_articles();
    let environment = s3.environment();
    check_round_trip(
        &node,
        &environment,
        &format!("s3://{BUCKET}/exports/articles"),
    );
    let missing = [
        "load",
        "--project",
        "copy",
        "--view",
        "article_features",
        "--file",
        "s3://no-such-bucket/x.parquet",
    ];
    run(&node, &environment, &missing)
        .failed(1, &["s3://no-such-bucket/x.parquet", "AWS_ENDPOINT_URL"]);
}

#[test]
fn an_export_that_broke_off_goes_on_and_another_one_does_not_mix_with_it() {
    let node = node_with_articles();
    let folder = node.file("out");
    let to = folder.to_str().unwrap().to_owned();
    let first = export(&node, &Vec::new(), &to, &[]);
    // As it stood before the end: no manifest, notes of some shards.
    let manifest: Json =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    fs::remove_file(folder.join("manifest.json")).unwrap();
    fs::create_dir_all(folder.join("_whole")).unwrap();
    for shard in manifest["shards"].as_array().unwrap().iter().take(10) {
        let part = shard["part"].as_u64().unwrap();
        let files: Vec<&Json> = manifest["files"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|file| {
                file.as_str()
                    .unwrap()
                    .starts_with(&format!("part-{part:05}-"))
            })
            .collect();
        let note = json!({
            "identity": manifest["identity"], "part": part, "position": shard["position"],
            "revision": 1, "rows": shard["rows"], "files": files,
        });
        fs::write(
            folder.join(format!("_whole/{part:05}.json")),
            note.to_string(),
        )
        .unwrap();
    }
    let arguments = [
        "export",
        "--project",
        "shop",
        "--view",
        "article_features",
        "--to",
        &to,
        "--since",
        "1970-01-01T00:00:01Z",
    ];
    run(&node, &Vec::new(), &arguments).failed(1, &["what another export began"]);
    let second = export(&node, &Vec::new(), &to, &[]);
    assert_eq!(second["resumed_shards"], 10, "{second}");
    assert_eq!(
        (&second["rows"], &second["files"]),
        (&first["rows"], &first["files"])
    );
}

#[test]
fn deleted_and_earlier_rows_are_left_out() {
    let node = node_with_articles();
    let all = articles::articles();
    for article in all.iter().take(3) {
        let key = format!("url={}", article.url);
        node.atoll(&[
            "delete",
            "--project",
            "shop",
            "--view",
            "article_features",
            &key,
        ])
        .done();
    }
    let mut times: Vec<i64> = all
        .iter()
        .skip(3)
        .map(|article| article.event_time_us)
        .collect();
    times.sort_unstable();
    let since = times[times.len() / 2];
    let left = times.iter().filter(|time| **time >= since).count();
    assert!(left > 0 && left < times.len());
    let seconds = since / 1_000_000;
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let since = format!("1970-01-01T00:{minutes:02}:{seconds:02}Z");
    let to = node.file("all").to_str().unwrap().to_owned();
    let exported = export(&node, &Vec::new(), &to, &[]);
    assert_eq!(exported["rows"], json!(times.len()));
    let to = node.file("late").to_str().unwrap().to_owned();
    let exported = export(&node, &Vec::new(), &to, &["--since", &since]);
    assert_eq!(exported["rows"], json!(left));
}

const KINDS: &str = "
entities:
  - { name: thing, keys: [{ name: id, type: int64 }, { name: at, type: string }] }
views:
  - name: kinds
    entity: thing
    features:
      - { name: b, type: bool }
      - { name: i, type: int32 }
      - { name: l, type: int64 }
      - { name: f, type: float32 }
      - { name: d, type: float64 }
      - { name: s, type: string }
      - { name: y, type: bytes }
      - { name: t, type: timestamp }
      - { name: names, type: list<string> }
      - { name: whole, type: list<int64> }
      - { name: v, type: \"vector<float32, 2>\" }
      - { name: h, type: \"vector<float16, 2>\" }
      - { name: q, type: \"vector<int8, 3>\" }
      - { name: n, type: int64, combine: sum }
  - name: short
    entity: thing
    ttl: 30d
    features: [{ name: x, type: int64 }]
";

#[test]
fn every_type_goes_out_and_in_exactly_and_expired_rows_do_not() {
    let node = Node::start();
    for project in ["lab", "copy"] {
        node.apply(&format!("project: {project}{KINDS}"));
    }
    let time = "2024-03-01T10:00:00.000001Z";
    let rows = json!([
        { "id": i64::MAX, "at": "größe", "event_time": time, "b": true, "i": i32::MIN, "l": i64::MIN, "f": 0.1,
          "d": -0.0, "s": "", "y": "AAH/", "t": "2020-02-29T23:59:59.999999Z", "names": ["a", ""],
          "whole": [i64::MAX, 0], "v": [0.5, -1], "h": [0.5, 65504], "q": [-128, 0, 127], "n": 7 },
        { "id": -1, "at": "", "event_time": time, "b": false, "i": 0, "l": 0, "f": "NaN", "d": "-Infinity",
          "s": "x", "y": "", "t": "1970-01-01T00:00:00Z", "names": [], "whole": [], "v": [0, 0],
          "h": [0, 0], "q": [0, 0, 0], "n": -7 },
    ]);
    node.write("kinds", rows);
    node.write("short", json!([{ "id": 1, "at": "old", "event_time": time, "x": 1 }, { "id": 2, "at": "new", "x": 2 }]));
    let look_up = |project: &str| {
        let body = json!({ "project": project, "features": ["kinds:*"], "event_times": true,
            "rows": { "id": [i64::MAX, -1], "at": ["größe", ""] } });
        let answer = node.posted("/v1/lookup", &body);
        let columns = answer["features"].as_array().unwrap().iter();
        let told = |column: &Json| {
            let name = column["name"].as_str().unwrap().to_owned();
            (
                name,
                [
                    &column["values"],
                    &column["statuses"],
                    &column["event_times"],
                ]
                .map(Json::to_string),
            )
        };
        columns.map(told).collect::<BTreeMap<_, _>>()
    };
    for (view, count) in [("kinds", 2), ("short", 1)] {
        let to = node.file(view).to_str().unwrap().to_owned();
        let nothing = Vec::new();
        let out = [
            "export",
            "--project",
            "lab",
            "--view",
            view,
            "--to",
            &to,
            "--feature-times",
        ];
        assert_eq!(json_of(run(&node, &nothing, &out))["rows"], count, "{view}");
    }
    let to = node.file("plain").to_str().unwrap().to_owned();
    let out = ["export", "--project", "lab", "--view", "kinds", "--to", &to];
    json_of(run(&node, &Vec::new(), &out));
    let load = [
        "load",
        "--project",
        "copy",
        "--view",
        "kinds",
        "--file",
        &to,
    ];
    assert_eq!(json_of(run(&node, &Vec::new(), &load))["accepted"], 2);
    let written = look_up("lab");
    assert!(
        written.len() == 14 && !written["kinds:f"][1].contains("NOT_FOUND"),
        "{written:?}"
    );
    assert_eq!(look_up("copy"), written);
}
