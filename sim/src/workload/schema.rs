//! The schema of the load: two views of one entity, an integer key, no feature that combines.

use crate::history::{OrderBy, RowKey, ViewRule, Wanted};
use proto::{
    id::{EntityId, FeatureId, ViewId},
    key::Key,
    schema::Column,
    types::{Scalar, Type},
    value::Value,
};
use std::time::Duration;

/// One of the two views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeView {
    /// Values that expire.
    State,
    /// Values that do not.
    Notes,
}

/// The schema with the ids that a cluster gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The entity's id.
    pub entity: EntityId,
    /// The id of [`ProbeView::State`].
    pub state: ViewId,
    /// The id of [`ProbeView::Notes`].
    pub notes: ViewId,
    /// The TTL of [`ProbeView::State`].
    pub ttl: Duration,
}

impl ProbeView {
    /// Both views.
    pub const ALL: [Self; 2] = [Self::State, Self::Notes];

    /// The view's name in [`Probe::definition`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "probe_state",
            Self::Notes => "probe_notes",
        }
    }

    /// Its features in the order of their ids.
    #[must_use]
    pub const fn features(self) -> &'static [(&'static str, Scalar)] {
        match self {
            Self::State => &[
                ("count", Scalar::Int64),
                ("level", Scalar::Float64),
                ("label", Scalar::String),
                ("score", Scalar::Float64),
            ],
            Self::Notes => &[("revision", Scalar::Int64), ("text", Scalar::String)],
        }
    }
}

impl Probe {
    /// The project of [`Self::definition`].
    pub const PROJECT: &'static str = "probes";

    /// The key of its entity.
    pub const KEY: &'static str = "probe_id";

    /// The schema as a definition file.
    #[must_use]
    pub fn definition(&self) -> String {
        let mut text = format!(
            "project: {}\nentities:\n  - name: probe\n    keys: [{{ name: {}, type: int64 }}]\nviews:\n",
            Self::PROJECT,
            Self::KEY
        );
        for view in ProbeView::ALL {
            let ttl = match view {
                ProbeView::State => format!("{}s", self.ttl.as_secs()),
                ProbeView::Notes => "none".to_owned(),
            };
            text += &format!(
                "  - name: {}\n    version: 1\n    entity: probe\n    ttl: {ttl}\n    features:\n",
                view.name()
            );
            for (name, scalar) in view.features() {
                text += &format!("      - {{ name: {name}, type: {} }}\n", scalar.as_str());
            }
        }
        text
    }

    /// The id of a view.
    #[must_use]
    pub const fn id(&self, view: ProbeView) -> ViewId {
        match view {
            ProbeView::State => self.state,
            ProbeView::Notes => self.notes,
        }
    }

    /// What a judge must know of the views.
    #[must_use]
    pub fn rules(&self) -> Vec<ViewRule> {
        let rule = |view: ProbeView| {
            let columns = view
                .features()
                .iter()
                .map(|(_, scalar)| Column::of(Type::Scalar(*scalar)));
            let ttl = u64::try_from(self.ttl.as_micros()).unwrap_or(u64::MAX);
            ViewRule {
                view: self.id(view),
                entity: self.entity,
                columns: columns.collect(),
                defaults: Vec::new(),
                order_by: OrderBy::EventTime,
                ttl: (view == ProbeView::State).then_some(ttl),
                purge_after: None,
            }
        };
        ProbeView::ALL.map(rule).into()
    }

    /// The row of a probe.
    #[must_use]
    pub fn row(&self, view: ProbeView, probe: u64) -> RowKey {
        let mut key = Key::new();
        key.push_number(probe as i64)
            .expect("nine bytes are below any limit of keys");
        RowKey::new(self.id(view), &key)
    }

    /// The probe of a row that [`Self::row`] made.
    ///
    /// # Panics
    /// If it made it not.
    #[must_use]
    pub fn number(&self, row: &RowKey) -> u64 {
        let values = Key::from_canonical(row.key.as_slice()).values(&[Scalar::Int64]);
        match values.as_deref() {
            Ok([Value::Int64(number)]) => number.cast_unsigned(),
            _ => panic!("{row} is no row of a probe"),
        }
    }

    /// A read of the whole row of a probe.
    #[must_use]
    pub fn whole_row(&self, view: ProbeView, probe: u64) -> Wanted {
        let features = (0..view.features().len() as u16).map(FeatureId).collect();
        Wanted {
            row: self.row(view, probe),
            features,
        }
    }
}
