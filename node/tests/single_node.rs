//! One node as its users see it: the real `atoll` binary in processes of its own, reached over gRPC
//! and HTTP and by its own commands. Nothing here uses the code that is tested but the binary.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod single_node {
    mod articles;
    mod bad_files;
    mod bad_json;
    mod bad_requests;
    mod client;
    mod consistency;
    mod definitions;
    mod exact_values;
    mod export;
    mod kills;
    mod merge;
    mod messages;
    mod metrics;
    mod outgrown;
    mod process;
    mod quota;
    mod reflection;
    mod refused_starts;
    mod registry;
    mod roles;
    mod s3;
    mod slow_grpc;
    mod ttl;
}
