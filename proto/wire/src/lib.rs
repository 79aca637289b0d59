//! Atoll's protobuf schema (`proto/atoll/v1`), its gRPC clients and servers, and the twin.
//!
//! It is apart from `proto` so that the core crates build without protobuf, and it holds no logic:
//! what messages mean is the gateway's business.

pub mod codec;

/// The schema as it is published: what any client's protobuf library makes of it.
#[allow(missing_docs, clippy::all, clippy::too_many_lines, clippy::map_unwrap_or)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/public/atoll.v1.rs"));
}

/// The twin of [`v1`]: the same messages and the same [service path](twin::feature_service_server),
/// with columns as the bytes they are on the wire.
///
/// A packed field may legally come in pieces, so these fields are `repeated bytes`: one piece is
/// what encoders send, and pieces put end to end are the field. Use [`codec::joined`] to read one.
#[allow(missing_docs, clippy::all, clippy::too_many_lines, clippy::map_unwrap_or)]
pub mod twin {
    include!(concat!(env!("OUT_DIR"), "/twin/atoll.v1.rs"));
}

/// The published schema as an encoded `FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The twin's, for the test that holds both together.
pub const TWIN_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/twin_descriptors.bin"));
