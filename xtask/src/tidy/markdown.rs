//! Rules for prose: relative links lead somewhere, and every decision is on the list of decisions.

use std::collections::BTreeMap;

use crate::finding::Finding;
use crate::tree::Tree;

const DECISIONS: &str = "docs/decisions/";
const DECISIONS_LIST: &str = "docs/decisions/README.md";

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in tree.texts_ending(".md") {
        for (line, target) in links(text) {
            check_link(tree, path, line, &target, findings);
        }
    }
    decisions(tree, findings);
}

fn check_link(tree: &Tree, path: &str, line: usize, target: &str, findings: &mut Vec<Finding>) {
    let file = target.split(['#', '?']).next().unwrap_or_default();
    if file.is_empty() || has_scheme(target) {
        return;
    }
    let folder = path.rfind('/').map_or("", |end| &path[..end]);
    let leads_somewhere = resolve(folder, file).is_some_and(|resolved| tree.holds(&resolved));
    if !leads_somewhere {
        let message = format!(
            "the link `{target}` leads to no file of the repository: a reader follows it and is lost"
        );
        findings.push(Finding::at(path, line, message));
    }
}

/// `https:`, `mailto:` and the like: not ours to follow.
fn has_scheme(target: &str) -> bool {
    let Some((scheme, _)) = target.split_once(':') else {
        return false;
    };
    !scheme.is_empty()
        && scheme
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "+-.".contains(one))
}

/// The path from the root, or `None` when the link is absolute or climbs out of the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Line and target of each link: `[text](target)` and `[label]: target`, code left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for (line, number) in text.lines().zip(1..) {
        let opening = line.trim_start();
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| opening.starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                let targets = links_of_line(&without_code(line));
                found.extend(targets.into_iter().map(|target| (number, target)));
            }
        }
    }
    found
}

fn links_of_line(line: &str) -> Vec<String> {
    let inline = line.match_indices("](").filter_map(|(start, opening)| {
        let rest = &line[start + opening.len()..];
        closing_parenthesis(rest).map(|end| target_of(&rest[..end]))
    });
    let definition = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
        .map(|(_, target)| target_of(target));
    inline.chain(definition).collect()
}

fn closing_parenthesis(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The target alone: without angle brackets, without a title behind it.
fn target_of(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((target, _)) => target.to_owned(),
        None => text
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// The line with its code spans removed: what is in backticks is shown, not linked.
fn without_code(line: &str) -> String {
    let mut kept = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let ticks = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let (before, span) = rest.split_at(start);
        let Some(end) = span[ticks..].find(&span[..ticks]) else {
            break;
        };
        kept.push_str(before);
        rest = &span[ticks + end + ticks..];
    }
    kept.push_str(rest);
    kept
}

fn decisions(tree: &Tree, findings: &mut Vec<Finding>) {
    let list = tree.text(DECISIONS_LIST).unwrap_or_default();
    let listed: Vec<String> = links(list).into_iter().map(|(_, target)| target).collect();
    let mut numbers: BTreeMap<&str, &str> = BTreeMap::new();
    for file in &tree.files {
        let Some(name) = file
            .path
            .strip_prefix(DECISIONS)
            .filter(|_| file.path != DECISIONS_LIST)
        else {
            continue;
        };
        if !listed.iter().any(|target| target == name) {
            let message = format!(
                "not linked in {DECISIONS_LIST}: a decision that nobody finds is made twice"
            );
            findings.push(Finding::about(&file.path, message));
        }
        let Some(number) = decision_number(name) else {
            let message = "name a decision NNNN-title.md: the number is how others cite it";
            findings.push(Finding::about(&file.path, message));
            continue;
        };
        if let Some(first) = numbers.insert(number, name) {
            let message =
                format!("the number {number} is taken by {first}: citing it would mean either");
            findings.push(Finding::about(&file.path, message));
        }
    }
}

fn decision_number(name: &str) -> Option<&str> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !title.is_empty()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::expect;

    fn of(files: &[(&str, &str)]) -> Vec<Finding> {
        let mut findings = Vec::new();
        check(&Tree::of(files), &mut findings);
        findings
    }

    #[test]
    fn links_to_files_and_folders_hold() {
        let text = "See [map](../ARCHITECTURE.md#arrows), [here](#top), [out](https://example.org/a),\n\
                    [code](../store) and [both](<write-path.md> \"title\").\n\n[map]: write-path.md\n";
        expect(
            of(&[
                ("ARCHITECTURE.md", ""),
                ("docs/read-path.md", text),
                ("docs/write-path.md", ""),
                ("store/src/lib.rs", ""),
            ]),
            &[],
        );
    }

    #[test]
    fn dead_links_are_found() {
        let text = "[a](gone.md) [b](../../up.md)\n[c](/docs/a.md)\n[d]: lost.md\n[e](a(1).md)\n";
        expect(
            of(&[("docs/a.md", text)]),
            &[
                "docs/a.md:1: the link `../../up.md`",
                "docs/a.md:1: the link `gone.md`",
                "docs/a.md:2: the link `/docs/a.md`",
                "docs/a.md:3: the link `lost.md`",
                "docs/a.md:4: the link `a(1).md`",
            ],
        );
    }

    #[test]
    fn code_holds_no_links() {
        let text = "`[a](gone.md)` ``[b](`gone.md)`` \n```\n[c](gone.md)\n~~~\n```\n[d](lost.md)\n";
        expect(of(&[("a.md", text)]), &["a.md:6: the link `lost.md`"]);
    }

    #[test]
    fn a_decision_must_be_on_the_list() {
        expect(
            of(&[
                ("docs/decisions/README.md", "- [log](0001-log.md)\n"),
                ("docs/decisions/0001-log.md", ""),
                ("docs/decisions/0002-rows.md", ""),
            ]),
            &["docs/decisions/0002-rows.md: not linked in docs/decisions/README.md"],
        );
        expect(
            of(&[("docs/decisions/0001-log.md", "")]),
            &["docs/decisions/0001-log.md: not linked"],
        );
    }

    #[test]
    fn a_decision_has_a_number_of_its_own() {
        expect(
            of(&[
                (
                    "docs/decisions/README.md",
                    "[a](0001-a.md) [b](0001-b.md) [c](c.md)\n",
                ),
                ("docs/decisions/0001-a.md", ""),
                ("docs/decisions/0001-b.md", ""),
                ("docs/decisions/c.md", ""),
            ]),
            &[
                "docs/decisions/0001-b.md: the number 0001 is taken by 0001-a.md",
                "docs/decisions/c.md: name a decision NNNN-title.md",
            ],
        );
    }
}
