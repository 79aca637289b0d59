//! `atoll get`: a lookup.

use super::{
    consistency,
    failure::WrongUsage,
    key_values::{self, KeyValue},
    lookup_answer,
    session::Session,
};
use crate::client::{
    call::COMMAND_DEADLINE,
    definition::{self, JoinKey},
    duration,
};
use clap::{ArgGroup, Args, ValueEnum};
use std::{collections::BTreeSet, time::Duration};
use wire::v1::{self, lookup_request::Select};

/// The arguments of `atoll get`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["service", "features"]))]
pub struct GetArguments {
    /// Project
    #[arg(long)]
    pub project: String,

    /// Feature service: what one model reads
    #[arg(long)]
    pub service: Option<String>,

    /// Features, as VIEW:FEATURE, VIEW@VERSION:FEATURE or VIEW:*
    #[arg(long, value_name = "VIEW:FEATURE", value_delimiter = ',')]
    pub features: Vec<String>,

    /// Join keys of the one shared entity
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    pub shared: Vec<KeyValue>,

    /// Join keys of the rows, a value for each; several keys go together by position
    #[arg(long, value_name = "KEY=VALUE,VALUE…", num_args = 1..)]
    pub rows: Vec<KeyValue>,

    /// Consistency token: what the answer must reflect
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,

    /// How old the answer may be, for example 5s
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub max_staleness: Option<Duration>,

    /// What to do where the token or the staleness cannot be met in time
    #[arg(long, value_enum, default_value_t = OnStale::Fail)]
    pub on_stale: OnStale,

    /// Show when each value was true
    #[arg(long)]
    pub event_times: bool,

    /// Leave out defaults
    #[arg(long)]
    pub no_defaults: bool,

    /// How long the lookup may take
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub deadline: Option<Duration>,
}

/// What to do where an answer is not fresh enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnStale {
    /// Refuse.
    Fail,
    /// Answer, marked stale.
    Serve,
}

/// Looks up and prints.
pub async fn run(session: &Session, arguments: GetArguments) -> anyhow::Result<()> {
    let token = arguments
        .token
        .as_deref()
        .map(consistency::parse)
        .transpose()?;
    let keys = join_keys(session, &arguments).await?;
    let shared = columns(&arguments.shared, &keys, key_values::single)?;
    let rows = columns(&arguments.rows, &keys, key_values::many)?;
    let select = match arguments.service {
        Some(service) => Select::Service(service),
        None => Select::Features(v1::Features {
            names: arguments.features,
        }),
    };
    let on_stale = match arguments.on_stale {
        OnStale::Fail => v1::OnStale::Fail,
        OnStale::Serve => v1::OnStale::Serve,
    };
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let request = v1::LookupRequest {
        project: arguments.project,
        select: Some(select),
        shared: shared.clone(),
        rows: rows.clone(),
        token: token.unwrap_or_default(),
        max_staleness_us: arguments.max_staleness.map(micros),
        on_stale: on_stale.into(),
        event_times: arguments.event_times,
        no_defaults: arguments.no_defaults,
        omit_names: false,
    };
    let deadline = arguments.deadline.unwrap_or(COMMAND_DEADLINE);
    let answer = session.gateways.lookup(request, deadline).await?;
    session.output.answer(
        || lookup_answer::show(&answer, &shared, &rows, arguments.event_times),
        || lookup_answer::json(&answer),
    )?;
    Ok(())
}

fn columns(
    given: &[KeyValue],
    keys: &[JoinKey],
    column: impl Fn(&KeyValue, &[JoinKey]) -> Result<v1::KeyColumn, WrongUsage>,
) -> Result<Vec<v1::KeyColumn>, WrongUsage> {
    given.iter().map(|given| column(given, keys)).collect()
}

/// The join keys of all views that are read.
async fn join_keys(session: &Session, arguments: &GetArguments) -> anyhow::Result<Vec<JoinKey>> {
    let gateways = &session.gateways;
    let references = match &arguments.service {
        Some(service) => definition::service_columns(gateways, &arguments.project, service).await?,
        None => arguments.features.clone(),
    };
    let views: BTreeSet<&str> = references
        .iter()
        .map(|reference| view_of(reference))
        .collect();
    let mut keys: Vec<JoinKey> = Vec::new();
    for view in views {
        let shape = definition::view_shape(gateways, &arguments.project, view).await?;
        for key in shape.keys {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

/// `view` or `view@2` of `view:feature`.
fn view_of(reference: &str) -> &str {
    reference
        .split_once(':')
        .map_or(reference, |(view, _)| view)
}
