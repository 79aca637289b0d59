//! `atoll registry export`: the registry as definition files, one YAML document for each project,
//! which `atoll apply` takes back without a change.

use super::session::Session;
use crate::client::call::COMMAND_DEADLINE;
use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use wire::v1::{ListRequest, RegistryObject};

/// One project's definitions.
#[derive(Debug, Serialize)]
struct Project {
    project: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entities: Vec<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    views: Vec<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    services: Vec<Json>,
}

/// Prints one project, or all of them, as they are or were.
pub async fn run(
    session: &Session,
    project: Option<String>,
    at_revision: Option<u64>,
) -> anyhow::Result<()> {
    let projects = match project {
        Some(project) => vec![project],
        None => {
            let answer = session
                .gateways
                .list(ListRequest::default(), COMMAND_DEADLINE)
                .await?;
            let projects = answer
                .objects
                .into_iter()
                .filter(|object| object.object == "project");
            projects.map(|object| object.name).collect()
        }
    };
    let mut documents = Vec::new();
    for project in projects {
        let request = ListRequest {
            project: project.clone(),
            object: String::new(),
            at_revision,
        };
        let answer = session.gateways.list(request, COMMAND_DEADLINE).await?;
        documents.push(gather(project, &answer.objects)?);
    }
    let yaml: Vec<String> = documents
        .iter()
        .map(yaml_of)
        .collect::<anyhow::Result<_>>()?;
    session.output.records(
        || yaml.join("---\n").trim_end().to_owned(),
        documents
            .iter()
            .map(|document| serde_json::to_value(document).unwrap_or(Json::Null)),
    )?;
    Ok(())
}

fn gather(project: String, objects: &[RegistryObject]) -> anyhow::Result<Project> {
    let of = |kind: &str| {
        let objects = objects.iter().filter(|object| object.object == kind);
        objects
            .map(|object| {
                let definition: Result<Json, _> = serde_json::from_str(&object.definition);
                definition.with_context(|| {
                    format!(
                        "the definition of {} {} is not JSON",
                        object.object, object.name
                    )
                })
            })
            .collect::<anyhow::Result<Vec<Json>>>()
    };
    Ok(Project {
        entities: of("entity")?,
        views: of("view")?,
        services: of("service")?,
        project,
    })
}

fn yaml_of<T: Serialize>(value: &T) -> anyhow::Result<String> {
    serde_saphyr::to_string(value).context("write the definitions as YAML")
}

/// A definition that travels as JSON in the form in which people write it.
#[must_use]
pub fn yaml_of_json(json: &str) -> Option<String> {
    let value: Map<String, Json> = serde_json::from_str(json).ok()?;
    serde_saphyr::to_string(&value).ok()
}
