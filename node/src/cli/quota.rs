//! `atoll quota`: what projects may ask for in a second.

use super::{arguments::AccessOfAll, output::table, session::Session};
use crate::{
    client::{call::CHANGE_DEADLINE, call::COMMAND_DEADLINE},
    settings::Size,
};
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::str::FromStr;
use wire::v1::{ListQuotasRequest, Quota, SetQuotaRequest};

/// The arguments of `atoll quota`.
#[derive(Debug, Args)]
pub struct QuotaArguments {
    #[command(subcommand)]
    pub command: QuotaCommand,

    #[command(flatten)]
    pub access: AccessOfAll,
}

/// What is to be done with quotas.
#[derive(Debug, Subcommand)]
pub enum QuotaCommand {
    /// Change what a project may ask for in a second; what is not named stays as it is
    Set {
        /// The project
        project: String,
        /// Lookups, or `none` for no limit
        #[arg(long, value_name = "N", required_unless_present_any = ["rows_per_second", "bytes_per_second"])]
        lookups_per_second: Option<Limit<u64>>,
        /// Rows written or deleted, or `none`
        #[arg(long, value_name = "N")]
        rows_per_second: Option<Limit<u64>>,
        /// Bytes of requests to write and of answers to lookups, for example 20MiB, or `none`
        #[arg(long, value_name = "SIZE")]
        bytes_per_second: Option<Limit<Size>>,
    },
    /// Show the projects that have a quota
    List,
}

/// A limit as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit<T> {
    /// There is none.
    None,
    /// So much.
    Of(T),
}

impl<T: FromStr> FromStr for Limit<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text {
            "none" => Ok(Self::None),
            _ => text.parse().map(Self::Of),
        }
    }
}

impl<T> Limit<T> {
    /// What comes of a limit when this is asked for, if anything is.
    fn change(asked: Option<Self>, before: Option<u64>, value: impl Fn(T) -> u64) -> Option<u64> {
        match asked {
            None => before,
            Some(Self::None) => None,
            Some(Self::Of(limit)) => Some(value(limit)),
        }
    }
}

/// Runs the sub-command.
pub async fn run(session: &Session, arguments: QuotaArguments) -> anyhow::Result<()> {
    let request = ListQuotasRequest {};
    let known = session.gateways.list_quotas(request, COMMAND_DEADLINE);
    let known = known.await?.quotas;
    match arguments.command {
        QuotaCommand::List => {
            let header = ["project", "lookups/s", "rows/s", "bytes/s"];
            let shown = || table(header, known.iter().map(row));
            Ok(session.output.records(shown, known.iter().map(json_of))?)
        }
        QuotaCommand::Set {
            project,
            lookups_per_second,
            rows_per_second,
            bytes_per_second,
        } => {
            let before = known.into_iter().find(|quota| quota.project == project);
            let before = before.unwrap_or_default();
            let same = |limit| limit;
            let bytes = |size: Size| size.0;
            let quota = Quota {
                project,
                lookups_per_second: Limit::change(
                    lookups_per_second,
                    before.lookups_per_second,
                    same,
                ),
                rows_per_second: Limit::change(rows_per_second, before.rows_per_second, same),
                bytes_per_second: Limit::change(bytes_per_second, before.bytes_per_second, bytes),
            };
            let request = SetQuotaRequest {
                quota: Some(quota.clone()),
            };
            let set = session.gateways.set_quota(request, CHANGE_DEADLINE);
            let revision = set.await?.revision;
            let text = || format!("{} at revision {revision}", words(&quota));
            let json = || {
                let mut record = json_of(&quota);
                record["revision"] = revision.into();
                record
            };
            Ok(session.output.answer(text, json)?)
        }
    }
}

fn words(quota: &Quota) -> String {
    let limits = [
        (quota.lookups_per_second, "lookups"),
        (quota.rows_per_second, "rows"),
        (quota.bytes_per_second, "bytes"),
    ];
    let limits: Vec<String> = limits
        .into_iter()
        .filter_map(|(limit, what)| Some(format!("{} {what} a second", limit?)))
        .collect();
    match limits.is_empty() {
        true => format!("project {} has no quota", quota.project),
        false => format!(
            "project {} may ask for {}",
            quota.project,
            limits.join(", ")
        ),
    }
}

fn row(quota: &Quota) -> [String; 4] {
    let shown = |limit: Option<u64>| limit.map_or_else(|| "-".into(), |limit| limit.to_string());
    [
        quota.project.clone(),
        shown(quota.lookups_per_second),
        shown(quota.rows_per_second),
        shown(quota.bytes_per_second),
    ]
}

fn json_of(quota: &Quota) -> Json {
    json!({
        "project": quota.project,
        "lookups_per_second": quota.lookups_per_second,
        "rows_per_second": quota.rows_per_second,
        "bytes_per_second": quota.bytes_per_second,
    })
}
