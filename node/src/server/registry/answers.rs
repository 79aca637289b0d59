//! Plans and refusals of the registry as answers: refusals with the place in the file they are about.

use gateway::failure::Failure;
use proto::reason::Refusal;
use raft::registry::{Change, DefinitionFile, Plan, parse_yaml, place_of_object, plan::Action};
use wire::v1;

/// Reads definition files.
pub fn read(files: &[v1::DefinitionFile]) -> Result<Vec<DefinitionFile>, Failure> {
    let mut all = Vec::new();
    for file in files {
        all.extend(parse_yaml(&file.name, &file.text).map_err(Refusal::from)?);
    }
    Ok(all)
}

/// A plan made of `files`.
pub fn plan(plan: Plan, files: &[v1::DefinitionFile]) -> v1::PlanResponse {
    let breaks_readers = plan.breaks_readers();
    let refused = |refusal: Refusal| {
        let refusal = with_place(refusal, files);
        v1::RefusedChange {
            reason: refusal.reason.to_string(),
            field: refusal.field,
            message: refusal.message,
        }
    };
    v1::PlanResponse {
        base_revision: plan.base_revision.0,
        changes: plan.changes.iter().map(change).collect(),
        kept: plan.kept,
        refusals: plan.refusals.into_iter().map(refused).collect(),
        breaks_readers,
    }
}

/// Several refusals as one failure: the first decides the reason, all are named.
pub fn failure(refusals: Vec<Refusal>, files: &[v1::DefinitionFile]) -> Failure {
    let refusals = refusals.into_iter();
    let refusals: Vec<Refusal> = refusals.map(|refusal| with_place(refusal, files)).collect();
    let Some(first) = refusals.first() else {
        return Failure::internal("the registry refused without a reason");
    };
    let messages: Vec<&str> = refusals
        .iter()
        .map(|refusal| refusal.message.as_str())
        .collect();
    let mut failure = Failure::new(first.reason, messages.join("; "));
    failure.fields = refusals
        .into_iter()
        .filter(|refusal| !refusal.field.is_empty())
        .collect();
    failure
}

/// Says in which line of which file the object at fault is defined, if one defines it.
fn with_place(mut refusal: Refusal, files: &[v1::DefinitionFile]) -> Refusal {
    let place = files.iter().find_map(|file| {
        let (line, column) = place_of_object(&file.text, &refusal.field)?;
        Some(format!("{}:{line}:{column}", file.name))
    });
    if let Some(place) = place {
        refusal.message = format!("{place}: {}", refusal.message);
    }
    refusal
}

/// One change.
pub fn change(change: &Change) -> v1::Change {
    let action = match change.action {
        Action::Create => v1::ChangeAction::Create,
        Action::Alter => v1::ChangeAction::Alter,
        Action::Deprecate => v1::ChangeAction::Deprecate,
        Action::Remove => v1::ChangeAction::Remove,
    };
    v1::Change {
        action: action.into(),
        project: change.project.to_string(),
        object: change.object.clone(),
        field: change.field.clone(),
        from: change.from.clone(),
        to: change.to.clone(),
        breaks_readers: change.breaks_readers,
        read_by: change.read_by.clone(),
        summary: change.to_string(),
    }
}
