//! Lookups as messages, and their answers as cells.

use crate::{
    history::{Bytes, LookupAnswer, OriginAge, ReadCell, Status, TokenBytes, Values, Wanted},
    workload::{Probe, ProbeView},
};
use node::client::fault::Fault;
use proto::{
    id::{FeatureId, RegionId},
    reason::Reason,
    time::EventTime,
    types::Scalar,
};
use std::collections::BTreeSet;
use wire::v1::{self, lookup_request::Select};

/// A lookup, as it is sent and recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What it asks for, row by row: view by view, and in each the probes in order.
    pub wanted: Vec<Wanted>,
    /// The message.
    pub message: v1::LookupRequest,
    probes: usize,
    columns: Vec<(ProbeView, FeatureId)>,
}

/// The lookup that asks for all of `wanted`: every feature of it for every key of it, since an
/// answer is a table.
pub fn ask(
    probe: &Probe,
    wanted: &[Wanted],
    token: Option<&TokenBytes>,
    event_times: bool,
) -> Asked {
    let numbers = wanted.iter().map(|wanted| probe.number(&wanted.row));
    let numbers: BTreeSet<u64> = numbers.collect();
    let mut columns = BTreeSet::new();
    for view in ProbeView::ALL {
        let of_view = wanted
            .iter()
            .filter(|asked| asked.row.view == probe.id(view));
        columns.extend(of_view.flat_map(|asked| asked.features.iter().map(|of| (view, *of))));
    }
    let names = columns.iter().map(|(view, feature)| name(*view, *feature));
    let features = v1::Features {
        names: names.collect(),
    };
    let key = v1::KeyColumn {
        name: Probe::KEY.into(),
        ints: numbers.iter().map(|number| number.cast_signed()).collect(),
        ..v1::KeyColumn::default()
    };
    let message = v1::LookupRequest {
        project: Probe::PROJECT.into(),
        select: Some(Select::Features(features)),
        rows: vec![key],
        token: token
            .map_or_else(Vec::new, |token| token.as_slice().to_vec())
            .into(),
        event_times,
        ..v1::LookupRequest::default()
    };
    Asked {
        wanted: table(probe, &numbers, &columns),
        message,
        probes: numbers.len(),
        columns: columns.into_iter().collect(),
    }
}

fn table(
    probe: &Probe,
    numbers: &BTreeSet<u64>,
    columns: &BTreeSet<(ProbeView, FeatureId)>,
) -> Vec<Wanted> {
    let mut table = Vec::new();
    for view in ProbeView::ALL {
        let of_view = columns.iter().filter(|(of, _)| *of == view);
        let features: Vec<FeatureId> = of_view.map(|(_, feature)| *feature).collect();
        if !features.is_empty() {
            table.extend(numbers.iter().map(|number| Wanted {
                row: probe.row(view, *number),
                features: features.clone(),
            }));
        }
    }
    table
}

fn name(view: ProbeView, feature: FeatureId) -> String {
    let (feature, _) = view.features()[usize::from(feature.0)];
    format!("{}:{feature}", view.name())
}

/// The schema's name of a type.
pub fn wire_type(scalar: Scalar) -> v1::Type {
    match scalar {
        Scalar::Float64 => v1::Type::Float64,
        Scalar::String => v1::Type::String,
        _ => v1::Type::Int64,
    }
}

impl Asked {
    /// What an answer says.
    pub fn outcome(&self, answer: Result<v1::LookupResponse, tonic::Status>) -> LookupAnswer {
        let status = match answer {
            Ok(answer) => {
                let other = || LookupAnswer::Failed("the table is not the one asked for".into());
                return self
                    .values(&answer)
                    .map_or_else(other, LookupAnswer::Values);
            }
            Err(status) => status,
        };
        let fault = Fault::of(&status);
        match fault.known_reason() {
            Some(Reason::Stale) => LookupAnswer::Stale,
            _ => LookupAnswer::Failed(fault.to_string()),
        }
    }

    fn values(&self, answer: &v1::LookupResponse) -> Option<Values> {
        if answer.columns.len() != self.columns.len() || answer.row_count as usize != self.probes {
            return None;
        }
        let mut rows: Vec<Vec<ReadCell>> = vec![Vec::new(); self.wanted.len()];
        let mut first_row = 0;
        let mut last_view = None;
        for ((view, feature), column) in self.columns.iter().zip(&answer.columns) {
            if last_view.replace(*view).is_some_and(|last| last != *view) {
                first_row += self.probes;
            }
            if column.feature != name(*view, *feature) {
                return None;
            }
            let (_, scalar) = view.features()[usize::from(feature.0)];
            for row in 0..self.probes {
                rows[first_row + row].push(cell(answer, column, scalar, row)?);
            }
        }
        let ages = answer.staleness.iter().map(|age| OriginAge {
            origin: RegionId(1),
            micros: age.micros,
        });
        Some(Values {
            rows,
            region: RegionId(1),
            replica: String::new(),
            stale: answer.stale,
            ages: ages.collect(),
            token: (!answer.token.is_empty()).then(|| Bytes::of(&answer.token)),
        })
    }
}

/// One value; none where the answer's parts do not fit together.
fn cell(
    answer: &v1::LookupResponse,
    column: &v1::Column,
    scalar: Scalar,
    row: usize,
) -> Option<ReadCell> {
    let status = match (column.statuses as usize).checked_sub(1) {
        None => Status::Present,
        Some(place) => status(*answer.statuses.get(place)?.get(row)?)?,
    };
    let value = match (status, scalar) {
        (Status::Present, Scalar::Float64) => {
            Some(Bytes::of(&column.f64.get(row)?.to_bits().to_le_bytes()))
        }
        (Status::Present, Scalar::String) => Some(Bytes::of(column.strings.get(row)?.as_bytes())),
        (Status::Present, _) => Some(Bytes::of(&column.i64.get(row)?.to_le_bytes())),
        _ => None,
    };
    let event_time = match (column.times as usize).checked_sub(1) {
        None => None,
        // 0 says that there is no row.
        Some(place) => Some(*answer.times.get(place)?.micros.get(row)?).filter(|time| *time != 0),
    };
    Some(ReadCell {
        status,
        value,
        event_time: event_time.and_then(EventTime::from_micros),
    })
}

/// No feature of the load has a default, so no status says that one was filled in.
const fn status(byte: u8) -> Option<Status> {
    match byte {
        1 => Some(Status::Present),
        2 => Some(Status::NullValue),
        3 => Some(Status::NotFound),
        4 => Some(Status::OutsideMaxAge),
        5 => Some(Status::Unavailable),
        _ => None,
    }
}
