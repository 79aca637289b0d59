//! `atoll token`: who may call, and which nodes may join.

use super::{arguments::AccessOfAll, failure::WrongUsage, output::table, session::Session};
use crate::{
    client::{call::CHANGE_DEADLINE, call::COMMAND_DEADLINE, value_text},
    settings::Span,
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value as Json, json};
use wire::v1::{CreateTokenRequest, Grant, ListTokensRequest, RevokeTokenRequest, TokenInfo};

/// The arguments of `atoll token`.
#[derive(Debug, Args)]
pub struct TokenArguments {
    #[command(subcommand)]
    pub command: TokenCommand,

    #[command(flatten)]
    pub access: AccessOfAll,
}

/// What is to be done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is shown once
    Create {
        /// What it lets its owner do; `join` lets one node join
        #[arg(long, value_enum, required = true, value_delimiter = ',')]
        role: Vec<RoleArgument>,
        /// In these projects
        #[arg(long, value_delimiter = ',')]
        project: Vec<String>,
        /// In all projects, and for an admin the cluster itself
        #[arg(long, conflicts_with = "project")]
        all_projects: bool,
        /// What it is for
        #[arg(long, default_value = "")]
        name: String,
        /// How long it holds, for example 90d; else until it is revoked, or for a day with the role join
        #[arg(long, value_name = "SPAN")]
        expires: Option<Span>,
    },
    /// End a token
    Revoke {
        /// Its id
        id: String,
    },
    /// Show what tokens there are; their secrets are kept nowhere
    List,
}

/// Roles as they are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArgument {
    /// Lookups
    Reader,
    /// Writes and deletions
    Writer,
    /// Changes of definitions
    Registrar,
    /// All of it, and tokens
    Admin,
    /// A node that joins
    Join,
}

impl RoleArgument {
    fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Registrar => "registrar",
            Self::Admin => "admin",
            Self::Join => "join",
        }
    }
}

/// Runs the sub-command.
pub async fn run(session: &Session, arguments: TokenArguments) -> anyhow::Result<()> {
    match arguments.command {
        TokenCommand::Create {
            role,
            project,
            all_projects,
            name,
            expires,
        } => {
            let places = places(&role, project, all_projects)?;
            let request = CreateTokenRequest {
                name,
                join: role.contains(&RoleArgument::Join),
                grants: grants(&role, &places),
                valid_for_seconds: expires.map(|span| span.0.as_secs()),
            };
            create(session, request).await
        }
        TokenCommand::Revoke { id } => {
            let request = RevokeTokenRequest { id: id.clone() };
            session
                .gateways
                .revoke_token(request, CHANGE_DEADLINE)
                .await?;
            let text = || format!("revoked token {id}; gateways refuse it within seconds");
            Ok(session.output.answer(text, || json!({ "revoked": id }))?)
        }
        TokenCommand::List => list(session).await,
    }
}

/// The projects in which roles are given; the empty name is the whole cluster.
fn places(
    roles: &[RoleArgument],
    projects: Vec<String>,
    all_projects: bool,
) -> anyhow::Result<Vec<String>> {
    let joins = roles.contains(&RoleArgument::Join);
    if joins && (roles.len() > 1 || !projects.is_empty() || all_projects) {
        let usage =
            "the role join stands alone: a join token lets one node join and gives nothing else";
        return Err(WrongUsage(usage.into()).into());
    }
    if !joins && projects.is_empty() && !all_projects {
        let usage = "say where the role holds: --project NAME, or --all-projects";
        return Err(WrongUsage(usage.into()).into());
    }
    Ok(if all_projects {
        vec![String::new()]
    } else {
        projects
    })
}

fn grants(roles: &[RoleArgument], places: &[String]) -> Vec<Grant> {
    let roles = roles.iter().filter(|role| **role != RoleArgument::Join);
    let of = |role: &RoleArgument| {
        let role = role.as_str();
        let grant = move |place: &String| Grant {
            role: role.into(),
            project: place.clone(),
        };
        places.iter().map(grant)
    };
    roles.flat_map(of).collect()
}

async fn create(session: &Session, request: CreateTokenRequest) -> anyhow::Result<()> {
    let made = session
        .gateways
        .create_token(request, CHANGE_DEADLINE)
        .await?;
    let info = made.info.unwrap_or_default();
    session.output.note(&format!(
        "token {}: {}; this is the only time that it is shown",
        info.id,
        gives(&info)
    ));
    let json = || {
        let mut record = json_of(&info);
        record["token"] = made.token.clone().into();
        record
    };
    Ok(session.output.answer(|| made.token.clone(), json)?)
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let answer = session
        .gateways
        .list_tokens(ListTokensRequest {}, COMMAND_DEADLINE);
    let tokens = answer.await?.tokens;
    let header = ["id", "name", "gives", "created", "by", "expires"];
    let shown = || table(header, tokens.iter().map(row));
    Ok(session.output.records(shown, tokens.iter().map(json_of))?)
}

fn gives(info: &TokenInfo) -> String {
    if info.join {
        return match info.used_by.as_str() {
            "" => "join, once".into(),
            node => format!("join, used by node {node}"),
        };
    }
    let grant = |grant: &Grant| match grant.project.as_str() {
        "" => format!("{} of the cluster", grant.role),
        project => format!("{} of {project}", grant.role),
    };
    let grants: Vec<String> = info.grants.iter().map(grant).collect();
    grants.join(", ")
}

fn row(info: &TokenInfo) -> [String; 6] {
    let ends = match info.expires_at_us {
        None => "never".into(),
        Some(_) if info.expired => "expired".into(),
        Some(end) => value_text::format_micros(end),
    };
    [
        info.id.clone(),
        info.name.clone(),
        gives(info),
        value_text::format_micros(info.created_at_us),
        info.created_by.clone(),
        ends,
    ]
}

fn json_of(info: &TokenInfo) -> Json {
    let grant = |grant: &Grant| json!({ "role": grant.role, "project": grant.project });
    json!({
        "id": info.id,
        "name": info.name,
        "grants": info.grants.iter().map(grant).collect::<Vec<_>>(),
        "join": info.join,
        "used_by": info.used_by,
        "created_at": value_text::format_micros(info.created_at_us),
        "created_by": info.created_by,
        "expires_at": info.expires_at_us.map(value_text::format_micros),
        "expired": info.expired,
    })
}
