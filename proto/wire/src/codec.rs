//! The codec of the twin: what it cannot decode goes through the public type.
//!
//! The twin expects fields of fixed width packed, as every protobuf library sends them; the format
//! also allows one element per field. Such a message fails to decode here, is decoded as the public
//! type and re-encoded, which packs it. Slow and rare, and the same result.

use crate::{twin, v1};
use bytes::{Buf, Bytes, BytesMut};
use prost::{DecodeError, Message};
use std::marker::PhantomData;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

/// A message of the twin, and the public one that is equal on the wire.
pub trait Twin: Message + Default {
    /// The public message.
    type Public: Message + Default;
}

macro_rules! twins {
    ($($name:ident),*) => {$(
        impl Twin for twin::$name {
            type Public = v1::$name;
        }
    )*};
}

twins!(
    LookupRequest,
    LookupResponse,
    WriteRequest,
    WriteResponse,
    WriteAck,
    DeleteRequest,
    ScanRequest,
    ScanPage
);
twins!(KeyColumn, Column, Times, ViewRows);

/// Reads a message as the twin, whatever legal form its fields have.
pub fn decode<T: Twin>(bytes: Bytes) -> Result<T, DecodeError> {
    T::decode(bytes.clone()).or_else(|_| {
        let public = T::Public::decode(bytes)?;
        T::decode(Bytes::from(public.encode_to_vec()))
    })
}

/// A twin field's pieces end to end; one piece is not copied.
#[must_use]
pub fn joined(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [] => Bytes::new(),
        [one] => one.clone(),
        _ => {
            let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
            pieces
                .iter()
                .for_each(|piece| whole.extend_from_slice(piece));
            whole.freeze()
        }
    }
}

/// The codec that the twin's client and server are generated with.
#[derive(Debug, Clone)]
pub struct TwinCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for TwinCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for TwinCodec<T, U>
where
    T: Message + Send + 'static,
    U: Twin + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = TwinDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        TwinDecoder(PhantomData)
    }
}

/// The decoding half of [`TwinCodec`].
#[derive(Debug, Clone)]
pub struct TwinDecoder<U>(PhantomData<U>);

impl<U: Twin> Decoder for TwinDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = source.copy_to_bytes(source.remaining());
        decode(bytes).map(Some).map_err(|error| {
            Status::invalid_argument(format!("the message is not of this schema: {error}"))
        })
    }
}
