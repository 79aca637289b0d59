//! Compiles `proto/atoll/v1` in Rust, twice: as it is written, and as the twin.
//!
//! The twin's descriptor is made from the public one here, so the two cannot drift apart: every
//! repeated field of fixed width becomes `repeated bytes`, and so do the strings of columns.

use prost::Message;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 3] = [
    "atoll/v1/feature.proto",
    "atoll/v1/registry.proto",
    "atoll/v1/admin.proto",
];

/// The file that has a twin.
const TWIN_FILE: &str = "atoll/v1/feature.proto";

/// Messages whose repeated strings are values, thousands of them, and not names.
const MESSAGES_OF_VALUES: [&str; 2] = ["KeyColumn", "Column"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    for file in FILES {
        println!("cargo:rerun-if-changed={}", root.join(file).display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let public = protox::compile(FILES, [&root])?;
    fs::write(out.join("descriptors.bin"), public.encode_to_vec())?;
    fs::write(out.join("methods.rs"), methods(&public))?;
    let twin = twin_of(&public);
    fs::write(out.join("twin_descriptors.bin"), twin.encode_to_vec())?;

    generate(public, out.join("public"), "tonic_prost::ProstCodec")?;
    generate(twin, out.join("twin"), "crate::codec::TwinCodec")?;
    Ok(())
}

fn generate(files: FileDescriptorSet, out: PathBuf, codec: &str) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(&out)?;
    tonic_prost_build::configure()
        .out_dir(out)
        .codec_path(codec)
        .bytes(".")
        .compile_fds(files)?;
    Ok(())
}

/// The paths of all methods, as an array of Rust.
fn methods(files: &FileDescriptorSet) -> String {
    let mut paths = Vec::new();
    for file in &files.file {
        for service in &file.service {
            let of = format!("/{}.{}", file.package(), service.name());
            let methods = service.method.iter();
            paths.extend(methods.map(|method| format!("{of}/{}", method.name())));
        }
    }
    format!("&{paths:?}")
}

fn twin_of(public: &FileDescriptorSet) -> FileDescriptorSet {
    let mut file: FileDescriptorProto = public
        .file
        .iter()
        .find(|file| file.name() == TWIN_FILE)
        .expect("the file with a twin is compiled with the others")
        .clone();
    file.message_type.iter_mut().for_each(turn_into_twin);
    FileDescriptorSet { file: vec![file] }
}

fn turn_into_twin(message: &mut DescriptorProto) {
    let of_values = MESSAGES_OF_VALUES.contains(&message.name());
    for field in &mut message.field {
        if has_twin(field, of_values) {
            field.set_type(Type::Bytes);
        }
    }
}

fn has_twin(field: &FieldDescriptorProto, of_values: bool) -> bool {
    let wide = matches!(
        field.r#type(),
        Type::Double | Type::Float | Type::Sfixed64 | Type::Sfixed32 | Type::Bool
    );
    let text = of_values && field.r#type() == Type::String;
    field.label() == Label::Repeated && (wide || text)
}
