//! `deps`: who may use whom, and what may come in from outside.
//!
//! The tables stand here, each entry with its reason; the rules that read them stand one by one in
//! `deps/`. All of them see the graph that `cargo metadata` reports and the members' own manifests.

mod arrows;
mod banned;
mod doubled;
mod graph;
mod licences;
mod manifests;
mod metadata;
mod purity;
mod spdx;

use std::path::Path;

use anyhow::Result;

use crate::finding::Finding;

/// Each member and the members it may use, bottom-up. The same holds for its tests and benchmarks:
/// a test that reaches upwards ties the lower crate to the upper one just as well.
const ARROWS: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("wire", &[]),
    ("store", &["proto"]),
    ("raft", &["proto", "store"]),
    ("replication", &["proto"]),
    ("gateway", &["proto", "raft", "wire"]),
    (
        "node",
        &["proto", "wire", "store", "raft", "replication", "gateway"],
    ),
    (
        "sim",
        &[
            "proto",
            "wire",
            "store",
            "raft",
            "replication",
            "gateway",
            "node",
        ],
    ),
    ("chaos", &["proto", "wire", "sim"]),
    ("benches", &["proto", "wire", "store", "node", "sim"]),
    ("xtask", &[]),
];

/// Members whose normal dependencies bring no runtime and start no thread: what is absent from the
/// tree cannot be called. They are synchronous, so production and simulation run the same code.
const PURE: &[&str] = &["proto", "replication", "store"];

/// Crates that run tasks or threads.
const RUNTIMES: &[&str] = &[
    "async-executor",
    "async-global-executor",
    "async-std",
    "blocking",
    "futures-executor",
    "glommio",
    "mio",
    "monoio",
    "rayon",
    "rayon-core",
    "smol",
    "threadpool",
    "tokio",
    "tokio-util",
];

/// Crates that may be nowhere in the tree, with the reason and the way out.
const BANNED: &[(&str, &str)] = &[
    (
        "aws-lc-rs",
        "ring is the one TLS provider: choose the feature for ring",
    ),
    (
        "aws-lc-sys",
        "ring is the one TLS provider, and this one needs cmake: choose the feature for ring",
    ),
    (
        "native-tls",
        "ring is the one TLS provider: choose the feature for rustls with ring",
    ),
    ("protobuf-src", "the schema is compiled in Rust: use protox"),
    (
        "protoc-bin-vendored",
        "the schema is compiled in Rust, no binary is downloaded: use protox",
    ),
];

/// Crates that one other may use and nobody else: crate, user, reason.
const CONFINED: &[(&str, &str, &str)] = &[(
    "openssl-sys",
    "rdkafka-sys",
    "ring is the one TLS provider; only librdkafka needs OpenSSL, and builds it from source",
)];

/// Licences that a dependency may have. All let Atoll be given out under Apache-2.0.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates with a licence beyond that list (such as MPL-2.0, which asks for changed files to be given
/// back): crate, licence, reason.
const LICENCE_EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Crates of which two incompatible versions are built, with who asks for the other one. Each costs
/// build time and size, and types of one do not fit the other.
const DOUBLED: &[(&str, &str)] = &[
    ("base64", "tonic is on 0.22"),
    ("crypto-common", "follows digest"),
    (
        "digest",
        "crc-fast, which object_store uses, is on 0.10, its md-5 on 0.11",
    ),
    (
        "foldhash",
        "follows hashbrown: lru, which chitchat uses, asks for its hasher",
    ),
    (
        "getrandom",
        "rand 0.8 is on 0.2, ahash on 0.3, rand 0.10 and tempfile on 0.4",
    ),
    (
        "hashbrown",
        "petgraph, which prost-build uses when building, is on 0.15",
    ),
    (
        "itertools",
        "chitchat is on 0.15; prost-build and prost-derive, used when building only, on 0.14",
    ),
    ("lock_api", "sled 0.34 is on parking_lot 0.11"),
    (
        "num-bigint",
        "fraction, which jsonschema uses in tests, is on 0.4, arrow on 0.5",
    ),
    ("parking_lot", "sled 0.34 is on 0.11"),
    ("parking_lot_core", "sled 0.34 is on parking_lot 0.11"),
    (
        "rand",
        "openraft 0.9 is on 0.8, and seeding it needs ours to be the same; turmoil is on 0.9, proptest on 0.10",
    ),
    ("rand_chacha", "follows rand"),
    ("rand_core", "follows rand"),
    (
        "syn",
        "derive macros are on their way from 2 to 3; used when building only",
    ),
    ("thiserror", "openraft 0.9 is on 1"),
    ("thiserror-impl", "follows thiserror"),
    (
        "unicode-width",
        "miette, which protox uses when building, is on 0.1",
    ),
    (
        "zstd",
        "chitchat is on 0.13, parquet on 0.14; both are thin layers over one zstd-sys",
    ),
    ("zstd-safe", "follows zstd"),
];

/// Reads the dependency graph and the manifests, and returns every finding, by place.
pub fn run(root: &Path) -> Result<Vec<Finding>> {
    let graph = metadata::read(root)?;
    let mut findings = Vec::new();
    arrows::check(&graph, ARROWS, &mut findings);
    purity::check(&graph, PURE, RUNTIMES, &mut findings);
    banned::check(&graph, BANNED, &mut findings);
    banned::check_confined(&graph, CONFINED, &mut findings);
    licences::check(&graph, LICENCES, LICENCE_EXCEPTIONS, &mut findings);
    doubled::check(&graph, DOUBLED, &mut findings);
    manifests::check(root, &graph, &mut findings)?;
    findings.sort();
    Ok(findings)
}
