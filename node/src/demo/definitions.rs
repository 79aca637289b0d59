//! The definition files of `examples/shop`, carried by the program, and the views they define.

use crate::client::definition::{Entity, View, ViewShape};
use anyhow::Context as _;
use serde::Deserialize;
use wire::v1;

/// The project of all files.
pub const PROJECT: &str = "shop";
/// One customer and items.
pub const ITEM_SERVICE: &str = "item_ranking_v1";
/// One customer and articles.
pub const ARTICLE_SERVICE: &str = "article_ranking_v1";

const FILES: [(&str, &str); 4] = [
    (
        "examples/shop/customers.yaml",
        include_str!("../../../examples/shop/customers.yaml"),
    ),
    (
        "examples/shop/items.yaml",
        include_str!("../../../examples/shop/items.yaml"),
    ),
    (
        "examples/shop/articles.yaml",
        include_str!("../../../examples/shop/articles.yaml"),
    ),
    (
        "examples/shop/services.yaml",
        include_str!("../../../examples/shop/services.yaml"),
    ),
];

/// What one file holds, as far as the demo needs it.
#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    entities: Vec<Entity>,
    #[serde(default)]
    views: Vec<View>,
    #[serde(default)]
    services: Vec<Service>,
}

#[derive(Debug, Deserialize)]
struct Service {
    name: String,
}

/// The files as they are sent to the registry.
#[must_use]
pub fn files() -> Vec<v1::DefinitionFile> {
    FILES
        .iter()
        .map(|(name, text)| v1::DefinitionFile {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        })
        .collect()
}

/// A view with the join keys of its entity.
pub fn shape(view: &str) -> anyhow::Result<ViewShape> {
    let files = parsed()?;
    let view = files
        .iter()
        .flat_map(|file| &file.views)
        .find(|defined| defined.name == view)
        .with_context(|| format!("examples/shop defines no view {view}"))?;
    let entity = files
        .iter()
        .flat_map(|file| &file.entities)
        .find(|entity| entity.name == view.entity)
        .with_context(|| format!("examples/shop defines no entity {}", view.entity))?;
    Ok(ViewShape {
        project: PROJECT.to_owned(),
        view: view.clone(),
        keys: entity.keys.clone(),
    })
}

/// Names of the services.
pub fn services() -> anyhow::Result<Vec<String>> {
    let files = parsed()?;
    let services = files.iter().flat_map(|file| &file.services);
    Ok(services.map(|service| service.name.clone()).collect())
}

fn parsed() -> anyhow::Result<Vec<File>> {
    FILES
        .iter()
        .map(|(name, text)| serde_saphyr::from_str(text).with_context(|| format!("read {name}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::shop::{customer, item};

    fn check(view: &str, key: &str, features: &[(&str, &str)]) {
        let shape = shape(view).unwrap();
        assert_eq!(shape.keys[0].name, key);
        let defined: Vec<(String, String)> = shape
            .view
            .features
            .iter()
            .map(|feature| (feature.name.clone(), feature.ty.to_string()))
            .collect();
        let computed: Vec<(String, String)> = features
            .iter()
            .map(|(name, ty)| ((*name).to_owned(), (*ty).to_owned()))
            .collect();
        assert_eq!(defined, computed, "{view}");
    }

    #[test]
    fn what_is_computed_is_what_is_defined() {
        check("customer_activity", "customer_id", &customer::ACTIVITY);
        check("customer_profile", "customer_id", &customer::PROFILE);
        check("item_sales", "stock_code", &item::SALES);
        check("item_catalog", "stock_code", &item::CATALOG);
        assert_eq!(shape("article_features").unwrap().view.features.len(), 58);
        assert_eq!(services().unwrap(), [ITEM_SERVICE, ARTICLE_SERVICE]);
    }
}
