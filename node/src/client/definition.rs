//! What a client needs to know of an entity and a view, read from the registry's definitions.
//!
//! Only the parts that decide how values are read and sent; the registry has the whole model.

use super::{
    call::COMMAND_DEADLINE,
    gateways::{CallError, Gateways},
};
use proto::types::{Scalar, Type};
use serde::Deserialize;
use wire::v1;

/// An entity's join keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entity {
    /// Its name.
    pub name: String,
    /// Its join keys, in order.
    pub keys: Vec<JoinKey>,
}

/// One join key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JoinKey {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Scalar,
}

/// One version of a feature view.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default = "first_version")]
    pub version: u16,
    /// The entity that its rows describe.
    pub entity: String,
    /// Which of two writes wins.
    #[serde(default)]
    pub order_by: OrderBy,
    /// Its features.
    pub features: Vec<Feature>,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
}

/// Which of two writes of a cell wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderBy {
    /// The later fact.
    #[default]
    EventTime,
    /// The later write.
    WriteTime,
}

/// A view with its entity: all that a row's columns follow from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewShape {
    /// The project.
    pub project: String,
    /// The view.
    pub view: View,
    /// Its entity's join keys.
    pub keys: Vec<JoinKey>,
}

/// A definition could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The registry refused, or could not be reached.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The registry's text is not what this version knows.
    #[error(
        "the registry's definition of {object} {name} cannot be read ({cause}); use an atoll of the cluster's version"
    )]
    Unreadable {
        /// "entity", "view" or "service".
        object: &'static str,
        /// Its name.
        name: String,
        /// What the reader said.
        cause: String,
    },
}

const fn first_version() -> u16 {
    1
}

/// Reads a view with the join keys of its entity. `view` may carry a version, as in `name@2`.
pub async fn view_shape(
    gateways: &Gateways,
    project: &str,
    view: &str,
) -> Result<ViewShape, DefinitionError> {
    let view: View = object(gateways, project, "view", view).await?;
    let entity: Entity = object(gateways, project, "entity", &view.entity).await?;
    Ok(ViewShape {
        project: project.to_owned(),
        view,
        keys: entity.keys,
    })
}

/// Reads a service's columns, in order: `view@version:feature` each.
pub async fn service_columns(
    gateways: &Gateways,
    project: &str,
    name: &str,
) -> Result<Vec<String>, DefinitionError> {
    let request = v1::GetRequest {
        project: project.to_owned(),
        object: "service".to_owned(),
        name: name.to_owned(),
    };
    Ok(gateways.get(request, COMMAND_DEADLINE).await?.columns)
}

async fn object<T: for<'a> Deserialize<'a>>(
    gateways: &Gateways,
    project: &str,
    object: &'static str,
    name: &str,
) -> Result<T, DefinitionError> {
    let request = v1::GetRequest {
        project: project.to_owned(),
        object: object.to_owned(),
        name: name.to_owned(),
    };
    let answer = gateways.get(request, COMMAND_DEADLINE).await?;
    serde_json::from_str(&answer.definition).map_err(|error| DefinitionError::Unreadable {
        object,
        name: name.to_owned(),
        cause: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_read_with_what_this_version_does_not_need() {
        let text = r#"{"name": "customer_activity", "version": 2, "entity": "customer", "ttl": "30d",
            "order_by": "write_time", "tags": ["core"],
            "features": [{"name": "embedding", "type": "vector<float32, 8>", "deprecated": true},
                         {"name": "orders_30d", "type": "int64", "default": 0}]}"#;
        let view: View = serde_json::from_str(text).unwrap();
        assert_eq!((view.version, view.order_by), (2, OrderBy::WriteTime));
        assert_eq!(view.features[0].ty, "vector<float32, 8>".parse().unwrap());

        let text = r#"{"name": "customer", "keys": [{"name": "customer_id", "type": "int64"}], "copies": "sharded"}"#;
        let entity: Entity = serde_json::from_str(text).unwrap();
        assert_eq!(entity.keys[0].ty, Scalar::Int64);
    }

    #[test]
    fn version_and_order_have_the_registrys_defaults() {
        let text = r#"{"name": "v", "entity": "e", "features": []}"#;
        let view: View = serde_json::from_str(text).unwrap();
        assert_eq!((view.version, view.order_by), (1, OrderBy::EventTime));
    }
}
