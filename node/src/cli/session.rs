//! What every command of a client needs: gateways, and where its answer goes.

use super::{
    arguments::{Cli, Command, Globals},
    output::Output,
};
use crate::{
    client::{gateways::Gateways, tls::Trust},
    security::ClientCertificate,
};
use anyhow::Context as _;
use std::{path::PathBuf, sync::Arc};

/// A command's surroundings.
#[derive(Debug)]
pub struct Session {
    /// The cluster.
    pub gateways: Arc<Gateways>,
    /// The answer.
    pub output: Output,
}

impl Session {
    /// From the flags; a token at the command goes before one in front of it or in the environment.
    pub fn new(globals: &Globals, token: Option<&str>) -> anyhow::Result<Self> {
        let gateways = Gateways::trusting(&globals.gateway, token, &trust(globals)?)?;
        Ok(Self {
            gateways: Arc::new(gateways),
            output: Output::new(globals.output, globals.quiet),
        })
    }
}

pub(super) fn trust(globals: &Globals) -> anyhow::Result<Trust> {
    let read = |flag: &str, file: &Option<PathBuf>| {
        let read = |file: &PathBuf| {
            let text = std::fs::read_to_string(file);
            text.with_context(|| format!("read {flag} {}", file.display()))
        };
        file.as_ref().map(read).transpose()
    };
    let certificate = read(
        "--client-certificate-file",
        &globals.client_certificate_file,
    )?;
    let key = read("--client-key-file", &globals.client_key_file)?;
    let shown = certificate.zip(key);
    Ok(Trust {
        authorities: read("--ca-file", &globals.ca_file)?,
        shown: shown.map(|(certificate, key)| ClientCertificate { certificate, key }),
    })
}

/// Runs a client's command to its end.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let access = cli.command.access_token().map(str::to_owned);
    let token = access.or(cli.token);
    let session = Session::new(&cli.globals, token.as_deref())?;
    match cli.command {
        Command::Demo(arguments) => super::demo::run(arguments).await,
        Command::Serve(arguments) => super::serve::run(arguments).await,
        Command::Init(arguments) => super::init::run(session.output, arguments).await,
        Command::Get(arguments) => super::get::run(&session, arguments).await,
        Command::Write(arguments) => super::write::run(&session, arguments).await,
        Command::Delete(arguments) => super::delete::run(&session, arguments).await,
        Command::Load(arguments) => super::load::run(&session, arguments).await,
        Command::Export(arguments) => super::export_rows::run(&session, arguments).await,
        Command::Plan(arguments) => super::plan::run(&session, arguments).await,
        Command::Apply(arguments) => super::apply::run(&session, arguments).await,
        Command::Registry(arguments) => super::registry::run(&session, arguments).await,
        Command::Node(arguments) => super::node::run(&session, arguments).await,
        Command::Region(arguments) => super::region::run(&session, arguments).await,
        Command::Import(arguments) => super::import::run(&session, &arguments),
        Command::Status(_) => super::status::run(&session).await,
        Command::Shards(arguments) => super::shards::run(&session, arguments).await,
        Command::Lag(_) => super::lag::run(&session).await,
        Command::Audit(arguments) => super::audit::run(&session, arguments).await,
        Command::Recover(arguments) => super::recover::run(&session, arguments).await,
        Command::Token(arguments) => super::token::run(&session, arguments).await,
        Command::Quota(arguments) => super::quota::run(&session, arguments).await,
        Command::AuditLog(arguments) => super::audit_log::run(&session, arguments).await,
        Command::Debug(arguments) => {
            let shown = (&cli.globals, token.as_deref());
            super::debug::run(&session, shown, arguments).await
        }
    }
}

impl Command {
    fn access_token(&self) -> Option<&str> {
        let access = match self {
            Self::Get(_) | Self::Demo(_) | Self::Serve(_) | Self::Init(_) | Self::Import(_) => {
                return None;
            }
            Self::Registry(arguments) => return arguments.access.token.as_deref(),
            Self::Node(arguments) => return arguments.access.token.as_deref(),
            Self::Region(arguments) => return arguments.access.token.as_deref(),
            Self::Write(arguments) => &arguments.access,
            Self::Delete(arguments) => &arguments.access,
            Self::Load(arguments) => &arguments.access,
            Self::Export(arguments) => &arguments.access,
            Self::Plan(arguments) => &arguments.access,
            Self::Apply(arguments) => &arguments.access,
            Self::Status(arguments) => &arguments.access,
            Self::Shards(arguments) => &arguments.access,
            Self::Lag(arguments) => &arguments.access,
            Self::Audit(arguments) => &arguments.access,
            Self::Recover(arguments) => &arguments.access,
            Self::Token(arguments) => return arguments.access.token.as_deref(),
            Self::Quota(arguments) => return arguments.access.token.as_deref(),
            Self::AuditLog(arguments) => &arguments.access,
            Self::Debug(arguments) => return arguments.token(),
        };
        access.token.as_deref()
    }
}
