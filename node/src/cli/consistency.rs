//! Consistency tokens as text: what a write or lookup gave, in the form in which HTTP has it.

use super::failure::WrongUsage;
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;

/// Written with padding, read with or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// As text.
#[must_use]
pub fn show(token: &[u8]) -> String {
    BASE64.encode(token)
}

/// From text.
pub fn parse(text: &str) -> Result<Bytes, WrongUsage> {
    BASE64.decode(text.trim()).map(Bytes::from).map_err(|_| {
        WrongUsage("--token is not a consistency token; copy it whole from the answer of a write or lookup".to_owned())
    })
}
