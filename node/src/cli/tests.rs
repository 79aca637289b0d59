//! What can be typed, and what cannot.

use super::{
    arguments::{Cli, Command, OutputFormat},
    demo::DemoArguments,
    registry::RegistryCommand,
    serve::ServeArguments,
};
use crate::load::event_time::Unit;
use clap::{Args, CommandFactory as _, Parser as _, error::ErrorKind};
use std::time::Duration;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

/// The arguments of a command that needs a node.
fn parse_alone<T: Args>(line: &str) -> Result<T, clap::Error> {
    let command = T::augment_args(clap::Command::new("command"));
    let matches = command.try_get_matches_from(line.split_whitespace())?;
    T::from_arg_matches(&matches)
}

#[test]
fn the_commands_are_consistent_in_themselves() {
    Cli::command().debug_assert();
}

#[test]
fn a_lookup_takes_shared_keys_rows_and_a_token_of_its_own() {
    let cli = parse(
        "atoll --token access get --project shop --service ranking_v1 --shared customer_id=17850 \
         --rows stock_code=85123A,71053 --token consistency --max-staleness 5s --event-times",
    )
    .unwrap();
    assert_eq!(cli.token.as_deref(), Some("access"));
    let Command::Get(get) = cli.command else {
        panic!("get was typed");
    };
    assert_eq!(get.token.as_deref(), Some("consistency"));
    assert_eq!(get.max_staleness, Some(Duration::from_secs(5)));
    assert_eq!(
        (get.shared[0].name.as_str(), get.rows[0].text.as_str()),
        ("customer_id", "85123A,71053")
    );
    assert!(get.event_times);
}

#[test]
fn several_keys_follow_one_flag_or_repeat_it() {
    for line in [
        "atoll get --project p --features v:a,v:b --rows a=1,2 b=3,4",
        "atoll get --project p --features v:a --features v:b --rows a=1,2 --rows b=3,4",
    ] {
        let Command::Get(get) = parse(line).unwrap().command else {
            panic!("get was typed");
        };
        assert_eq!((get.rows.len(), get.features.len()), (2, 2), "{line}");
    }
}

#[test]
fn a_lookup_names_either_a_service_or_features() {
    let neither = parse("atoll get --project p --shared a=1").unwrap_err();
    assert_eq!(neither.kind(), ErrorKind::MissingRequiredArgument);
    let both = parse("atoll get --project p --service s --features v:a").unwrap_err();
    assert_eq!(both.kind(), ErrorKind::ArgumentConflict);
}

#[test]
fn global_flags_stand_before_or_behind_the_command() {
    for line in [
        "atoll --gateway a:1,b:2 --output json -q status --token access",
        "atoll status --gateway a:1 --gateway b:2 --output json --quiet --token access",
    ] {
        let cli = parse(line).unwrap();
        assert_eq!(cli.globals.gateway.len(), 2, "{line}");
        assert_eq!(
            (cli.globals.output, cli.globals.quiet),
            (OutputFormat::Json, true)
        );
        let Command::Status(status) = cli.command else {
            panic!("status was typed");
        };
        assert_eq!(status.access.token.as_deref(), Some("access"));
    }
}

#[test]
fn a_load_maps_columns_and_dates_rows() {
    let cli = parse(
        "atoll load --project shop --view articles --file a.parquet --map LDA_00=lda_00,shares=- \
         --event-time seen_at:ms --rows-per-second 500 --rejects r.jsonl",
    )
    .unwrap();
    let Command::Load(load) = cli.command else {
        panic!("load was typed");
    };
    assert_eq!((load.map.len(), load.map[1].target.as_deref()), (2, None));
    let event_time = load.event_time.unwrap();
    assert_eq!(
        (event_time.column.as_str(), event_time.unit),
        ("seen_at", Some(Unit::Millis))
    );
    assert_eq!(
        (load.rows_per_second, load.batch_rows, load.in_flight),
        (Some(500), 1_000, 4)
    );
    for bad in [
        "--rows-per-second 0",
        "--batch-rows 10001",
        "--in-flight 0",
        "--map a",
    ] {
        let line = format!("atoll load --project p --view v --file f.csv {bad}");
        assert_eq!(parse(&line).unwrap_err().exit_code(), 2, "{bad}");
    }
}

#[test]
fn rows_to_write_come_from_a_file_or_from_standard_input() {
    for line in [
        "atoll write --project p --view v --file rows.jsonl --ack one_other",
        "atoll write --project p --view v -",
        "atoll write --project p --view v --file -",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
    assert!(parse("atoll write --project p --view v").is_err());
    assert!(parse("atoll write --project p --view v --file a -").is_err());
}

#[test]
fn the_registry_has_its_own_commands() {
    let command = |line: &str| match parse(line).unwrap().command {
        Command::Registry(arguments) => arguments.command,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        command("atoll registry list --project shop --object view --token access"),
        RegistryCommand::List { .. }
    ));
    let rollback = command("atoll registry rollback 41 --yes");
    assert!(matches!(
        rollback,
        RegistryCommand::Rollback {
            revision: 41,
            yes: true,
            ..
        }
    ));
    assert!(matches!(
        command("atoll registry show customer_activity@1"),
        RegistryCommand::Show { .. }
    ));
}

#[test]
fn plan_and_apply_take_files() {
    assert!(parse("atoll plan examples/shop").is_ok());
    assert!(parse("atoll apply a.yaml b.yaml --yes --prune --expect-revision 41").is_ok());
    assert_eq!(parse("atoll apply").unwrap_err().exit_code(), 2);
}

#[test]
fn a_node_serves_alone() {
    let single: ServeArguments = parse_alone("serve --single --data-dir d --port 7000").unwrap();
    assert_eq!((single.single, single.port), (true, 7_000));
    assert!(parse_alone::<ServeArguments>("serve").is_err());
    assert!(parse_alone::<ServeArguments>("serve --single --port 0").is_err());
}

#[test]
fn the_demo_can_break_nodes() {
    let demo: DemoArguments =
        parse_alone("demo --duration 30s --kill local/1:20s --kill local/1:5s").unwrap();
    assert_eq!((demo.port, demo.kill.len()), (6570, 2));
    assert_eq!(demo.duration, Some(Duration::from_secs(30)));
    assert!(parse_alone::<DemoArguments>("demo --kill local/1").is_err());
}
