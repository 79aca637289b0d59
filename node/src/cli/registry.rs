//! `atoll registry`: the catalogue, its history, and the way back.

use super::{
    apply::confirm,
    arguments::AccessOfAll,
    export,
    failure::{PartRefused, WrongUsage},
    output::table,
    plan,
    session::Session,
};
use crate::client::{
    call::{CHANGE_DEADLINE, COMMAND_DEADLINE},
    value_text,
};
use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use gateway::registry::json;
use wire::v1::{GetRequest, HistoryRequest, ListRequest, RegistryObject, RollbackRequest};

/// The arguments of `atoll registry`.
#[derive(Debug, Args)]
pub struct RegistryArguments {
    #[command(subcommand)]
    pub command: RegistryCommand,

    #[command(flatten)]
    pub access: AccessOfAll,
}

/// What is to be done with the registry.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// All projects, or all objects of one
    List {
        /// Project
        #[arg(long)]
        project: Option<String>,
        /// Only these
        #[arg(long, value_enum)]
        object: Option<ObjectKind>,
    },
    /// One object's definition
    Show {
        /// Its name; a view's may be VIEW@VERSION
        name: String,
        /// Project; needed where there are several
        #[arg(long)]
        project: Option<String>,
        /// What it is, where a name is used twice
        #[arg(long, value_enum)]
        object: Option<ObjectKind>,
    },
    /// What was changed, newest first
    History {
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Make the definitions of an earlier revision those of a new one
    Rollback {
        /// The earlier revision
        revision: u64,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// Go back too where that breaks readers: services that were made since go
        #[arg(long)]
        break_readers: bool,
        /// Refuse if the registry has moved on since this revision
        #[arg(long, value_name = "REVISION")]
        expect_revision: Option<u64>,
    },
    /// Print everything as definition files
    Export {
        /// Only this project
        #[arg(long)]
        project: Option<String>,
        /// As it was at this revision
        #[arg(long)]
        revision: Option<u64>,
    },
}

/// Kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ObjectKind {
    /// A project.
    Project,
    /// An entity.
    Entity,
    /// A feature view.
    View,
    /// A feature service.
    Service,
}

impl ObjectKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Entity => "entity",
            Self::View => "view",
            Self::Service => "service",
        }
    }
}

/// Runs the sub-command.
pub async fn run(session: &Session, arguments: RegistryArguments) -> anyhow::Result<()> {
    match arguments.command {
        RegistryCommand::List { project, object } => list(session, project, object).await,
        RegistryCommand::Show {
            name,
            project,
            object,
        } => show(session, name, project, object).await,
        RegistryCommand::History { limit } => history(session, limit).await,
        RegistryCommand::Rollback {
            revision,
            yes,
            break_readers,
            expect_revision,
        } => {
            let request = RollbackRequest {
                revision,
                expect_revision,
                break_readers,
            };
            rollback(session, request, yes).await
        }
        RegistryCommand::Export { project, revision } => {
            export::run(session, project, revision).await
        }
    }
}

async fn list(
    session: &Session,
    project: Option<String>,
    object: Option<ObjectKind>,
) -> anyhow::Result<()> {
    let request = ListRequest {
        project: project.unwrap_or_default(),
        object: object.map_or("", ObjectKind::as_str).to_owned(),
        at_revision: None,
    };
    let answer = session.gateways.list(request, COMMAND_DEADLINE).await?;
    let rows = answer.objects.iter().map(|it| {
        [
            it.object.clone(),
            it.project.clone(),
            it.name.clone(),
            it.revision.to_string(),
            it.changed_revision.to_string(),
            it.summary.clone(),
        ]
    });
    session.output.records(
        || {
            let header = ["object", "project", "name", "since", "changed", ""];
            table(header, rows)
        },
        answer.objects.iter().map(json::object),
    )?;
    Ok(())
}

async fn show(
    session: &Session,
    name: String,
    project: Option<String>,
    object: Option<ObjectKind>,
) -> anyhow::Result<()> {
    let project = match project {
        Some(project) => project,
        None => only_project(session, &name).await?,
    };
    let request = GetRequest {
        project,
        object: object.map_or("", ObjectKind::as_str).to_owned(),
        name,
    };
    let object = session.gateways.get(request, COMMAND_DEADLINE).await?;
    session
        .output
        .answer(|| text_of(&object), || json::object(&object))?;
    Ok(())
}

/// The project to look in, where the person named none.
async fn only_project(session: &Session, name: &str) -> anyhow::Result<String> {
    let answer = session
        .gateways
        .list(ListRequest::default(), COMMAND_DEADLINE)
        .await?;
    let projects: Vec<String> = answer
        .objects
        .into_iter()
        .filter(|object| object.object == "project")
        .map(|object| object.name)
        .collect();
    match projects.as_slice() {
        [] => bail!("nothing is defined yet; define it with `atoll apply FILE`"),
        [one] => Ok(one.clone()),
        several if several.iter().any(|project| project == name) => Ok(name.to_owned()),
        several => {
            let message = format!("say in which project: --project {}", several.join(" | "));
            Err(WrongUsage(message).into())
        }
    }
}

fn text_of(object: &RegistryObject) -> String {
    let mut heading = format!(
        "# {} {}/{}, since revision {}, as it is since {}: {}",
        object.object,
        object.project,
        object.name,
        object.revision,
        object.changed_revision,
        object.summary
    );
    if !object.read_by.is_empty() {
        heading += &format!("\n# read by {}", object.read_by.join(", "));
    }
    if !object.columns.is_empty() {
        heading += &format!("\n# its columns: {}", object.columns.join(", "));
    }
    let definition =
        export::yaml_of_json(&object.definition).unwrap_or_else(|| object.definition.clone());
    format!("{heading}\n{}", definition.trim_end())
}

async fn history(session: &Session, limit: u32) -> anyhow::Result<()> {
    let answer = session
        .gateways
        .history(HistoryRequest { limit }, COMMAND_DEADLINE)
        .await?;
    let rows = answer.entries.iter().map(|entry| {
        [
            entry.revision.to_string(),
            value_text::format_micros(entry.applied_at_us),
            entry.author.clone(),
            entry.changes.join("; "),
        ]
    });
    session.output.records(
        || table(["revision", "applied at", "by", "what"], rows),
        answer.entries.iter().map(json::history_entry),
    )?;
    Ok(())
}

/// Shows what going back does, asks, and does exactly that.
async fn rollback(session: &Session, request: RollbackRequest, yes: bool) -> anyhow::Result<()> {
    let gateways = &session.gateways;
    let planned = gateways.plan_rollback(request, COMMAND_DEADLINE).await?;
    session.output.note(&plan::show(&planned));
    if !planned.refusals.is_empty() {
        return Err(PartRefused.into());
    }
    plan::check_breaking(&planned, request.break_readers)?;
    let to = request.revision;
    if !yes {
        confirm(&format!(
            "make the definitions of revision {to} those of a new one?"
        ))?;
    }
    let request = RollbackRequest {
        expect_revision: Some(planned.base_revision),
        ..request
    };
    let answer = gateways.rollback(request, CHANGE_DEADLINE).await?;
    session.output.answer(
        || {
            format!(
                "rolled back to revision {to}, as revision {}",
                answer.revision
            )
        },
        || json::applied(&answer),
    )?;
    Ok(())
}
