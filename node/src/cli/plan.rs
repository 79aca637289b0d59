//! `atoll plan`: what a change of definitions would do, before it is done.

use super::{
    arguments::Access, definition_files, failure::PartRefused, output::table, session::Session,
};
use crate::client::call::COMMAND_DEADLINE;
use anyhow::bail;
use clap::Args;
use gateway::registry::json;
use std::path::PathBuf;
use wire::v1::{Change, ChangeAction, PlanRequest, PlanResponse, RefusedChange};

/// The arguments of `atoll plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// Definition files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Remove what the files of a project leave out
    #[arg(long)]
    pub prune: bool,

    /// Refuse if the registry has moved on since this revision, and say what changed
    #[arg(long, value_name = "REVISION")]
    pub expect_revision: Option<u64>,

    #[command(flatten)]
    pub access: Access,
}

/// Prints the difference.
pub async fn run(session: &Session, arguments: PlanArguments) -> anyhow::Result<()> {
    let request = PlanRequest {
        files: definition_files::read(&arguments.files)?,
        prune: arguments.prune,
        expect_revision: arguments.expect_revision,
    };
    let plan = session.gateways.plan(request, COMMAND_DEADLINE).await?;
    session
        .output
        .answer(|| show(&plan), || json::plan(&plan))?;
    if plan.refusals.is_empty() {
        Ok(())
    } else {
        Err(PartRefused.into())
    }
}

/// The changes, what breaks for whom, what stays, and why it cannot be done if so.
#[must_use]
pub fn show(plan: &PlanResponse) -> String {
    let mut parts = Vec::new();
    if !plan.changes.is_empty() {
        parts.push(changes(&plan.changes));
    }
    let broken = plan.changes.iter().filter(|change| change.breaks_readers);
    parts.extend(broken.map(|change| {
        let readers = if change.read_by.is_empty() {
            "direct lookups".to_owned()
        } else {
            change.read_by.join(", ")
        };
        format!("breaks readers: {}, read by {readers}", change.object)
    }));
    if !plan.kept.is_empty() {
        parts.push(format!(
            "stays, though no file names it (--prune removes it): {}",
            plan.kept.join(", ")
        ));
    }
    parts.extend(plan.refusals.iter().map(refusal));
    parts.push(match (plan.changes.len(), plan.refusals.len()) {
        (0, 0) => format!(
            "nothing to change: revision {} is what the files say",
            plan.base_revision
        ),
        (count, 0) => {
            let base = plan.base_revision;
            let said = if plan.breaks_readers {
                "; apply refuses them without --break-readers"
            } else {
                ""
            };
            format!("changes against revision {base}: {count}{said}")
        }
        (_, refusals) => format!("nothing of this can be applied; faults: {refusals}"),
    });
    parts.join("\n")
}

/// Refuses what breaks readers, unless that was said.
pub fn check_breaking(plan: &PlanResponse, is_said: bool) -> anyhow::Result<()> {
    if plan.breaks_readers && !is_said {
        bail!(
            "nothing was changed: this breaks readers, as shown; keep what they read, or say \
             --break-readers if nobody reads it any more [INCOMPATIBLE_CHANGE]"
        );
    }
    Ok(())
}

/// Why something cannot be applied, and the way out.
#[must_use]
pub fn refusal(refused: &RefusedChange) -> String {
    let field = if refused.field.is_empty() {
        String::new()
    } else {
        format!("{}: ", refused.field)
    };
    format!("refused: {field}{} [{}]", refused.message, refused.reason)
}

/// A table of changes.
#[must_use]
pub fn changes(changes: &[Change]) -> String {
    let rows = changes.iter().map(|change| {
        [
            mark(change.action()).to_owned(),
            change.project.clone(),
            change.object.clone(),
            change.summary.clone(),
        ]
    });
    table(["", "project", "object", "change"], rows)
}

fn mark(action: ChangeAction) -> &'static str {
    match action {
        ChangeAction::Create => "+",
        ChangeAction::Alter | ChangeAction::Deprecate => "~",
        ChangeAction::Remove => "-",
        ChangeAction::Unspecified => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> PlanResponse {
        let created = Change {
            action: ChangeAction::Create.into(),
            project: "shop".to_owned(),
            object: "view item_sales@1".to_owned(),
            summary: "new, 12 features".to_owned(),
            ..Default::default()
        };
        let removed = Change {
            action: ChangeAction::Remove.into(),
            project: "shop".to_owned(),
            object: "view old@1".to_owned(),
            breaks_readers: true,
            read_by: vec!["ranking_v1".to_owned()],
            ..Default::default()
        };
        PlanResponse {
            base_revision: 41,
            changes: vec![created, removed],
            ..Default::default()
        }
    }

    #[test]
    fn a_plan_shows_what_breaks_and_for_whom() {
        let text = show(&plan());
        assert!(text.contains("view item_sales@1"), "{text}");
        assert!(
            text.contains("breaks readers: view old@1, read by ranking_v1"),
            "{text}"
        );
        assert!(text.ends_with("changes against revision 41: 2"), "{text}");
        let nothing = PlanResponse {
            base_revision: 41,
            ..Default::default()
        };
        assert_eq!(
            show(&nothing),
            "nothing to change: revision 41 is what the files say"
        );
    }

    #[test]
    fn what_cannot_be_applied_is_said_with_its_reason() {
        let refused = RefusedChange {
            reason: "INCOMPATIBLE_CHANGE".to_owned(),
            field: "views[0].features[1]".to_owned(),
            message: "orders is int64 and cannot become string; add a new version of the view"
                .to_owned(),
        };
        let text = show(&PlanResponse {
            refusals: vec![refused],
            ..plan()
        });
        let expected = "refused: views[0].features[1]: orders is int64 and cannot become string; \
                        add a new version of the view [INCOMPATIBLE_CHANGE]\n\
                        nothing of this can be applied; faults: 1";
        assert!(text.ends_with(expected), "{text}");
    }
}
