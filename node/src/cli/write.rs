//! `atoll write`: rows of JSON from a file or from standard input.

use super::{
    arguments::Access,
    failure::{PartRefused, WrongUsage},
    session::Session,
    write_answer::WriteTotal,
};
use crate::{
    client::{
        definition::{self, ViewShape},
        request_id,
        rows::{TypedRow, view_rows},
    },
    load::{
        binding::Binding,
        jsonl::JsonlSource,
        row::{RowFault, SourceRow},
        send::{self, Patience},
        source::ReadError,
    },
};
use anyhow::{Context as _, anyhow};
use clap::{ArgGroup, Args, ValueEnum};
use std::{
    fs::File,
    io::{BufRead, BufReader, stdin},
    path::PathBuf,
};
use wire::v1;

/// Rows of one request.
const ROWS_PER_REQUEST: usize = 1_000;

/// The arguments of `atoll write`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["file", "input"]))]
pub struct WriteArguments {
    /// Project
    #[arg(long)]
    pub project: String,

    /// View, or VIEW@VERSION
    #[arg(long)]
    pub view: String,

    /// A JSON object per line: join keys, features, event_time; - reads standard input
    #[arg(long, value_name = "FILE.jsonl")]
    pub file: Option<PathBuf>,

    /// Read standard input
    #[arg(value_name = "-")]
    pub input: Option<String>,

    /// Whose disks the rows must be on before the answer
    #[arg(long, value_enum, default_value_t = Ack::Region)]
    pub ack: Ack,

    #[command(flatten)]
    pub access: Access,
}

/// When a write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Ack {
    /// When it is durable in the region that took it.
    Region,
    /// When one other region holds it too.
    OneOther,
    /// When all regions that hold the view have it.
    All,
}

impl From<Ack> for v1::Ack {
    fn from(ack: Ack) -> Self {
        match ack {
            Ack::Region => Self::Region,
            Ack::OneOther => Self::OneOther,
            Ack::All => Self::All,
        }
    }
}

/// Writes all rows and prints what became of them.
pub async fn run(session: &Session, arguments: WriteArguments) -> anyhow::Result<()> {
    let reader = open(&arguments)?;
    let shape =
        definition::view_shape(&session.gateways, &arguments.project, &arguments.view).await?;
    let binding = Binding::new(&shape, Vec::new(), None, true)?;
    let mut source = JsonlSource::open(reader, binding, 0).map_err(unreadable)?;
    let mut writer = Writer {
        session,
        shape: &shape,
        arguments: &arguments,
        rows: Vec::new(),
        total: WriteTotal::default(),
    };
    while let Some(row) = source.next_row().map_err(unreadable)? {
        writer.take(row).await?;
    }
    writer.send().await?;
    let total = writer.total;
    total
        .refusals()
        .iter()
        .for_each(|refusal| eprintln!("{refusal}"));
    session.output.answer(|| total.show(), || total.json())?;
    if total.is_whole() {
        Ok(())
    } else {
        Err(PartRefused.into())
    }
}

fn open(arguments: &WriteArguments) -> anyhow::Result<Box<dyn BufRead>> {
    let is_stdin = |text: &str| text == "-";
    match (&arguments.file, &arguments.input) {
        (Some(path), _) if !path.to_str().is_some_and(is_stdin) => {
            let file =
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(Box::new(BufReader::new(file)))
        }
        (Some(_), _) => Ok(Box::new(BufReader::new(stdin()))),
        (None, Some(text)) if is_stdin(text) => Ok(Box::new(BufReader::new(stdin()))),
        (None, other) => Err(WrongUsage(format!(
            "{} is no input; write --file FILE.jsonl, or - for standard input",
            other.as_deref().unwrap_or("nothing")
        ))
        .into()),
    }
}

fn unreadable(error: ReadError) -> anyhow::Error {
    match error {
        ReadError::Columns(error) => error.into(),
        ReadError::ColumnTypes(message) | ReadError::Damaged(message) => {
            anyhow!("the input cannot be read: {message}")
        }
    }
}

struct Writer<'a> {
    session: &'a Session,
    shape: &'a ViewShape,
    arguments: &'a WriteArguments,
    rows: Vec<(u64, TypedRow)>,
    total: WriteTotal,
}

impl Writer<'_> {
    async fn take(&mut self, row: SourceRow) -> anyhow::Result<()> {
        let typed = match row.read {
            Ok(typed) => typed,
            Err(RowFault {
                reason,
                field,
                message,
            }) => {
                self.total.reject(row.number, &reason, &field, &message);
                return Ok(());
            }
        };
        // Rows with and without a time of their own do not share a request: without means now.
        let is_timed = |row: &TypedRow| row.event_time.is_some();
        let is_other = self
            .rows
            .last()
            .is_some_and(|(_, last)| is_timed(last) != is_timed(&typed));
        if is_other || self.rows.len() >= ROWS_PER_REQUEST {
            self.send().await?;
        }
        self.rows.push((row.number, typed));
        Ok(())
    }

    async fn send(&mut self) -> anyhow::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let (numbers, rows): (Vec<u64>, Vec<TypedRow>) =
            std::mem::take(&mut self.rows).into_iter().unzip();
        let rows = view_rows(
            &self.arguments.view,
            &self.shape.keys,
            &self.shape.view.features,
            &rows,
        )?;
        let request = v1::WriteRequest {
            ack: v1::Ack::from(self.arguments.ack).into(),
            token: self.total.token().to_vec().into(),
            ..send::request(&self.arguments.project, rows, request_id::draw())
        };
        let answer = send::send(&self.session.gateways, request, Patience::default()).await?;
        self.total.add(answer, |row| {
            numbers.get(row as usize).copied().unwrap_or_default()
        });
        Ok(())
    }
}
