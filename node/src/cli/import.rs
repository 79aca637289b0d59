//! `atoll import feast`: an existing Feast repository as a definition file, on standard output.

use super::session::Session;
use crate::import::feast::{Repository, convert, decode};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use std::{fs, path::PathBuf};

/// The arguments of `atoll import`.
#[derive(Debug, Args)]
pub struct ImportArguments {
    #[command(subcommand)]
    pub from: ImportFrom,
}

/// What definitions can come from.
#[derive(Debug, Subcommand)]
pub enum ImportFrom {
    /// A Feast repository, as `feast apply` has written its registry
    Feast {
        /// Its feature_store.yaml
        #[arg(value_name = "FEATURE_STORE_YAML")]
        file: PathBuf,
    },
}

/// Prints the definitions; what they cannot say goes to standard error.
pub fn run(session: &Session, arguments: &ImportArguments) -> anyhow::Result<()> {
    let ImportFrom::Feast { file } = &arguments.from;
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let repository = Repository::parse(&text, file);
    let repository = repository.with_context(|| file.display().to_string())?;
    let path = &repository.registry;
    let bytes = fs::read(path).with_context(|| {
        format!(
            "read the registry {}, which feast apply writes",
            path.display()
        )
    })?;
    let registry =
        decode(&bytes).with_context(|| format!("read the registry {}", path.display()))?;
    let imported = convert(registry, &repository.project);
    for note in &imported.notes {
        eprintln!("{note}");
    }
    if imported.definitions.is_empty() {
        anyhow::bail!(
            "the registry {} has no feature view of project {:?} that can be taken over; run feast apply in the \
             repository, and import the feature_store.yaml that it used",
            path.display(),
            repository.project
        );
    }
    let yaml = serde_saphyr::to_string(&imported.definitions).context("write the definitions")?;
    // The registry would refuse what this refuses.
    raft::registry::parse_yaml("the definitions", &yaml).map_err(proto::reason::Refusal::from)?;
    session.output.answer(
        || yaml.trim_end().to_owned(),
        || serde_json::to_value(&imported.definitions).unwrap_or_default(),
    )?;
    Ok(())
}
