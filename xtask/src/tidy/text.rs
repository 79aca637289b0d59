//! Rules for every text file: whitespace, leftovers, words of one machine; and the size of any file.

use crate::finding::Finding;
use crate::tree::{READ_LIMIT_BYTES, Tree};

/// Data keeps its bytes as they are: a tab or a missing last newline can be what it is there for.
const DATA_ENDINGS: &[&str] = &[".csv", ".tsv", ".jsonl", ".snap", ".txt", ".lock"];

/// Where a tab is the language's own indentation.
const TAB_ENDINGS: &[&str] = &[".go", "Makefile", ".mk"];

/// Large files that belong here, by folder and ending, with the reason.
const LARGE_FILES: &[(&str, &str, &str)] = &[(
    "examples/data/",
    ".parquet",
    "the real data that the demo and the tests load",
)];

/// Marks of unfinished work. Joined here, so that this file does not break its own rule.
const LEFTOVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// Paths that exist on one machine only. Joined for the same reason.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!(".lib", "rary"),
];

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in tree.texts() {
        if !is_data(path) {
            whitespace(path, text, findings);
            leftovers(path, text, findings);
        }
        machine_paths(path, text, findings);
    }
    sizes(tree, findings);
}

fn is_data(path: &str) -> bool {
    path.contains("/golden/") || DATA_ENDINGS.iter().any(|ending| path.ends_with(ending))
}

fn whitespace(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let may_have_tabs = TAB_ENDINGS.iter().any(|ending| path.ends_with(ending));
    // Not `lines()`, which takes a carriage return for a part of the line's end.
    for (line, number) in text.split('\n').zip(1..) {
        if line.contains('\t') && !may_have_tabs {
            let message = "a tab: it is as wide as each reader's editor makes it; use spaces";
            findings.push(Finding::at(path, number, message));
        }
        if line.ends_with([' ', '\t', '\r']) {
            let message = "trailing whitespace: it is invisible and makes noise in diffs";
            findings.push(Finding::at(path, number, message));
        }
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        let message = "end the file with one newline: tools join, count and append by lines";
        findings.push(Finding::at(path, text.lines().count(), message));
    }
}

/// Prose may speak of such marks; code, scripts and settings may not hold them.
fn leftovers(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if path.ends_with(".md") {
        return;
    }
    for (line, number) in text.lines().zip(1..) {
        for mark in LEFTOVERS.iter().filter(|mark| has_word(line, mark)) {
            let message = format!(
                "a leftover {mark}: finish it, or open an issue and say in the code what holds today"
            );
            findings.push(Finding::at(path, number, message));
        }
    }
}

fn machine_paths(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (line, number) in text.lines().zip(1..) {
        for place in MACHINE_PATHS.iter().filter(|place| has_path(line, place)) {
            let message = format!(
                "`{place}` exists on one machine only: name it relative to the repository or by a setting"
            );
            findings.push(Finding::at(path, number, message));
        }
    }
}

fn sizes(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree
        .files
        .iter()
        .filter(|file| file.size_bytes > READ_LIMIT_BYTES)
    {
        let is_allowed = LARGE_FILES.iter().any(|(folder, ending, _reason)| {
            file.path.starts_with(folder) && file.path.ends_with(ending)
        });
        if !is_allowed {
            let message = format!(
                "{} bytes are more than 1 MiB: every clone carries it for ever; make it smaller, or list \
                 it with its reason in xtask/src/tidy/text.rs",
                file.size_bytes
            );
            findings.push(Finding::about(&file.path, message));
        }
    }
}

/// Whether the word stands alone, not within a longer one.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(is_word_part) && !after.is_some_and(is_word_part)
    })
}

fn is_word_part(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether the place opens a path, and is not a later part of a longer path or word.
fn has_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|one| is_word_part(one) || matches!(one, '.' | '-' | '}' | ')'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::expect;
    use crate::tree::Content;

    fn of(path: &str, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        check(&Tree::of(&[(path, text)]), &mut findings);
        findings
    }

    #[test]
    fn clean_text_has_no_findings() {
        expect(of("a.rs", "//! one\n\nfn two() {}\n"), &[]);
        expect(of("empty.toml", ""), &[]);
    }

    #[test]
    fn tabs_and_trailing_whitespace_are_found() {
        expect(
            of("a.rs", "\tone\ntwo \n"),
            &["a.rs:1: a tab", "a.rs:2: trailing whitespace"],
        );
        expect(of("a.yaml", "one\r\n"), &["a.yaml:1: trailing whitespace"]);
        expect(of("main.go", "\tone\n"), &[]);
    }

    #[test]
    fn a_file_ends_with_exactly_one_newline() {
        expect(
            of("a.rs", "one"),
            &["a.rs:1: end the file with one newline"],
        );
        expect(
            of("a.rs", "one\n\n"),
            &["a.rs:2: end the file with one newline"],
        );
    }

    #[test]
    fn data_keeps_its_bytes() {
        expect(of("rows.tsv", "one\ttwo "), &[]);
        expect(of("proto/tests/golden/row.hex", "one\ttwo "), &[]);
    }

    #[test]
    fn leftover_marks_are_found_as_words() {
        for mark in LEFTOVERS {
            let expected = format!("a.rs:2: a leftover {mark}");
            expect(
                of("a.rs", &format!("//! one\n// {mark}: two\n")),
                &[&expected],
            );
            expect(of("a.rs", &format!("//! {mark}S a{mark}\n")), &[]);
            expect(of("a.md", &format!("No {mark} in code.\n")), &[]);
        }
    }

    #[test]
    fn machine_paths_are_found_where_a_path_begins() {
        for place in MACHINE_PATHS {
            let expected = format!("a.md:1: `{place}`");
            expect(of("a.md", &format!("see `{place}notes`\n")), &[&expected]);
            expect(of("a.md", &format!("see a{place}notes\n")), &[]);
        }
    }

    #[test]
    fn large_files_are_refused_unless_listed() {
        let tree = Tree::of(&[])
            .with(
                "examples/data/retail.parquet",
                READ_LIMIT_BYTES + 1,
                Content::Data,
            )
            .with("docs/small.png", READ_LIMIT_BYTES, Content::Data)
            .with("docs/large.png", READ_LIMIT_BYTES + 1, Content::Data);
        let mut findings = Vec::new();
        check(&tree, &mut findings);
        expect(
            findings,
            &["docs/large.png: 1048577 bytes are more than 1 MiB"],
        );
    }
}
