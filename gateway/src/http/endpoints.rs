//! Every endpoint of the gateway: the one list that the router, `/openapi.json` and the access control
//! of HTTP are made of. An endpoint that does not say what it asks of its callers cannot be built.

use super::{
    cluster, examples, feast, fixed, lookup, openapi,
    operation::{About, Content, Fails, Operation, json_of, kept, of, posting, reading, text},
    registry, write,
};
use crate::{
    Gateway,
    access::{
        Endpoint,
        Requirement::{Everywhere, InProject, Open},
        Right::{Define, Read, See, Write},
    },
    admission::Load,
    cluster::{forms, lag::Lag},
};
use axum::routing::{MethodRouter, get, post};
use proto::reason::Reason;
use serde_json::json;
use std::sync::Arc;

/// What any call can meet: too much work, a node that cannot answer.
macro_rules! reasons {
    ($($reason:ident)*) => {
        &[
            Reason::Overloaded, Reason::NotReady, Reason::Internal,
            $(Reason::$reason),*
        ]
    };
}

/// What any call with a body can meet besides.
macro_rules! body_reasons {
    ($($reason:ident)*) => { reasons!(InvalidRequest TooLarge TooSlow Quota Deadline $($reason)*) };
}

const LOOKUP: &[Reason] = body_reasons!(
    UnknownProject UnknownView UnknownFeature UnknownService WrongType MissingKey UnequalLengths TooManyRows Stale
    TokenUnknown NotHeldHere NotAGateway NoPrimary Damaged
);
const WRITE: &[Reason] = body_reasons!(
    UnknownProject UnknownView UnknownFeature UnknownEntity WrongType MissingKey UnequalLengths TooManyRows
    EventTimeInFuture EventTimeTooOld Stale TokenUnknown NotHeldHere NotAGateway RequestIdExpired RequestIdReused
    NearlyFull NoPrimary
    UnderReplicated Damaged
);
const CHANGE: &[Reason] = body_reasons!(
    UnknownProject UnknownView UnknownFeature UnknownService UnknownEntity InvalidDefinition RevisionChanged
    IncompatibleChange NoGlobalQuorum
);
const DEFINITION: &[Reason] = reasons!(UnknownProject UnknownView UnknownService UnknownEntity);
const CLUSTER: &[Reason] = reasons!(Deadline);

/// All of them, in the order of the document.
#[must_use]
pub(super) fn operations() -> Vec<Operation> {
    let mut all = features();
    all.extend(definitions());
    all.extend(nodes());
    all.extend(process());
    all.extend(feast::operations());
    all
}

fn features() -> Vec<Operation> {
    vec![
        Operation {
            endpoint: posting("/v1/lookup", InProject(Read)).loading(Load::Lookup),
            handler: post(super::look_up),
            about: About {
                id: "lookup",
                tag: "features",
                summary: "Features of one shared entity (the user) and any number of rows (the candidates)",
                takes: Some(of::<lookup::Request>(examples::LOOKUPS)),
                gives: of::<lookup::AnswerBody<'static>>(examples::LOOKUP_ANSWERS),
                fails: Fails::With(LOOKUP),
            },
        },
        Operation {
            endpoint: posting("/v1/write", InProject(Write)).loading(Load::Write),
            handler: post(super::take_write),
            about: About {
                id: "write",
                tag: "features",
                summary: "Rows of one or several views; answered when they are durable, also where single rows \
                          were rejected",
                takes: Some(of::<write::WriteBody>(examples::WRITES)),
                gives: of::<write::AnswerBody<'static>>(examples::WRITE_ANSWERS),
                fails: Fails::With(WRITE),
            },
        },
        Operation {
            endpoint: posting("/v1/delete", InProject(Write)).loading(Load::Write),
            handler: post(super::take_delete),
            about: About {
                id: "delete",
                tag: "features",
                summary: "Rows deleted in one view, or in all views of an entity",
                takes: Some(of::<write::DeleteBody>(examples::DELETES)),
                gives: of::<write::AnswerBody<'static>>(examples::DELETE_ANSWERS),
                fails: Fails::With(WRITE),
            },
        },
    ]
}

fn definitions() -> Vec<Operation> {
    let change = |endpoint, handler, id, summary, takes: Content, gives: Content| Operation {
        endpoint,
        handler,
        about: About {
            id,
            tag: "registry",
            summary,
            takes: Some(takes),
            gives,
            fails: Fails::With(CHANGE),
        },
    };
    vec![
        change(
            posting("/v1/registry/plan", InProject(See)),
            post(registry::plan),
            "plan",
            "The difference between definition files and the registry; changes nothing",
            of::<registry::Files>(examples::PLANS),
            json_of(registry::schema::plan_schema(), examples::PLAN_ANSWERS),
        ),
        change(
            kept(posting("/v1/registry/apply", InProject(Define))),
            post(registry::apply),
            "apply",
            "Carries that difference out, all of it at one revision or nothing",
            of::<registry::Files>(examples::PLANS),
            json_of(registry::schema::applied_schema(), examples::APPLY_ANSWERS),
        ),
        told(
            reading("/v1/registry/history", Everywhere(See)),
            get(registry::history),
            ("history", "registry"),
            "What was changed, newest first",
            json_of(registry::schema::history_schema(), examples::HISTORIES),
            DEFINITION,
        ),
        told(
            // Those that the caller sees.
            reading("/v1/registry/projects", InProject(See)),
            get(registry::projects),
            ("listProjects", "registry"),
            "The projects",
            json_of(registry::schema::list_schema(), &[]),
            DEFINITION,
        ),
        told(
            reading("/v1/registry/projects/{project}", InProject(See)),
            get(registry::objects),
            ("listObjects", "registry"),
            "The entities, views and services of a project",
            json_of(registry::schema::list_schema(), &[]),
            DEFINITION,
        ),
        told(
            reading("/v1/registry/projects/{project}/{name}", InProject(See)),
            get(registry::object),
            ("getObject", "registry"),
            "An entity, view or service; a view may be named with its version",
            json_of(registry::schema::object_schema(), &[]),
            DEFINITION,
        ),
    ]
}

/// Something that is only read.
fn told(
    endpoint: Endpoint,
    handler: MethodRouter<Arc<Gateway>>,
    (id, tag): (&'static str, &'static str),
    summary: &'static str,
    gives: Content,
    reasons: &'static [Reason],
) -> Operation {
    Operation {
        endpoint,
        handler,
        about: About {
            id,
            tag,
            summary,
            takes: None,
            gives,
            fails: Fails::With(reasons),
        },
    }
}

fn nodes() -> Vec<Operation> {
    vec![
        told(
            reading("/v1/status", Everywhere(See)),
            get(cluster::status),
            ("status", "cluster"),
            "Nodes, groups, and what could still be lost",
            of::<forms::Status>(&[]),
            CLUSTER,
        ),
        told(
            reading("/v1/shards", Everywhere(See)),
            get(cluster::shards),
            ("shards", "cluster"),
            "The shard map of the region",
            of::<forms::Shards>(&[]),
            CLUSTER,
        ),
        told(
            reading("/v1/topology", Everywhere(See)),
            get(cluster::topology),
            ("topology", "cluster"),
            "Regions with their states, and gateways",
            of::<forms::Topology>(&[]),
            CLUSTER,
        ),
        told(
            reading("/v1/lag", Everywhere(See)),
            get(cluster::lag),
            ("lag", "cluster"),
            "How far reads can be behind each region, and how the streams between regions stand",
            of::<Lag>(examples::LAGS),
            CLUSTER,
        ),
    ]
}

fn process() -> Vec<Operation> {
    let process = |endpoint, handler, id, summary, gives: Content, fails| Operation {
        endpoint,
        handler,
        about: About {
            id,
            tag: "process",
            summary,
            takes: None,
            gives,
            fails,
        },
    };
    const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const TEXT: &str = "text/plain; charset=utf-8";
    vec![
        process(
            reading("/healthz", Open),
            get(fixed::alive),
            "alive",
            "Whether the process is alive",
            text(TEXT),
            Fails::Never,
        ),
        process(
            reading("/readyz", Open),
            get(super::ready),
            "ready",
            "Whether it may take traffic and, if not, why",
            text(TEXT),
            Fails::With(&[Reason::NotReady]),
        ),
        process(
            // They name projects and services.
            reading("/metrics", Everywhere(See)),
            get(super::metrics),
            "metrics",
            "Metrics as Prometheus reads them",
            text(METRICS),
            Fails::With(&[Reason::NotReady, Reason::Internal]),
        ),
        process(
            reading("/openapi.json", Open),
            get(openapi::serve),
            "openapi",
            "This document",
            json_of(
                json!({ "type": "object", "additionalProperties": true }),
                &[],
            ),
            Fails::Never,
        ),
    ]
}
