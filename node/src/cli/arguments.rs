//! What can be typed: the global flags and the commands.

use super::{
    apply::ApplyArguments, audit::AuditArguments, audit_log::AuditLogArguments,
    debug::DebugArguments, delete::DeleteArguments, demo::DemoArguments,
    export_rows::ExportArguments, get::GetArguments, import::ImportArguments, init::InitArguments,
    lag::LagArguments, load::LoadArguments, node::NodeArguments, plan::PlanArguments,
    quota::QuotaArguments, recover::RecoverArguments, region::RegionArguments,
    registry::RegistryArguments, serve::ServeArguments, shards::ShardsArguments,
    status::StatusArguments, token::TokenArguments, write::WriteArguments,
};
use crate::client::gateway::GatewayAddress;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Atoll, a feature database: rows of features, written as events happen and looked up in one call.
#[derive(Debug, Parser)]
#[command(name = "atoll", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,

    /// Access token; for `get`, whose own --token is a consistency token, it stands here, before
    /// the command
    #[arg(
        long,
        env = "ATOLL_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,

    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// Gateways, tried in order
    #[arg(
        long,
        global = true,
        env = "ATOLL_GATEWAY",
        value_name = "[https://]HOST:PORT",
        value_delimiter = ',',
        default_value = "127.0.0.1:6570"
    )]
    pub gateway: Vec<GatewayAddress>,

    /// Authorities of gateways named with https://, as PEM
    #[arg(long, global = true, env = "ATOLL_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// What is shown to a gateway that asks clients for certificates, as PEM
    #[arg(
        long,
        global = true,
        env = "ATOLL_CLIENT_CERTIFICATE_FILE",
        value_name = "FILE",
        requires = "client_key_file"
    )]
    pub client_certificate_file: Option<PathBuf>,

    /// Its key, as PEM
    #[arg(
        long,
        global = true,
        env = "ATOLL_CLIENT_KEY_FILE",
        value_name = "FILE",
        requires = "client_certificate_file"
    )]
    pub client_key_file: Option<PathBuf>,

    /// A table for people, or JSON: one document, or one line per record
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Table)]
    pub output: OutputFormat,

    /// Say nothing but the answer
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Table,
    /// For programs; stable.
    Json,
}

/// The access token of commands that have no other token.
#[derive(Debug, Clone, Default, Args)]
pub struct Access {
    /// Access token
    #[arg(id = "access_token", long = "token", value_name = "TOKEN")]
    pub token: Option<String>,
}

/// The same of commands that have commands of their own: it may stand behind those too.
#[derive(Debug, Clone, Default, Args)]
pub struct AccessOfAll {
    /// Access token
    #[arg(
        id = "access_token",
        long = "token",
        value_name = "TOKEN",
        global = true
    )]
    pub token: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A whole cluster in this process, with real data written and looked up
    Demo(DemoArguments),
    /// Run a node
    Serve(ServeArguments),
    /// Found a cluster, once, at a node that has no data
    Init(InitArguments),
    /// Look features up
    Get(GetArguments),
    /// Write rows of JSON
    Write(WriteArguments),
    /// Delete a row
    Delete(DeleteArguments),
    /// Load a file of rows; the same command goes on where it was interrupted
    Load(LoadArguments),
    /// Write a view's rows to Parquet files; the same command goes on where it was interrupted
    Export(ExportArguments),
    /// Show the difference between definition files and the registry
    Plan(PlanArguments),
    /// Carry that difference out
    Apply(ApplyArguments),
    /// What is defined, and what was
    Registry(RegistryArguments),
    /// Who is in the region, and how nodes leave it
    Node(NodeArguments),
    /// The regions, and where each is reached
    Region(RegionArguments),
    /// Definitions of another feature store as a definition file
    Import(ImportArguments),
    /// Nodes, groups and copies
    Status(StatusArguments),
    /// Who holds which shard
    Shards(ShardsArguments),
    /// How far reads can be behind each region
    Lag(LagArguments),
    /// Whether all replicas of all regions have the same rows
    Audit(AuditArguments),
    /// Go on without what no copy holds any more
    Recover(RecoverArguments),
    /// Who may call, and which nodes may join
    Token(TokenArguments),
    /// How much a project may ask for
    Quota(QuotaArguments),
    /// What administrators did at the node that answers, newest first
    AuditLog(AuditLogArguments),
    /// What support asks for
    Debug(DebugArguments),
}
