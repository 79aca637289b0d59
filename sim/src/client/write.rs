//! Writes and deletions as messages, and their answers as outcomes.

use super::lookup::wire_type;
use crate::{
    history::{Acknowledged, Bytes, Change, RejectedRow, WriteAnswer, WriteRow},
    workload::{Probe, ProbeView},
};
use node::client::fault::Fault;
use proto::{
    id::{FeatureId, RegionId},
    reason::{Action, Reason},
    request::RequestId,
    types::Scalar,
};
use tonic::Status;
use wire::v1::{self, delete_request::What};

/// A request, as it is sent and recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Its id, the same for all attempts.
    pub id: RequestId,
    /// Its rows, in the order of the message.
    pub rows: Vec<WriteRow>,
    /// How many rows stand before those of each write of the message.
    starts: Vec<u32>,
    /// The message.
    pub message: Message,
}

/// The message of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Sets cells.
    Write(v1::WriteRequest),
    /// Deletes a row.
    Delete(v1::DeleteRequest),
}

/// The requests that carry out `rows`: one for all that set cells, one for each deletion. `id` gives
/// the next request's id.
pub fn requests(
    probe: &Probe,
    rows: Vec<WriteRow>,
    mut id: impl FnMut() -> RequestId,
) -> Vec<Sent> {
    let (deleted, set): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|row| row.change == Change::Delete);
    let mut requests = Vec::new();
    if !set.is_empty() {
        requests.push(write(probe, &set, id()));
    }
    requests.extend(deleted.into_iter().map(|row| delete(probe, row, id())));
    requests
}

fn write(probe: &Probe, rows: &[WriteRow], id: RequestId) -> Sent {
    let (mut ordered, mut starts, mut writes) = (Vec::new(), Vec::new(), Vec::new());
    for view in ProbeView::ALL {
        let of_view = rows.iter().filter(|row| row.row.view == probe.id(view));
        let of_view: Vec<WriteRow> = of_view.cloned().collect();
        if !of_view.is_empty() {
            starts.push(u32::try_from(ordered.len()).expect("a write has few rows"));
            writes.push(rows_of(probe, view, &of_view));
            ordered.extend(of_view);
        }
    }
    let message = v1::WriteRequest {
        project: Probe::PROJECT.into(),
        request_id: id.as_bytes().to_vec().into(),
        writes,
        ..v1::WriteRequest::default()
    };
    Sent {
        id,
        rows: ordered,
        starts,
        message: Message::Write(message),
    }
}

fn delete(probe: &Probe, row: WriteRow, id: RequestId) -> Sent {
    let view = ProbeView::ALL
        .into_iter()
        .find(|view| probe.id(*view) == row.row.view);
    let message = v1::DeleteRequest {
        project: Probe::PROJECT.into(),
        what: view.map(|view| What::View(view.name().into())),
        keys: vec![keys(probe, std::slice::from_ref(&row))],
        event_time_us: Some(row.event_time.micros().cast_signed()),
        request_id: id.as_bytes().to_vec().into(),
        ..v1::DeleteRequest::default()
    };
    Sent {
        id,
        rows: vec![row],
        starts: vec![0],
        message: Message::Delete(message),
    }
}

fn keys(probe: &Probe, rows: &[WriteRow]) -> v1::KeyColumn {
    let number = |row: &WriteRow| probe.number(&row.row).cast_signed();
    v1::KeyColumn {
        name: Probe::KEY.into(),
        ints: rows.iter().map(number).collect(),
        ..v1::KeyColumn::default()
    }
}

fn rows_of(probe: &Probe, view: ProbeView, rows: &[WriteRow]) -> v1::ViewRows {
    let features = view.features().iter().enumerate();
    let columns = features
        .map(|(place, (name, scalar))| column(FeatureId(place as u16), name, *scalar, rows));
    let event_time = |row: &WriteRow| row.event_time.micros().cast_signed();
    v1::ViewRows {
        view: view.name().into(),
        keys: vec![keys(probe, rows)],
        features: columns.collect(),
        event_times_us: rows.iter().map(event_time).collect(),
    }
}

fn column(feature: FeatureId, name: &str, scalar: Scalar, rows: &[WriteRow]) -> v1::Column {
    let mut column = v1::Column {
        feature: name.into(),
        r#type: wire_type(scalar).into(),
        ..v1::Column::default()
    };
    let mut cells = Vec::new();
    for row in rows {
        let written = match &row.change {
            Change::Set(set) => set.iter().find(|(of, _)| *of == feature),
            Change::Delete => None,
        };
        let value = written.and_then(|(_, value)| value.as_ref());
        cells.push(match (written, value) {
            (None, _) => 0,
            (Some(_), Some(_)) => 1,
            (Some(_), None) => 2,
        });
        let bytes = value.map_or(&[][..], Bytes::as_slice);
        match scalar {
            Scalar::Float64 => column.f64.push(f64::from_bits(number(bytes))),
            Scalar::String => {
                let text = String::from_utf8(bytes.to_vec());
                let text = text.expect("the load writes text to strings");
                column.strings.push(text);
            }
            _ => column.i64.push(number(bytes).cast_signed()),
        }
    }
    column.cells = cells.into();
    column
}

/// Eight bytes as a number; none are 0, which stands where there is no value.
fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

impl Sent {
    /// What an answer says of the request.
    pub fn outcome(&self, answer: Result<v1::WriteResponse, Status>) -> WriteAnswer {
        match answer {
            Ok(answer) => self.acknowledged(answer),
            Err(status) => refused(&status),
        }
    }

    fn acknowledged(&self, answer: v1::WriteResponse) -> WriteAnswer {
        let mut rejected = Vec::new();
        for row in &answer.rejected {
            let Some(reason) = reason(&row.reason) else {
                return WriteAnswer::Unknown(format!("rejected for {:?}", row.reason));
            };
            let start = self.starts.get(row.write as usize).copied().unwrap_or(0);
            let row = start + row.row;
            rejected.push(RejectedRow { row, reason });
        }
        WriteAnswer::Acknowledged(Acknowledged {
            region: RegionId(1),
            superseded: u32::try_from(answer.superseded).unwrap_or(u32::MAX),
            rejected,
            unknown: answer.unknown,
            token: (!answer.token.is_empty()).then(|| Bytes::of(&answer.token)),
        })
    }
}

/// Only a fault of the request itself says that nothing happened; all others leave it open.
fn refused(status: &Status) -> WriteAnswer {
    let fault = Fault::of(status);
    match fault.known_reason() {
        Some(reason) if reason.action() == Action::Correct => WriteAnswer::Refused(reason),
        _ => WriteAnswer::Unknown(fault.to_string()),
    }
}

fn reason(name: &str) -> Option<Reason> {
    let mut all = Reason::ALL.iter().copied();
    all.find(|reason| reason.as_str() == name)
}
