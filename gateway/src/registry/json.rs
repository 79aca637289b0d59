//! The registry's answers as JSON: the one form that HTTP answers and the command line print. It is an
//! interface; docs/reference/registry.md describes it, and fields are only added.

use crate::http::text;
use serde_json::{Value, json};
use wire::v1;

/// A plan.
#[must_use]
pub fn plan(plan: &v1::PlanResponse) -> Value {
    let refusal = |refused: &v1::RefusedChange| json!({ "reason": refused.reason, "field": refused.field, "message": refused.message });
    json!({
        "base_revision": plan.base_revision,
        "breaks_readers": plan.breaks_readers,
        "changes": changes(&plan.changes),
        "kept": plan.kept,
        "refusals": plan.refusals.iter().map(refusal).collect::<Vec<_>>(),
    })
}

/// What applying, or rolling back, did.
#[must_use]
pub fn applied(applied: &v1::ApplyResponse) -> Value {
    json!({ "revision": applied.revision, "changes": changes(&applied.changes) })
}

/// Changes of a plan, or those that were carried out.
#[must_use]
pub fn changes(changes: &[v1::Change]) -> Value {
    let one = |change: &v1::Change| {
        json!({
            "action": change.action().as_str_name().to_lowercase(),
            "project": change.project,
            "object": change.object,
            "field": change.field,
            "from": change.from,
            "to": change.to,
            "breaks_readers": change.breaks_readers,
            "read_by": change.read_by,
            "summary": change.summary,
        })
    };
    changes.iter().map(one).collect()
}

/// One object. Its definition is null where it is no JSON, which no registry gives.
#[must_use]
pub fn object(object: &v1::RegistryObject) -> Value {
    let definition: Value = serde_json::from_str(&object.definition).unwrap_or(Value::Null);
    json!({
        "object": object.object,
        "project": object.project,
        "name": object.name,
        "revision": object.revision,
        "changed_revision": object.changed_revision,
        "summary": object.summary,
        "read_by": object.read_by,
        "columns": object.columns,
        "definition": definition,
    })
}

/// One revision of the history.
#[must_use]
pub fn history_entry(entry: &v1::HistoryEntry) -> Value {
    json!({
        "revision": entry.revision,
        "applied_at": text::timestamp(entry.applied_at_us),
        "author": entry.author,
        "changes": entry.changes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_its_documented_fields() {
        let change = v1::Change {
            action: v1::ChangeAction::Remove.into(),
            project: "shop".into(),
            object: "view old@1".into(),
            breaks_readers: true,
            read_by: vec!["ranking_v1".into()],
            summary: "remove view old@1".into(),
            ..Default::default()
        };
        let refused = v1::RefusedChange {
            reason: "INCOMPATIBLE_CHANGE".into(),
            field: "view old@1".into(),
            message: "no".into(),
        };
        let shown = plan(&v1::PlanResponse {
            base_revision: 41,
            changes: vec![change],
            kept: vec!["view kept@1".into()],
            refusals: vec![refused],
            breaks_readers: true,
        });
        let expected = json!({
            "base_revision": 41,
            "breaks_readers": true,
            "changes": [{
                "action": "remove", "project": "shop", "object": "view old@1", "field": "",
                "from": null, "to": null, "breaks_readers": true, "read_by": ["ranking_v1"],
                "summary": "remove view old@1",
            }],
            "kept": ["view kept@1"],
            "refusals": [{ "reason": "INCOMPATIBLE_CHANGE", "field": "view old@1", "message": "no" }],
        });
        assert_eq!(shown, expected);
    }
}
