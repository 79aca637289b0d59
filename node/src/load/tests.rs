//! Whole loads against a gateway over a real connection: what arrives, what is rejected, and what a
//! second run does after the first was interrupted.

use super::{
    batch::BatchLimits,
    binding::Binding,
    run::{LoadError, LoadPlan, Summary, run},
    send::Patience,
    state::{Counts, LoadIdentity},
};
use crate::client::{
    cell::Cell,
    definition::view_shape,
    test_gateway::{Mishap, TestGateway},
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, FixedSizeListArray, Float32Array,
    Float64Array, Int32Array, Int64Array, LargeStringArray, ListArray, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt64Array,
    types::{Float32Type, Int64Type},
};
use parquet::arrow::ArrowWriter;
use proto::value::Value;
use serde_json::Value as Json;
use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

const ENTITY: &str = r#"{"name": "thing", "keys": [{"name": "id", "type": "int64"}]}"#;
const VIEW: &str = r#"{"name": "things", "entity": "thing", "features": [
    {"name": "count", "type": "int64"}, {"name": "ratio", "type": "float64"}, {"name": "note", "type": "string"}]}"#;

/// A folder with one file, and a gateway to load it into.
struct Bench {
    folder: TempDir,
    gateway: TestGateway,
    file: &'static str,
    options: Options,
}

#[derive(Default)]
struct Options {
    map: Vec<&'static str>,
    event_time: Option<&'static str>,
    partial: bool,
    batch_rows: Option<usize>,
    window: Option<usize>,
}

impl Bench {
    async fn new(entity: &str, view: &str, file: &'static str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            gateway: TestGateway::start(entity, view).await,
            file,
            options: Options::default(),
        }
    }

    async fn with_text(file: &'static str, text: &str) -> Self {
        let bench = Self::new(ENTITY, VIEW, file).await;
        fs::write(bench.path(file), text).unwrap();
        bench
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    async fn load(&self) -> Result<Summary, LoadError> {
        self.load_until(std::future::pending()).await
    }

    async fn load_until(&self, stop: impl Future<Output = ()>) -> Result<Summary, LoadError> {
        let gateways = self.gateway.connect();
        let view = self
            .gateway
            .state
            .lock()
            .unwrap()
            .definitions
            .keys()
            .last()
            .unwrap()
            .1
            .clone();
        let shape = view_shape(&gateways, "shop", &view).await.unwrap();
        let map = self
            .options
            .map
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let event_time = self.options.event_time.map(|text| text.parse().unwrap());
        let binding = Binding::new(&shape, map, event_time, self.options.partial)?;
        let plan = LoadPlan {
            shape,
            view,
            file: self.path(self.file),
            binding,
            limits: BatchLimits {
                rows: self.options.batch_rows.unwrap_or(3),
                bytes: 1 << 20,
            },
            window: self.options.window.unwrap_or(2),
            patience: Patience {
                deadline: Duration::from_secs(10),
                total: Duration::from_secs(30),
            },
            rows_per_second: None,
            rejects: self.path("rejects.jsonl"),
            state: self.path("state"),
            identity: LoadIdentity {
                cluster: "test".to_owned(),
                project: "shop".to_owned(),
                view: "things".to_owned(),
                file_bytes: 0,
                fingerprint: String::new(),
                options: String::new(),
            },
            restart: false,
            quiet: true,
        };
        run(plan, gateways, stop).await
    }

    fn rejects(&self) -> Vec<Json> {
        let text = fs::read_to_string(self.path("rejects.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn cell(&self, key: &str, feature: &str) -> Option<Cell> {
        self.gateway
            .row("things", &[key])?
            .cells
            .get(feature)
            .cloned()
    }

    async fn message(&self) -> String {
        self.load().await.unwrap_err().to_string()
    }
}

fn counts(accepted: u64, rejected: u64) -> Counts {
    Counts {
        accepted,
        superseded: 0,
        rejected,
    }
}

fn int(value: i64) -> Option<Cell> {
    Some(Cell::Value(Value::Int64(value)))
}

fn text(value: &str) -> Option<Cell> {
    Some(Cell::Value(Value::String(value.to_owned())))
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[tokio::test]
async fn csv_rows_arrive_typed_and_empty_fields_are_null() {
    let rows = "id,count,ratio,note,event_time\n\
                1,9007199254740993,0.1,\"a, b\",2026-11-20T10:00:00Z\n\
                2,,NaN,,2026-11-20T10:00:00.000001Z\n";
    let bench = Bench::with_text("rows.csv", rows).await;
    let summary = bench.load().await.unwrap();
    assert_eq!((summary.counts, summary.interrupted), (counts(2, 0), false));
    assert_eq!(bench.cell("1", "count"), int(9_007_199_254_740_993));
    assert_eq!(bench.cell("1", "note"), text("a, b"));
    assert_eq!(bench.cell("2", "count"), Some(Cell::Null));
    assert_eq!(
        bench.cell("2", "ratio"),
        Some(Cell::Value(Value::Float64(f64::NAN)))
    );
    assert_eq!(bench.cell("2", "note"), Some(Cell::Null));
    let row = bench.gateway.row("things", &["2"]).unwrap();
    assert_eq!(row.event_time, 1_795_168_800_000_001);
    assert!(!bench.path("state").exists() && !bench.path("rejects.jsonl").exists());
}

#[tokio::test]
async fn bad_csv_rows_are_kept_with_their_reasons_and_stop_nothing() {
    let rows = "id,count,ratio,note\n\
                1,1,1,a\n\
                2,1.5,1,b\n\
                ,1,1,c\n\
                4,1,x,d\n\
                5,1,1\n\
                6,6,1,f\n";
    let bench = Bench::with_text("rows.csv", rows).await;
    let summary = bench.load().await.unwrap();
    assert_eq!(summary.counts, counts(2, 4));
    assert_eq!(bench.cell("6", "count"), int(6));
    let rejects = bench.rejects();
    let told: Vec<(u64, &str, &str)> = rejects
        .iter()
        .map(|line| {
            (
                line["row"].as_u64().unwrap(),
                line["reason"].as_str().unwrap(),
                line["field"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (2, "WRONG_TYPE", "count"),
        (3, "MISSING_KEY", "id"),
        (4, "WRONG_TYPE", "ratio"),
        (5, "UNEQUAL_LENGTHS", ""),
    ];
    assert_eq!(told, expected);
    assert_eq!(rejects[0]["raw"]["count"], "1.5");
    assert_eq!(
        rejects[0]["message"]
            .as_str()
            .unwrap()
            .split(',')
            .next()
            .unwrap(),
        "\"1.5\" is not int64"
    );
}

#[tokio::test]
async fn rows_that_the_cluster_rejects_are_kept_with_their_place_in_the_file() {
    let rows = "{\"id\": 1, \"note\": \"a\"}\n\n{\"id\": 2, \"note\": \"b\"}\n{\"id\": 3, \"nope\": 1}\n{\"id\": 4}\n";
    let bench = Bench::with_text("rows.jsonl", rows).await;
    bench.gateway.state.lock().unwrap().rejected_keys = vec!["2".to_owned()];
    let summary = bench.load().await.unwrap();
    assert_eq!(summary.counts, counts(2, 2));
    let mut rejects = bench.rejects();
    rejects.sort_by_key(|line| line["row"].as_u64());
    assert_eq!(
        (&rejects[0]["row"], &rejects[0]["reason"]),
        (&Json::from(3), &Json::from("TOO_LARGE"))
    );
    assert_eq!(rejects[0]["raw"]["note"], "b");
    assert_eq!(
        (&rejects[1]["row"], &rejects[1]["field"]),
        (&Json::from(4), &Json::from("nope"))
    );
}

#[tokio::test]
async fn a_json_row_speaks_only_of_what_it_names() {
    let rows = "{\"id\": 1, \"count\": 1, \"note\": \"a\", \"event_time\": \"2026-11-20T10:00:00Z\"}\n\
                {\"id\": 1, \"note\": null, \"event_time\": \"2026-11-20T10:00:01Z\"}\n";
    let bench = Bench::with_text("rows.jsonl", rows).await;
    bench.load().await.unwrap();
    assert_eq!(
        bench.cell("1", "count"),
        int(1),
        "what is absent is left as it was"
    );
    assert_eq!(bench.cell("1", "note"), Some(Cell::Null), "null is written");
    assert_eq!(bench.cell("1", "ratio"), None);
}

#[tokio::test]
async fn rows_without_a_time_are_all_dated_when_the_load_first_began() {
    let bench = Bench::with_text(
        "rows.jsonl",
        "{\"id\": 1}\n{\"id\": 2}\n{\"id\": 3}\n{\"id\": 4}\n",
    )
    .await;
    bench.load().await.unwrap();
    let times: Vec<i64> = ["1", "2", "3", "4"]
        .iter()
        .map(|key| bench.gateway.row("things", &[key]).unwrap().event_time)
        .collect();
    assert!(times[0] > 1_700_000_000_000_000 && times.iter().all(|time| *time == times[0]));
}

#[tokio::test]
async fn event_times_in_whole_numbers_have_a_unit() {
    let mut bench = Bench::with_text("rows.csv", "id,at\n1,1500\n2,x\n3,\n").await;
    bench.options = Options {
        event_time: Some("at:ms"),
        partial: true,
        ..Options::default()
    };
    let summary = bench.load().await.unwrap();
    assert_eq!(summary.counts, counts(1, 2));
    assert_eq!(
        bench.gateway.row("things", &["1"]).unwrap().event_time,
        1_500_000
    );
    assert_eq!(bench.rejects()[1]["field"], "at");
}

const WIDE_VIEW: &str = r#"{"name": "things", "entity": "thing", "features": [
    {"name": "flag", "type": "bool"}, {"name": "small", "type": "int32"}, {"name": "big", "type": "int64"},
    {"name": "single", "type": "float32"}, {"name": "double", "type": "float64"}, {"name": "label", "type": "string"},
    {"name": "blob", "type": "bytes"}, {"name": "day", "type": "timestamp"}, {"name": "items", "type": "list<int64>"},
    {"name": "embedding", "type": "vector<float32, 2>"}]}"#;

fn wide_columns() -> Vec<(&'static str, ArrayRef)> {
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), Some(2)]),
        None,
        Some(vec![]),
    ]);
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        [
            Some(vec![Some(1.0), Some(2.5)]),
            Some(vec![Some(0.0), Some(-1.0)]),
            None,
        ],
        2,
    );
    vec![
        ("id", Arc::new(UInt64Array::from(vec![1, 2, 3]))),
        (
            "flag",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        (
            "small",
            Arc::new(Int64Array::from(vec![Some(-7), None, Some(1 << 31)])),
        ),
        (
            "big",
            Arc::new(Int64Array::from(vec![
                Some(i64::MAX),
                Some((1 << 53) + 1),
                Some(0),
            ])),
        ),
        (
            "single",
            Arc::new(Float32Array::from(vec![0.1, f32::NAN, 1.0])),
        ),
        ("double", Arc::new(Int32Array::from(vec![3, 4, 5]))),
        (
            "label",
            Arc::new(LargeStringArray::from(vec![Some("ä"), Some(""), None])),
        ),
        (
            "blob",
            Arc::new(BinaryArray::from_vec(vec![b"\x00\xff", b"", b"x"])),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![Some(1), Some(-1), None])),
        ),
        ("items", Arc::new(lists)),
        ("embedding", Arc::new(vectors)),
        (
            "at",
            Arc::new(TimestampNanosecondArray::from(vec![1_999, 2_000, 3_000])),
        ),
    ]
}

#[tokio::test]
async fn parquet_values_arrive_exactly_and_typed() {
    let mut bench = Bench::new(ENTITY, WIDE_VIEW, "rows.parquet").await;
    bench.options.event_time = Some("at");
    write_parquet(&bench.path("rows.parquet"), wide_columns());
    let summary = bench.load().await.unwrap();
    assert_eq!(summary.counts, counts(2, 1), "2^31 is no int32");
    let value = |key: &str, feature: &str| match bench.cell(key, feature).unwrap() {
        Cell::Value(value) => value,
        other => panic!("{feature} of {key} is {other:?}"),
    };
    assert_eq!(value("1", "flag"), Value::Bool(true));
    assert_eq!(value("1", "small"), Value::Int32(-7));
    assert_eq!(value("1", "big"), Value::Int64(i64::MAX));
    assert_eq!(value("2", "big"), Value::Int64((1 << 53) + 1));
    assert_eq!(value("1", "single"), Value::Float32(0.1));
    assert_eq!(value("2", "single"), Value::Float32(f32::NAN));
    assert_eq!(value("1", "double"), Value::Float64(3.0));
    assert_eq!(value("1", "label"), Value::String("ä".to_owned()));
    assert_eq!(
        value("2", "label"),
        Value::String(String::new()),
        "an empty text is not null"
    );
    assert_eq!(value("1", "blob"), Value::Bytes(vec![0, 255]));
    assert_eq!(value("1", "day"), Value::Timestamp(86_400_000_000));
    assert_eq!(value("2", "day"), Value::Timestamp(-86_400_000_000));
    assert_eq!(
        value("1", "items"),
        Value::List(vec![Value::Int64(1), Value::Int64(2)])
    );
    assert_eq!(
        value("1", "embedding"),
        Value::Float32Vector(vec![1.0, 2.5])
    );
    for feature in ["flag", "small", "items"] {
        assert_eq!(bench.cell("2", feature), Some(Cell::Null), "{feature}");
    }
    assert_eq!(
        bench.gateway.row("things", &["1"]).unwrap().event_time,
        1,
        "cut off, not rounded"
    );
    let rejects = bench.rejects();
    assert_eq!(rejects[0]["message"], "2147483648 does not fit int32");
    assert_eq!(
        (&rejects[0]["raw"]["small"], &rejects[0]["raw"]["big"]),
        (&Json::from(1_u64 << 31), &Json::from(0))
    );
}

#[tokio::test]
async fn parquet_columns_of_other_types_are_all_named_before_the_first_row() {
    let bench = Bench::new(ENTITY, VIEW, "rows.parquet").await;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1]))),
        ("count", Arc::new(Float64Array::from(vec![1.0]))),
        ("ratio", Arc::new(StringArray::from(vec!["1"]))),
        ("note", Arc::new(StringArray::from(vec!["a"]))),
    ];
    write_parquet(&bench.path("rows.parquet"), columns);
    let expected = "column count is Float64, and count is int64; column ratio is Utf8, and ratio is float64; \
                    cast the columns in the source, or define the features with the columns' types";
    assert_eq!(bench.message().await, expected);
    assert_eq!(bench.gateway.count(), 0);
}

#[tokio::test]
async fn files_that_do_not_fit_the_view_are_refused_before_the_first_row() {
    let check = async |file: &'static str, text: &str, part: &str| {
        let bench = Bench::with_text(file, text).await;
        let message = bench.message().await;
        assert!(message.contains(part), "{message}");
        assert_eq!(bench.gateway.count(), 0);
    };
    check(
        "rows.csv",
        "id,count\n1,1\n",
        "no column for ratio, note of view things",
    )
    .await;
    check(
        "rows.csv",
        "count,ratio,note\n1,1,a\n",
        "no column for join key id",
    )
    .await;
    check(
        "rows.csv",
        "id,count,ratio,note,more\n",
        "leave it out with --map more=-",
    )
    .await;
    check("rows.parquet", "not parquet", "cannot be read as Parquet").await;
    check("rows.txt", "", "must end in .parquet, .csv or .jsonl").await;
}

fn many_rows(count: u64) -> String {
    (1..=count)
        .map(|id| format!("{{\"id\": {id}, \"count\": {id}}}\n"))
        .collect()
}

#[tokio::test]
async fn a_second_run_goes_on_where_the_first_was_refused() {
    let mut bench = Bench::with_text("rows.jsonl", &many_rows(20)).await;
    bench.options.window = Some(1);
    bench.gateway.plan([None, None, Some(Mishap::Refused)]);
    let message = bench.message().await;
    assert!(
        message.starts_with("rows 7 to 9 were not taken: refused for WRONG_TYPE"),
        "{message}"
    );
    assert!(
        message.ends_with("the same command goes on from there"),
        "{message}"
    );
    assert_eq!(bench.gateway.count(), 6);
    let sent = bench.gateway.state.lock().unwrap().request_ids.clone();

    let summary = bench.load().await.unwrap();
    assert_eq!(
        (summary.resumed_after, summary.done, summary.counts),
        (6, 20, counts(20, 0))
    );
    assert_eq!(bench.gateway.count(), 20);
    let again = bench.gateway.state.lock().unwrap().request_ids.clone();
    assert_eq!(
        again[3], sent[2],
        "the batch that had no answer keeps its id"
    );
    assert_eq!(
        again.len(),
        sent.len() + 5,
        "what was done is not sent again"
    );
}

#[tokio::test]
async fn batches_done_out_of_order_are_not_sent_again() {
    // The first request fails for good while others in flight succeed.
    let mut bench = Bench::with_text("rows.jsonl", &many_rows(12)).await;
    bench.options.window = Some(4);
    bench
        .gateway
        .plan([Some(Mishap::Refused), None, None, None]);
    bench.load().await.unwrap_err();
    let first = bench.gateway.state.lock().unwrap().request_ids.len();
    let summary = bench.load().await.unwrap();
    assert_eq!((bench.gateway.count(), summary.done), (12, 12));
    let second = bench.gateway.state.lock().unwrap().request_ids.len() - first;
    assert!((1..=4).contains(&second), "{second} requests");
}

#[tokio::test]
async fn rejected_rows_are_kept_once_over_two_runs() {
    let rows =
        "id,count,ratio,note\nx,1,1,a\n2,1,1,a\n3,1,1,a\n4,1,1,a\ny,1,1,a\n6,1,1,a\n7,1,1,a\n";
    let mut bench = Bench::with_text("rows.csv", rows).await;
    bench.options.window = Some(1);
    bench.gateway.plan([None, Some(Mishap::Refused)]);
    bench.load().await.unwrap_err();
    // A crash may leave a line behind that no state knows of.
    let path = bench.path("rejects.jsonl");
    let torn = fs::read_to_string(&path).unwrap() + "{\"row\": 5, \"rea";
    fs::write(&path, torn).unwrap();
    let summary = bench.load().await.unwrap();
    assert_eq!(summary.counts, counts(5, 2));
    let numbers: Vec<u64> = bench
        .rejects()
        .iter()
        .map(|line| line["row"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 5]);
}

#[tokio::test]
async fn rejects_of_an_earlier_load_are_not_overwritten() {
    let bench = Bench::with_text("rows.csv", "id,count,ratio,note\nx,1,1,a\n").await;
    bench.load().await.unwrap();
    assert_eq!(bench.rejects().len(), 1);
    let message = bench.message().await;
    assert!(
        message.contains("an earlier load left it; move it away"),
        "{message}"
    );
    assert_eq!(bench.rejects().len(), 1);
}

#[tokio::test]
async fn a_stopped_load_waits_for_what_is_in_flight_and_goes_on_later() {
    let bench = Bench::with_text("rows.jsonl", &many_rows(10)).await;
    let summary = bench.load_until(std::future::ready(())).await.unwrap();
    assert!(summary.interrupted && summary.done < 10);
    let done = bench.gateway.count() as u64;
    assert_eq!(summary.done, done);
    let summary = bench.load().await.unwrap();
    assert_eq!(
        (summary.done, summary.interrupted, bench.gateway.count()),
        (10, false, 10)
    );
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_under_the_same_id() {
    for mishap in [
        Mishap::AnswerLost,
        Mishap::FirstRowUnknown,
        Mishap::Overloaded,
    ] {
        let bench = Bench::with_text("rows.jsonl", &many_rows(3)).await;
        bench.gateway.plan([Some(mishap.clone())]);
        let summary = bench.load().await.unwrap();
        assert_eq!(summary.counts, counts(3, 0), "{mishap:?}");
        let ids = bench.gateway.state.lock().unwrap().request_ids.clone();
        assert_eq!(ids.len(), 2, "{mishap:?}");
        assert_eq!(ids[0], ids[1], "{mishap:?}");
    }
}

#[tokio::test]
async fn an_id_that_was_forgotten_is_replaced() {
    let bench = Bench::with_text("rows.jsonl", &many_rows(3)).await;
    bench.gateway.plan([Some(Mishap::IdExpired)]);
    let summary = bench.load().await.unwrap();
    assert_eq!(summary.counts, counts(3, 0));
    let ids = bench.gateway.state.lock().unwrap().request_ids.clone();
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn where_the_later_write_wins_rows_go_in_their_order() {
    let view = VIEW.replacen("\"entity\"", "\"order_by\": \"write_time\", \"entity\"", 1);
    let mut bench = Bench::new(ENTITY, &view, "rows.jsonl").await;
    bench.options.batch_rows = Some(1);
    bench.options.window = Some(8);
    let rows: String = (0..40)
        .map(|count| format!("{{\"id\": 1, \"count\": {count}}}\n"))
        .collect();
    fs::write(bench.path("rows.jsonl"), rows).unwrap();
    bench.load().await.unwrap();
    assert_eq!(bench.cell("1", "count"), int(39));
}

#[tokio::test]
async fn every_value_of_every_article_arrives() {
    let entity = r#"{"name": "article", "keys": [{"name": "url", "type": "string"}]}"#;
    let shape = crate::demo::definitions::shape("article_features").unwrap();
    let features: Vec<String> = shape
        .view
        .features
        .iter()
        .map(|feature| {
            format!(
                "{{\"name\": \"{}\", \"type\": \"{}\"}}",
                feature.name, feature.ty
            )
        })
        .collect();
    let view = format!(
        "{{\"name\": \"things\", \"entity\": \"article\", \"features\": [{}]}}",
        features.join(",")
    );
    let mut bench = Bench::new(entity, &view, "articles.parquet").await;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/news_articles.parquet");
    fs::copy(data, bench.path("articles.parquet")).unwrap();
    bench.options = Options {
        map: vec!["timedelta=-", "shares=-"],
        batch_rows: Some(1_000),
        ..Options::default()
    };
    let summary = bench.load().await.unwrap();
    assert_eq!(summary.counts, counts(9_874, 0));

    let mut compared = 0;
    for batch in crate::demo::data::articles().unwrap() {
        let urls = batch.column_by_name("url").unwrap();
        for row in 0..batch.num_rows() {
            let url = super::arrow_value::json(urls, row);
            let stored = bench
                .gateway
                .row("things", &[url.as_str().unwrap()])
                .unwrap();
            for (name, cell) in &stored.cells {
                let schema = batch.schema();
                let fields = schema.fields();
                let index = fields
                    .iter()
                    .position(|field| field.name().eq_ignore_ascii_case(name))
                    .unwrap();
                let Cell::Value(value) = cell else {
                    panic!("{name} of {url} is {cell:?}");
                };
                let json = crate::client::value_json::render(value);
                assert_eq!(
                    json,
                    super::arrow_value::json(batch.column(index), row),
                    "{name} of {url}"
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 58 * 9_874);
}
