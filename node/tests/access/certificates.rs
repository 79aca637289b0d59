//! Certificates between nodes that are processes of their own: how they come by them, renew them, lose them.

use super::{
    lab::{Differs, Lab, is_for_its_owner, knock, plain, secured, shown_at},
    process::{Said, atoll, wait_for},
};
use node::security::{Asks, Authority, Papers};
use proto::id::NodeId;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::Value as Json;
use std::{fs, time::SystemTime};

const DEFINITIONS: &str = "
project: lab
entities: [{ name: thing, keys: [{ name: id, type: int64 }] }]
views:
  - { name: state, entity: thing, features: [{ name: a, type: int64 }] }
";
const DAY_MILLIS: u64 = 24 * 3_600_000;

fn now_millis() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_millis() as u64
}

fn voter<'a>(seeds: &'a [u16], token: Option<&'a str>) -> Differs<'a> {
    Differs {
        seeds,
        token,
        votes: true,
        ..Differs::default()
    }
}

/// A node that has founded a secured cluster, and its first token.
fn founder(lab: &mut Lab, name: &str) -> (usize, String) {
    let node = lab.serve(name, &voter(&[], None));
    let token = lab.found(node);
    (node, token)
}

fn papers(lab: &Lab, node: usize) -> Papers {
    serde_json::from_str(&lab.read(node, "identity.json")).unwrap()
}

fn keep(lab: &Lab, node: usize, papers: &Papers) {
    let file = lab.secret(node, "identity.json");
    fs::write(file, serde_json::to_string(papers).unwrap()).unwrap();
}

/// Papers for the key of `node`, as the authority of `founder` would have signed them at a time.
fn signed_at(lab: &Lab, (founder, node): (usize, usize), at_millis: u64) -> Papers {
    let authority = Authority::of_key(&lab.read(founder, "authority.key")).unwrap();
    let key = KeyPair::from_pem(&lab.read(node, "node.key")).unwrap();
    let digits = key.der_bytes().iter().map(|byte| format!("{byte:02x}"));
    let asks = Asks {
        node: id(lab, node),
        public_key: digits.collect(),
        names: vec!["localhost".into(), "127.0.0.1".into()],
    };
    let cluster = papers(lab, founder).cluster;
    authority.papers(cluster, &asks, at_millis).unwrap()
}

fn id(lab: &Lab, node: usize) -> NodeId {
    let file = lab.data(node, "node-id");
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

#[test]
fn three_nodes_join_with_a_token_each_and_nobody_else_does() {
    let mut lab = Lab::new();
    let first = lab.serve("eu-0", &voter(&[], None));
    // It has no certificate before there is a cluster, and says plainly that it waits.
    lab.waits_with(first, "no cluster yet");
    let root = lab.found(first);
    let seeds = [lab.port(first)];
    let tokens = [lab.join_token(first, &root), lab.join_token(first, &root)];
    let others = [("eu-1", &tokens[0]), ("eu-2", &tokens[1])];
    let others = others.map(|(name, token)| lab.serve(name, &voter(&seeds, Some(token))));
    for node in [first, others[0], others[1]] {
        lab.wait_until_whole(node, &root);
    }
    write_and_read(&lab, [first, others[0], others[1]], &root);
    plain_text_is_refused(&lab, first, &root);
    for file in fs::read_dir(lab.secret(others[0], ".")).unwrap() {
        assert!(is_for_its_owner(&file.as_ref().unwrap().path()), "{file:?}");
    }
    // Those that vote can sign as well, so the first one can be lost.
    for other in others {
        wait_for("the authority's key at another voter", || {
            lab.secret(other, "authority.key").exists().then_some(())
        });
    }
    lab.kill(first);
    let third = lab.join_token(others[0], &root);
    let seeds = others.map(|node| lab.port(node));
    let last = lab.serve("eu-3", &voter(&seeds, Some(&third)));
    lab.wait_until_whole(last, &root);
    for (name, token, words) in [
        ("twice", tokens[0].as_str(), "was used by node"),
        ("made-up", &forged(&third), "unknown or revoked"),
    ] {
        let node = lab.serve(name, &voter(&seeds, Some(token)));
        lab.waits_with(node, words);
    }
    let without = lab.serve("without", &voter(&seeds, None));
    lab.waits_with(without, "joins with a token in cluster.join_token_file");
}

/// The token of the same cluster with a secret that nobody has given out.
fn forged(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let parts = token.strip_prefix("atoll-join_").unwrap();
    let mut parts: Json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts).unwrap()).unwrap();
    let secret = parts["secret"].as_str().unwrap();
    // Of the last digit's six bits four are the secret's, and the others are zero: as in these two.
    let last = if secret.ends_with('A') { 'E' } else { 'A' };
    parts["secret"] = format!("{}{last}", &secret[..secret.len() - 1]).into();
    let json = serde_json::to_vec(&parts).unwrap();
    format!("atoll-join_{}", URL_SAFE_NO_PAD.encode(json))
}

fn write_and_read(lab: &Lab, [first, second, third]: [usize; 3], root: &str) {
    let definitions = lab.file("definitions.yaml", DEFINITIONS);
    let apply = ["apply", "--yes", definitions.to_str().unwrap()];
    lab.atoll(first, first, root, &apply).done();
    let rows: String = (0..40)
        .map(|id| {
            format!(
                "{{\"id\": {id}, \"a\": {}, \"event_time\": \"2026-11-20T10:00:00Z\"}}\n",
                id * 2
            )
        })
        .collect();
    let rows = lab.file("rows.jsonl", &rows);
    let write = [
        "write",
        "--project",
        "lab",
        "--view",
        "state",
        "--file",
        rows.to_str().unwrap(),
        "--output",
        "json",
    ];
    let written = wait_for("the rows to be written", || {
        let said = lab.atoll(second, first, root, &write);
        (said.status == Some(0)).then_some(said.out)
    });
    let written: Json = serde_json::from_str(&written).unwrap();
    assert_eq!(written["accepted"], 40, "{written}");
    let token = written["token"].as_str().unwrap();
    let ids: Vec<String> = (0..40).map(|id| id.to_string()).collect();
    let rows = format!("id={}", ids.join(","));
    let get = [
        "get",
        "--project",
        "lab",
        "--features",
        "state:a",
        "--rows",
        &rows,
        "--token",
        token,
        "--output",
        "json",
    ];
    let read: Json = serde_json::from_str(&lab.atoll(third, first, root, &get).done()).unwrap();
    let values = read["features"][0]["values"].as_array().unwrap();
    let expected: Vec<i64> = (0..40).map(|id| id * 2).collect();
    let values: Vec<i64> = values.iter().map(|value| value.as_i64().unwrap()).collect();
    assert_eq!(values, expected);
}

fn plain_text_is_refused(lab: &Lab, node: usize, root: &str) {
    let port = lab.port(node);
    let authority = lab.read(node, "authority.pem");
    let (status, _) = secured(port + 1, "/readyz", &authority).unwrap();
    assert_eq!(status, 200);
    assert_eq!(plain(port + 1, "/readyz"), None);
    let gateway = format!("127.0.0.1:{port}");
    // What breaks differs from time to time; what is said does not.
    for _ in 0..10 {
        let status = atoll()
            .args(["status", "--token", root, "--gateway", &gateway])
            .output();
        let words = format!("it speaks TLS; name it https://{gateway}");
        Said::from(status.unwrap()).failed(1, &["no gateway answers", &words]);
    }
    // Over TLS, a token is asked for as before.
    lab.atoll(node, node, "atoll_0000000000000000_00", &["status"])
        .failed(1, &["token"]);
    // Nor do nodes listen to anybody who speaks plainly, or founds them again.
    let cluster = lab.file(
        "again.toml",
        "[cluster]\nname = \"lab\"\n[[region]]\nname = \"eu\"\n",
    );
    let at = format!("127.0.0.1:{}", port + 2);
    let init = atoll()
        .args(["init", "--at", &at, "--config"])
        .arg(cluster)
        .output();
    Said::from(init.unwrap()).failed(1, &["a cluster that is secured"]);
}

#[test]
fn a_certificate_of_another_cluster_or_another_time_is_refused() {
    let mut lab = Lab::new();
    let (ours, root) = founder(&mut lab, "ours");
    let (theirs, their_root) = founder(&mut lab, "theirs");
    let own = papers(&lab, ours);
    let name = format!("nodes.{}.atoll", own.cluster);
    let key = lab.read(ours, "node.key");
    let knock = |certificate: &str, key: &str| {
        let port = lab.port(ours);
        let error = knock(port, &name, &own.authority, (certificate, key));
        format!("{error:?}")
    };
    // Let in: the node waits for a word, and the connection just ends.
    let good = knock(&own.certificate, &key);
    assert!(!good.contains("Alert"), "{good}");
    let expired = signed_at(&lab, (ours, ours), now_millis() - 40 * DAY_MILLIS);
    let why = knock(&expired.certificate, &key);
    assert!(why.contains("CertificateExpired"), "{why}");
    let early = signed_at(&lab, (ours, ours), now_millis() + 2 * DAY_MILLIS);
    let why = knock(&early.certificate, &key);
    assert!(why.contains("Alert"), "{why}");
    let foreign = papers(&lab, theirs).certificate;
    let why = knock(&foreign, &lab.read(theirs, "node.key"));
    assert!(
        why.contains("UnknownCA") || why.contains("DecryptError"),
        "{why}"
    );
    // A member of the other cluster that is told to speak to this one.
    let token = lab.join_token(theirs, &their_root);
    let seeds = [lab.port(theirs)];
    let stray = Differs {
        seeds: &seeds,
        token: Some(&token),
        ..Differs::default()
    };
    let stray = lab.serve("stray", &stray);
    wait_for("the stray node to join its own cluster", || {
        let authority = lab.read(theirs, "authority.pem");
        let ready = secured(lab.port(stray) + 1, "/readyz", &authority);
        ready.is_some_and(|(status, _)| status == 200).then_some(())
    });
    lab.kill(stray);
    let seeds = [lab.port(ours)];
    let differs = Differs {
        seeds: &seeds,
        ..Differs::default()
    };
    lab.settings(stray, &differs);
    lab.start(stray);
    let authority = lab.read(theirs, "authority.pem");
    wait_for("the stray node to say why it waits", || {
        let (_, body) = secured(lab.port(stray) + 1, "/readyz", &authority)?;
        body.contains("of another cluster").then_some(())
    });
    // One with a token of the other cluster shows it to nobody here.
    let token = lab.join_token(theirs, &their_root);
    let lost = lab.serve("lost", &voter(&seeds, Some(&token)));
    lab.waits_with(lost, "of another cluster");
    let tokens = lab.atoll(ours, ours, &root, &["token", "list"]).done();
    assert!(!tokens.contains("used by"), "{tokens}");
}

#[test]
fn a_certificate_is_renewed_and_one_that_has_ended_needs_a_new_token() {
    let mut lab = Lab::new();
    let (first, root) = founder(&mut lab, "eu-0");
    let token = lab.join_token(first, &root);
    let seeds = [lab.port(first)];
    let member = |token| Differs {
        seeds: &seeds,
        token,
        ..Differs::default()
    };
    let second = lab.serve("eu-1", &member(Some(&token)));
    lab.wait_until_whole(second, &root);
    let authority = lab.read(first, "authority.pem");
    for node in [first, second] {
        let before = papers(&lab, node);
        let shown = shown_at(lab.port(node), &authority).unwrap();
        // Signed long ago: less than a third of its time is left.
        keep(
            &lab,
            node,
            &Papers {
                signed_at_millis: 0,
                ..before.clone()
            },
        );
        wait_for("the certificate to be renewed", || {
            let kept = papers(&lab, node);
            (kept.certificate != before.certificate && kept.signed_at_millis > 0).then_some(())
        });
        wait_for("clients to be shown the new one", || {
            let newer = shown_at(lab.port(node), &authority)?;
            (newer != shown).then_some(())
        });
        assert_eq!(papers(&lab, node).authority, before.authority);
    }
    lab.wait_until_whole(second, &root);
    // A node that was down for so long that its certificate ended.
    lab.kill(second);
    let ended = signed_at(&lab, (first, second), now_millis() - 40 * DAY_MILLIS);
    keep(&lab, second, &ended);
    lab.settings(second, &member(None));
    lab.start(second);
    let words = lab.last_words(second);
    assert!(
        words.contains("certificate has ended") && words.contains("cluster.join_token_file"),
        "{words}"
    );
    let again = lab.join_token(first, &root);
    lab.settings(second, &member(Some(&again)));
    lab.start(second);
    lab.wait_until_whole(second, &root);
    assert!(papers(&lab, second).not_after_millis > now_millis());
    // The founder signs for itself.
    lab.kill(first);
    let ended = signed_at(&lab, (first, first), now_millis() - 40 * DAY_MILLIS);
    keep(&lab, first, &ended);
    lab.start(first);
    lab.wait_until_whole(first, &root);
}

#[test]
fn a_join_token_makes_nobody_a_node_that_is_there_already() {
    let mut lab = Lab::new();
    let (first, root) = founder(&mut lab, "eu-0");
    let seeds = [lab.port(first)];
    let token = lab.join_token(first, &root);
    // Its directory says that it is the founder, whose word would get it the authority's key.
    let id = id(&lab, first);
    let impostor = lab.serve("impostor", &voter(&[], None));
    lab.waits_with(impostor, "no cluster yet");
    lab.kill(impostor);
    fs::write(lab.data(impostor, "node-id"), id.to_string()).unwrap();
    lab.settings(impostor, &voter(&seeds, Some(&token)));
    lab.start(impostor);
    lab.waits_with(impostor, "is a member already");
    // The token is still good for an honest one.
    let honest = lab.serve("eu-1", &voter(&seeds, Some(&token)));
    lab.wait_until_whole(honest, &root);
}
