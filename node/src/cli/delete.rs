//! `atoll delete`: one row of a view.

use super::{
    arguments::Access,
    failure::{PartRefused, WrongUsage},
    key_values::{self, KeyValue},
    session::Session,
    write::Ack,
    write_answer::WriteTotal,
};
use crate::client::{call::COMMAND_DEADLINE, cell::BadValue, definition, request_id, value_text};
use clap::Args;
use wire::v1::{self, delete_request::What};

/// The arguments of `atoll delete`.
#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// Project
    #[arg(long)]
    pub project: String,

    /// View, or VIEW@VERSION
    #[arg(long)]
    pub view: String,

    /// When the row ceased to be true, in RFC 3339; now by default
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub event_time: Option<i64>,

    /// Whose disks the deletion must be on before the answer
    #[arg(long, value_enum, default_value_t = Ack::Region)]
    pub ack: Ack,

    /// All join keys of the row
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub keys: Vec<KeyValue>,

    #[command(flatten)]
    pub access: Access,
}

fn parse_time(text: &str) -> Result<i64, BadValue> {
    value_text::parse_micros(text)
}

/// Deletes the row and prints what became of it.
pub async fn run(session: &Session, arguments: DeleteArguments) -> anyhow::Result<()> {
    let shape =
        definition::view_shape(&session.gateways, &arguments.project, &arguments.view).await?;
    let given = |name: &str| arguments.keys.iter().any(|key| key.name == name);
    if let Some(missing) = shape.keys.iter().find(|key| !given(&key.name)) {
        return Err(WrongUsage(format!(
            "join key {} is missing; add {}=VALUE",
            missing.name, missing.name
        ))
        .into());
    }
    let keys = arguments
        .keys
        .iter()
        .map(|key| key_values::single(key, &shape.keys));
    let request = v1::DeleteRequest {
        project: arguments.project,
        what: Some(What::View(arguments.view)),
        keys: keys.collect::<Result<_, _>>()?,
        event_time_us: arguments.event_time,
        request_id: request_id::bytes(request_id::draw()),
        ack: v1::Ack::from(arguments.ack).into(),
    };
    let answer = session.gateways.delete(request, COMMAND_DEADLINE).await?;
    let mut total = WriteTotal::default();
    total.add(answer, |row| u64::from(row) + 1);
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
