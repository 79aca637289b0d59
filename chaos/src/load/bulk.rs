//! Rows that are loaded before the faults, by `atoll load`, and whose values follow from their keys:
//! many more than a history holds, and each must be read as it was written, at any time after.

use super::shared::Shared;
use crate::{cluster::Cluster, judge::Outcome};
use anyhow::{Result, bail, ensure};
use std::{
    fs::File,
    io::{BufWriter, Write as _},
    sync::Arc,
    time::Duration,
};
use tokio::time::{sleep, timeout};
use tonic::{Request, Status, transport::Channel};
use wire::v1::{self, feature_service_client::FeatureServiceClient, lookup_request::Select};

const PROJECT: &str = "bulk";
const DEFINITIONS: &str = "
project: bulk
entities:
  - name: item
    keys: [{ name: item_id, type: int64 }]
views:
  - name: items
    version: 1
    entity: item
    features:
      - { name: number, type: int64 }
      - { name: share, type: float64 }
      - { name: label, type: string }
";
const FEATURES: [&str; 3] = ["items:number", "items:share", "items:label"];
/// Rows of one lookup under load: a user's candidates.
const ROWS_PER_LOOKUP: u64 = 50;
/// Rows of one lookup that reads all back.
const ROWS_PER_READ: u64 = 2_000;
const CALL_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);
/// How long a lookup is repeated when all rows are read back.
const READ_ATTEMPTS: usize = 10;
/// A slow machine loads so many rows a second at least.
const SLOWEST_ROWS_PER_SECOND: u64 = 200;
/// Faults of a reading that are told.
const TOLD: usize = 5;

/// What was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulk {
    rows: u64,
}

impl Bulk {
    /// Defines the view, writes the file and loads it.
    pub fn load(cluster: &Cluster, rows: u64) -> Result<Self> {
        if rows == 0 {
            return Ok(Self { rows });
        }
        cluster.apply(0, DEFINITIONS)?;
        let file = cluster.file("items.csv");
        write_file(File::create(&file)?, rows)?;
        let path = file.display().to_string();
        let arguments = [
            "load",
            "--project",
            PROJECT,
            "--view",
            "items",
            "--file",
            &path,
            "--output",
            "json",
            "--quiet",
        ];
        let within = Duration::from_secs(60 + rows / SLOWEST_ROWS_PER_SECOND);
        let said = cluster.run_within(0, &arguments, within)?.json()?;
        let accepted = said.first().and_then(|said| said["accepted"].as_u64());
        ensure!(
            accepted == Some(rows),
            "{rows} rows were loaded, and {said:?} came of it"
        );
        Ok(Self { rows })
    }
}

fn write_file(file: File, rows: u64) -> Result<()> {
    let mut out = BufWriter::new(file);
    writeln!(out, "item_id,number,share,label")?;
    for id in 0..rows {
        writeln!(out, "{id},{},{},{}", number(id), share(id), label(id))?;
    }
    Ok(out.flush()?)
}

const fn number(id: u64) -> i64 {
    (id * 31 + 7).cast_signed()
}

/// Eighths are exact in text too.
fn share(id: u64) -> f64 {
    id as f64 / 8.0
}

fn label(id: u64) -> String {
    format!("item {id}")
}

/// Looks rows up until the load ends.
pub async fn run(shared: Arc<Shared>, gateway: usize, number: u64) -> Result<()> {
    let mut client = FeatureServiceClient::new(shared.channel(gateway)?);
    let mut random = shared.random(&format!("items through {gateway} by {number}"));
    let rows = shared.bulk.rows;
    while !shared.is_over() {
        let ids: Vec<u64> = (0..ROWS_PER_LOOKUP).map(|_| random.below(rows)).collect();
        let issued = shared.clock.now();
        let outcome = match look_up(&mut client, &ids).await {
            Ok(answer) => judge(&answer, &ids),
            Err(status) => Outcome::Failed(status.to_string()),
        };
        shared.looked_up(gateway, issued, outcome);
        shared.pause(PAUSE).await;
    }
    Ok(())
}

/// Reads all rows once; what is wrong with them.
pub async fn read_all(shared: &Shared, gateway: usize) -> Result<Vec<String>> {
    let mut client = FeatureServiceClient::new(shared.channel(gateway)?);
    let mut faults = Vec::new();
    let mut first = 0;
    while first < shared.bulk.rows && faults.len() < TOLD {
        let ids: Vec<u64> = (first..shared.bulk.rows)
            .take(ROWS_PER_READ as usize)
            .collect();
        first += ROWS_PER_READ;
        match read(&mut client, &ids).await? {
            Outcome::Whole => {}
            wrong => faults.push(format!(
                "rows from {} through node {gateway}: {wrong:?}",
                ids[0]
            )),
        }
    }
    Ok(faults)
}

/// A lookup that may fail a few times while the machine is busy.
async fn read(client: &mut FeatureServiceClient<Channel>, ids: &[u64]) -> Result<Outcome> {
    let mut last = None;
    for _ in 0..READ_ATTEMPTS {
        match look_up(client, ids).await {
            Ok(answer) => return Ok(judge(&answer, ids)),
            Err(status) => last = Some(status),
        }
        sleep(PAUSE).await;
    }
    bail!("no answer to a lookup of {} rows: {last:?}", ids.len())
}

async fn look_up(
    client: &mut FeatureServiceClient<Channel>,
    ids: &[u64],
) -> Result<v1::LookupResponse, Status> {
    let key = v1::KeyColumn {
        name: "item_id".into(),
        ints: ids.iter().map(|id| id.cast_signed()).collect(),
        ..v1::KeyColumn::default()
    };
    let names = FEATURES.map(str::to_owned).into();
    let mut request = Request::new(v1::LookupRequest {
        project: PROJECT.into(),
        select: Some(Select::Features(v1::Features { names })),
        rows: vec![key],
        ..v1::LookupRequest::default()
    });
    request.set_timeout(CALL_WITHIN);
    match timeout(2 * CALL_WITHIN, client.lookup(request)).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("the client gave it up")),
    }
}

/// Holds an answer against what was loaded.
fn judge(answer: &v1::LookupResponse, ids: &[u64]) -> Outcome {
    if answer.columns.len() != FEATURES.len() || answer.row_count as usize != ids.len() {
        return Outcome::Wrong("the table is not the one asked for".into());
    }
    let (mut unavailable, mut wrong) = (0, None);
    for (place, column) in answer.columns.iter().enumerate() {
        for (row, id) in ids.iter().enumerate() {
            match status(answer, column, row) {
                Some(v1::ValueStatus::Unavailable) => unavailable += 1,
                Some(v1::ValueStatus::Present) if is_right(column, place, row, *id) => {}
                status => {
                    wrong = Some(format!("row {id}: {} is {status:?}", FEATURES[place]));
                }
            }
        }
    }
    match (wrong, unavailable) {
        (Some(wrong), _) => Outcome::Wrong(wrong),
        (None, 0) => Outcome::Whole,
        (None, unavailable) => Outcome::Unavailable(unavailable),
    }
}

fn status(answer: &v1::LookupResponse, column: &v1::Column, row: usize) -> Option<v1::ValueStatus> {
    match (column.statuses as usize).checked_sub(1) {
        None => Some(v1::ValueStatus::Present),
        Some(place) => {
            let byte = *answer.statuses.get(place)?.get(row)?;
            v1::ValueStatus::try_from(i32::from(byte)).ok()
        }
    }
}

fn is_right(column: &v1::Column, place: usize, row: usize, id: u64) -> bool {
    match place {
        0 => column.i64.get(row) == Some(&number(id)),
        1 => column.f64.get(row) == Some(&share(id)),
        _ => column.strings.get(row) == Some(&label(id)),
    }
}

/// The answer that a right cluster gives.
#[cfg(test)]
fn right_answer(ids: &[u64]) -> v1::LookupResponse {
    let column = v1::Column::default;
    v1::LookupResponse {
        columns: vec![
            v1::Column {
                i64: ids.iter().map(|id| number(*id)).collect(),
                ..column()
            },
            v1::Column {
                f64: ids.iter().map(|id| share(*id)).collect(),
                ..column()
            },
            v1::Column {
                strings: ids.iter().map(|id| label(*id)).collect(),
                ..column()
            },
        ],
        row_count: ids.len() as u32,
        ..v1::LookupResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [u64; 3] = [5, 0, 9];

    fn judged(change: impl FnOnce(&mut v1::LookupResponse)) -> Outcome {
        let mut answer = right_answer(&IDS);
        change(&mut answer);
        judge(&answer, &IDS)
    }

    fn with_status(byte: u8) -> Outcome {
        judged(|answer| {
            answer.statuses = vec![vec![1, byte, 1].into()];
            answer.columns[2].statuses = 1;
        })
    }

    #[test]
    fn an_answer_is_held_against_what_was_loaded() {
        assert_eq!(judged(|_| {}), Outcome::Whole);
        assert_eq!(with_status(5), Outcome::Unavailable(1));
        assert!(
            matches!(with_status(3), Outcome::Wrong(_)),
            "no row is absent"
        );
        assert!(matches!(
            judged(|answer| answer.columns[0].i64[1] += 1),
            Outcome::Wrong(_)
        ));
        assert!(matches!(
            judged(|answer| answer.row_count = 2),
            Outcome::Wrong(_)
        ));
    }

    #[test]
    fn the_file_has_a_line_for_each_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.csv");
        write_file(File::create(&path).unwrap(), 3).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            text,
            "item_id,number,share,label\n0,7,0,item 0\n1,38,0.125,item 1\n2,69,0.25,item 2\n"
        );
    }
}
