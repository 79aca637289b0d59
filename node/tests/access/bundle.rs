//! `atoll debug bundle` of a secured cluster: of each node that answers, and no secret of any.

use super::{
    lab::{Differs, Lab},
    process::wait_for,
};
use flate2::read::GzDecoder;
use std::{collections::BTreeMap, fs, io::Read as _, path::Path};
use tar::Archive;

const DEFINITIONS: &str = "
project: lab
entities: [{ name: thing, keys: [{ name: id, type: string }] }]
views:
  - { name: state, entity: thing, features: [{ name: a, type: string }] }
";
const KEY: &str = "a-key-of-somebody";
const VALUE: &str = "a-value-of-somebody";

fn unpacked(file: &Path) -> BTreeMap<String, String> {
    let mut archive = Archive::new(GzDecoder::new(fs::File::open(file).unwrap()));
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (name, text)
    });
    files.collect()
}

/// Every file below a node's `secrets`, and the tokens that were given out.
fn secrets(lab: &Lab, nodes: &[usize], tokens: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = tokens.iter().map(|token| (*token).to_owned()).collect();
    for node in nodes {
        for file in fs::read_dir(lab.secret(*node, ".")).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            // Of what is public or is words around it, lines are too much to ask for.
            let lines = text
                .lines()
                .filter(|line| line.len() >= 40 && !line.contains("CERT"));
            all.extend(lines.map(str::to_owned));
        }
    }
    assert!(all.len() > 10, "{all:?}");
    all
}

#[test]
fn a_bundle_has_every_node_that_answers_and_neither_rows_nor_secrets() {
    let mut lab = Lab::new();
    let voter = Differs {
        votes: true,
        ..Differs::default()
    };
    let first = lab.serve("eu-0", &voter);
    let root = lab.found(first);
    let seeds = [lab.port(first)];
    let token = lab.join_token(first, &root);
    let second = lab.serve(
        "eu-1",
        &Differs {
            seeds: &seeds,
            token: Some(&token),
            ..Differs::default()
        },
    );
    lab.wait_until_whole(first, &root);
    let definitions = lab.file("definitions.yaml", DEFINITIONS);
    let apply = ["apply", "--yes", definitions.to_str().unwrap()];
    lab.atoll(first, first, &root, &apply).done();
    let row = format!("{{\"id\": \"{KEY}\", \"a\": \"{VALUE}\"}}\n");
    let rows = lab.file("rows.jsonl", &row);
    let write = ["write", "--project", "lab", "--view", "state", "--file"];
    wait_for("the row to be written", || {
        let write: Vec<&str> = write.into_iter().chain([rows.to_str().unwrap()]).collect();
        (lab.atoll(second, first, &root, &write).status == Some(0)).then_some(())
    });

    let bundle = lab.file("bundle", "").with_extension("tar.gz");
    let debug = ["debug", "bundle", "--to", bundle.to_str().unwrap()];
    let said = lab.atoll(first, first, &root, &debug);
    assert!(said.err.contains("2 of 2 nodes"), "{said:?}");
    said.done();
    let files = unpacked(&bundle);
    for node in ["eu-0", "eu-1"] {
        for (name, words) in [
            ("about.txt", "up "),
            ("settings.toml", "[listen]"),
            ("metrics.txt", "atoll_build_info"),
            ("log.txt", "INFO"),
            ("status.json", "\"nodes\""),
            ("shards.jsonl", "\"primary\""),
            ("lag.json", "\"origins\""),
        ] {
            let text = &files[&format!("{node}/{name}")];
            assert!(text.contains(words), "no {words} in {node}/{name}: {text}");
        }
    }
    for secret in secrets(&lab, &[first, second], &[&root, &token, KEY, VALUE]) {
        for (name, text) in &files {
            assert!(!text.contains(&secret), "{name} has {secret}");
        }
    }

    // The file is never written over, and a node that is away is named.
    lab.atoll(first, first, &root, &debug)
        .failed(1, &["write", "bundle.tar.gz", "exists"]);
    lab.kill(second);
    let other = bundle.with_file_name("other.tar.gz");
    let debug = ["debug", "bundle", "--to", other.to_str().unwrap()];
    let said = lab.atoll(first, first, &root, &debug);
    assert!(
        said.err.contains("1 of 2 nodes") && said.err.contains("no answer from eu-1"),
        "{said:?}"
    );
    said.done();
    let files = unpacked(&other);
    assert!(
        files["eu-1/silent.txt"].contains("no gateway answers"),
        "{files:?}"
    );
    assert!(files["eu-0/status.json"].contains("eu-1"));
}
