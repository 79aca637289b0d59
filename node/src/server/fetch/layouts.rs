//! The layouts that other gateways' requests name, kept as long as the definitions stand.
//!
//! A gateway names the same few layouts in all its requests; to make one anew copies a schema and
//! plans its columns.

use gateway::lookup::layout::Layout;
use parking_lot::RwLock;
use proto::{
    id::{FeatureId, SchemaVersion, ViewId},
    schema::Schemas,
};
use std::{collections::BTreeMap, sync::Arc};

/// Layouts kept at most. Others are made anew each time.
const KEPT_MAX: usize = 1_024;

/// A view's columns as a request names them: features rise.
pub type Named = (ViewId, SchemaVersion, Vec<FeatureId>);

/// Layouts under one revision of the definitions.
#[derive(Debug)]
pub struct Layouts<S> {
    schemas: Arc<S>,
    kept: RwLock<BTreeMap<Named, Arc<Layout>>>,
}

/// A feature is none of the schema that was named with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOfSchema;

impl<S: Schemas> Layouts<S> {
    /// None yet, of these definitions.
    #[must_use]
    pub fn of(schemas: Arc<S>) -> Self {
        Self {
            schemas,
            kept: RwLock::default(),
        }
    }

    /// Whether they are of these very definitions.
    #[must_use]
    pub fn are_of(&self, schemas: &Arc<S>) -> bool {
        Arc::ptr_eq(&self.schemas, schemas)
    }

    /// The layout of that name; none where the schema is not known here.
    pub fn get(&self, named: Named) -> Result<Option<Arc<Layout>>, NotOfSchema> {
        if let Some(layout) = self.kept.read().get(&named) {
            return Ok(Some(Arc::clone(layout)));
        }
        let (view, version, features) = &named;
        let Some(schema) = self.schemas.schema(*view, *version) else {
            return Ok(None);
        };
        if features
            .iter()
            .any(|feature| schema.column(*feature).is_none())
        {
            return Err(NotOfSchema);
        }
        let columns = features.iter().copied();
        let layout = Arc::new(Layout::new(Arc::new(schema.clone()), columns));
        let mut kept = self.kept.write();
        if kept.len() < KEPT_MAX {
            kept.insert(named, Arc::clone(&layout));
        }
        Ok(Some(layout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::schema::{Column, RowSchema, SchemaMap};

    fn layouts() -> Layouts<SchemaMap> {
        let mut schemas = SchemaMap::default();
        let columns = ["int64", "string"].map(|ty| Column::of(ty.parse().unwrap()));
        schemas.insert(RowSchema::new(
            ViewId(1),
            SchemaVersion(3),
            columns.to_vec(),
        ));
        Layouts::of(Arc::new(schemas))
    }

    fn named(view: u32, features: &[u16]) -> Named {
        let features = features.iter().copied().map(FeatureId).collect();
        (ViewId(view), SchemaVersion(3), features)
    }

    #[test]
    fn a_layout_is_made_once_for_all_that_name_it() {
        let layouts = layouts();
        let get = |features: &[u16]| layouts.get(named(1, features)).unwrap().unwrap();
        let (first, second, other) = (get(&[0, 1]), get(&[0, 1]), get(&[1]));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!((first.columns().len(), other.columns().len()), (2, 1));
    }

    #[test]
    fn what_is_not_known_here_is_no_layout() {
        let layouts = layouts();
        assert!(layouts.get(named(2, &[0])).unwrap().is_none());
        assert_eq!(layouts.get(named(1, &[2])).err(), Some(NotOfSchema));
    }
}
