//! Which column of a file is which join key or feature of the view, settled before the first row.
//!
//! A column is known by `--map`, else by its name, else by its name in lower case, since names in
//! Atoll have no capitals. What is missing or over is said all at once, with what to do about it.

use super::{event_time::EventTimeColumn, mapping::Mapped};
use crate::client::definition::{Feature, JoinKey, ViewShape};
use proto::name::EVENT_TIME;

/// What a column of the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Target {
    /// The join key or feature, if any.
    pub value: Option<Place>,
    /// Whether it is the rows' event time.
    pub event_time: bool,
    /// Whether it was left out by `--map COLUMN=-`.
    pub left_out: bool,
}

/// A place in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A join key, by its number in the entity.
    Key(usize),
    /// A feature, by its number in the binding.
    Feature(usize),
}

/// How names of columns lead to places in rows.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The view's name, for messages.
    pub view: String,
    /// The entity's join keys.
    pub keys: Vec<JoinKey>,
    /// The features that the file may hold.
    pub features: Vec<Feature>,
    /// The option, or the reserved name.
    pub event_time: EventTimeColumn,
    /// Whether every row must have an event time of its own.
    pub event_time_required: bool,
    mapped: Vec<Mapped>,
    partial: bool,
}

/// Why a file's columns are not the view's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// `--map` names a target that is not there.
    #[error(
        "--map {column}={target}: view {view} has no join key or feature {target}; it has {known}"
    )]
    UnknownTarget {
        /// The column.
        column: String,
        /// What it was to be.
        target: String,
        /// The view.
        view: String,
        /// Its join keys and features.
        known: String,
    },
    /// Two columns for one place.
    #[error("columns {first} and {second} are both {target}; leave one out with --map {second}=-")]
    Twice {
        /// One column.
        first: String,
        /// The other.
        second: String,
        /// What both would be.
        target: String,
    },
    /// `--map` or `--event-time` names a column that is not there.
    #[error("the file has no column {missing}, which {option} names; its columns are {columns}")]
    NoSuchColumn {
        /// The column.
        missing: String,
        /// The option.
        option: &'static str,
        /// The file's columns.
        columns: String,
    },
    /// Join keys without a column.
    #[error(
        "the file has no column for join key {missing}; its columns are {columns}; say which it is with --map COLUMN=KEY"
    )]
    MissingKeys {
        /// The join keys.
        missing: String,
        /// The file's columns.
        columns: String,
    },
    /// Features without a column.
    #[error(
        "the file has no column for {missing} of view {view}; say which columns they are with --map COLUMN=FEATURE, or load without them, so that they keep their values, with --partial"
    )]
    MissingFeatures {
        /// The features.
        missing: String,
        /// The view.
        view: String,
    },
    /// Columns that are nothing of the view.
    #[error(
        "column {extra} is no join key or feature of view {view}; leave it out with --map {leave_out}, or add it to the view first"
    )]
    ExtraColumns {
        /// The columns.
        extra: String,
        /// The view.
        view: String,
        /// The option that leaves them out.
        leave_out: String,
    },
}

impl Binding {
    /// Prepares the binding for a view. Without `--event-time`, a column `event_time` is it.
    pub fn new(
        shape: &ViewShape,
        mapped: Vec<Mapped>,
        event_time: Option<EventTimeColumn>,
        partial: bool,
    ) -> Result<Self, BindError> {
        let binding = Self {
            view: shape.view.name.clone(),
            keys: shape.keys.clone(),
            features: shape.view.features.clone(),
            event_time_required: event_time.is_some(),
            event_time: event_time.unwrap_or_else(|| EventTimeColumn {
                column: EVENT_TIME.to_owned(),
                unit: None,
            }),
            mapped,
            partial,
        };
        for mapped in &binding.mapped {
            if let Some(target) = &mapped.target
                && binding.place(target).is_none()
            {
                return Err(BindError::UnknownTarget {
                    column: mapped.column.clone(),
                    target: target.clone(),
                    view: binding.view.clone(),
                    known: listed(binding.names()),
                });
            }
        }
        Ok(binding)
    }

    /// What a column of this name holds; `None` where it is nothing of the view.
    #[must_use]
    pub fn find(&self, column: &str) -> Option<Target> {
        let event_time = column == self.event_time.column;
        if let Some(mapped) = self.mapped.iter().find(|mapped| mapped.column == column) {
            return Some(Target {
                value: mapped.target.as_deref().and_then(|name| self.place(name)),
                event_time,
                left_out: mapped.target.is_none(),
            });
        }
        let value = self
            .place(column)
            .or_else(|| self.place(&column.to_ascii_lowercase()));
        (event_time || value.is_some()).then_some(Target {
            value,
            event_time,
            left_out: false,
        })
    }

    /// The join key's or feature's name.
    #[must_use]
    pub fn name_of(&self, place: Place) -> &str {
        match place {
            Place::Key(index) => &self.keys[index].name,
            Place::Feature(index) => &self.features[index].name,
        }
    }

    /// What each column of a file with a header holds. Features without a column are dropped from
    /// the binding, so that the request does not speak of them.
    pub fn settle(&mut self, columns: &[String]) -> Result<Vec<Target>, BindError> {
        self.check_named(columns)?;
        self.check_extra(columns)?;
        let targets = self.targets(columns)?;
        let missing = |place: Place| !targets.iter().any(|target| target.value == Some(place));
        let keys = (0..self.keys.len()).filter(|index| missing(Place::Key(*index)));
        let keys: Vec<&str> = keys.map(|index| self.keys[index].name.as_str()).collect();
        if !keys.is_empty() {
            return Err(BindError::MissingKeys {
                missing: listed(keys),
                columns: listed(columns.iter().map(String::as_str)),
            });
        }
        let held: Vec<bool> = (0..self.features.len())
            .map(|index| !missing(Place::Feature(index)))
            .collect();
        if held.iter().all(|held| *held) {
            return Ok(targets);
        }
        if !self.partial {
            let features = self.features.iter().zip(&held);
            let absent = features
                .filter(|(_, held)| !**held)
                .map(|(feature, _)| feature);
            return Err(BindError::MissingFeatures {
                missing: listed(absent.map(|feature| feature.name.as_str())),
                view: self.view.clone(),
            });
        }
        let mut held = held.into_iter();
        self.features.retain(|_| held.next().unwrap_or_default());
        self.targets(columns)
    }

    fn targets(&self, columns: &[String]) -> Result<Vec<Target>, BindError> {
        let targets: Vec<Target> = columns
            .iter()
            .map(|column| self.find(column).unwrap_or_default())
            .collect();
        for (index, target) in targets.iter().enumerate() {
            let Some(place) = target.value else { continue };
            let first = targets[..index]
                .iter()
                .position(|other| other.value == Some(place));
            if let Some(first) = first {
                return Err(BindError::Twice {
                    first: columns[first].clone(),
                    second: columns[index].clone(),
                    target: self.name_of(place).to_owned(),
                });
            }
        }
        Ok(targets)
    }

    /// Columns that the options name must be there.
    fn check_named(&self, columns: &[String]) -> Result<(), BindError> {
        let mapped = self.mapped.iter().map(|mapped| (&mapped.column, "--map"));
        let event_time = Some((&self.event_time.column, "--event-time"));
        let named = mapped.chain(event_time.filter(|_| self.event_time_required));
        for (column, option) in named {
            if !columns.contains(column) {
                return Err(BindError::NoSuchColumn {
                    missing: column.clone(),
                    option,
                    columns: listed(columns.iter().map(String::as_str)),
                });
            }
        }
        Ok(())
    }

    fn check_extra(&self, columns: &[String]) -> Result<(), BindError> {
        let extra: Vec<&str> = columns
            .iter()
            .map(String::as_str)
            .filter(|column| self.find(column).is_none())
            .collect();
        if extra.is_empty() {
            return Ok(());
        }
        let leave_out: Vec<String> = extra.iter().map(|column| format!("{column}=-")).collect();
        Err(BindError::ExtraColumns {
            extra: listed(extra),
            view: self.view.clone(),
            leave_out: leave_out.join(","),
        })
    }

    fn place(&self, name: &str) -> Option<Place> {
        let key = self.keys.iter().position(|key| key.name == name);
        let feature = self
            .features
            .iter()
            .position(|feature| feature.name == name);
        key.map(Place::Key).or(feature.map(Place::Feature))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let keys = self.keys.iter().map(|key| key.name.as_str());
        keys.chain(self.features.iter().map(|feature| feature.name.as_str()))
    }
}

/// Names in one line; of very many the first, and how many more there are.
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 80;
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::definition::{OrderBy, View};
    use proto::types::Scalar;

    fn shape() -> ViewShape {
        let feature = |name: &str, ty: &str| Feature {
            name: name.to_owned(),
            ty: ty.parse().unwrap(),
        };
        ViewShape {
            project: "shop".to_owned(),
            view: View {
                name: "activity".to_owned(),
                version: 1,
                entity: "customer".to_owned(),
                order_by: OrderBy::EventTime,
                features: vec![feature("orders", "int64"), feature("lda_00", "float64")],
            },
            keys: vec![JoinKey {
                name: "customer_id".to_owned(),
                ty: Scalar::Int64,
            }],
        }
    }

    fn settle(
        map: &[&str],
        event_time: Option<&str>,
        partial: bool,
        columns: &[&str],
    ) -> Result<(Binding, Vec<Target>), BindError> {
        let mapped = map.iter().map(|text| text.parse().unwrap()).collect();
        let event_time = event_time.map(|text| text.parse().unwrap());
        let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
        let mut binding = Binding::new(&shape(), mapped, event_time, partial)?;
        let targets = binding.settle(&columns)?;
        Ok((binding, targets))
    }

    fn check_refused(map: &[&str], event_time: Option<&str>, columns: &[&str], message: &str) {
        let error = settle(map, event_time, false, columns).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn columns_are_known_by_name_lower_case_and_map() {
        let columns = ["LDA_00", "id", "orders", "event_time"];
        let (_, targets) = settle(&["id=customer_id"], None, false, &columns).unwrap();
        let places: Vec<_> = targets.iter().map(|target| target.value).collect();
        let expected = [
            Some(Place::Feature(1)),
            Some(Place::Key(0)),
            Some(Place::Feature(0)),
            None,
        ];
        assert_eq!(places, expected);
        assert!(targets[3].event_time);
    }

    #[test]
    fn an_event_time_column_may_be_a_feature_too() {
        let columns = ["customer_id", "orders", "lda_00"];
        let (_, targets) = settle(&[], Some("orders:ms"), false, &columns).unwrap();
        assert!(targets[1].event_time && targets[1].value.is_some());
    }

    #[test]
    fn missing_columns_are_all_named_with_the_way_out() {
        check_refused(
            &[],
            None,
            &["id", "orders", "lda_00"],
            "column id is no join key or feature of view activity; leave it out with --map id=-, or add it to the view first",
        );
        check_refused(
            &["id=-"],
            None,
            &["id", "orders", "lda_00"],
            "the file has no column for join key customer_id; its columns are id, orders, lda_00; say which it is with --map COLUMN=KEY",
        );
        check_refused(
            &[],
            None,
            &["customer_id"],
            "the file has no column for orders, lda_00 of view activity; say which columns they are with --map COLUMN=FEATURE, or load without them, so that they keep their values, with --partial",
        );
    }

    #[test]
    fn extra_columns_are_all_named_with_the_option_that_leaves_them_out() {
        check_refused(
            &[],
            None,
            &["customer_id", "orders", "lda_00", "timedelta", "shares"],
            "column timedelta, shares is no join key or feature of view activity; leave it out with --map timedelta=-,shares=-, or add it to the view first",
        );
    }

    #[test]
    fn options_must_name_what_is_there() {
        check_refused(
            &[],
            Some("at"),
            &["customer_id", "orders", "lda_00"],
            "the file has no column at, which --event-time names; its columns are customer_id, orders, lda_00",
        );
        check_refused(
            &["orders=order"],
            None,
            &["orders"],
            "--map orders=order: view activity has no join key or feature order; it has customer_id, orders, lda_00",
        );
        check_refused(
            &["o=orders"],
            None,
            &["customer_id", "orders", "o", "lda_00"],
            "columns orders and o are both orders; leave one out with --map o=-",
        );
    }

    #[test]
    fn a_partial_file_speaks_only_of_the_features_it_has() {
        let (binding, targets) = settle(&[], None, true, &["lda_00", "customer_id"]).unwrap();
        assert_eq!(binding.features.len(), 1);
        assert_eq!(targets[0].value, Some(Place::Feature(0)));
    }
}
