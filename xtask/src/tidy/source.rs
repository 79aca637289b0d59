//! Rules for Rust files: header, lengths, nothing unfinished, tests that run and read as sentences.

use super::scan::{Function, Role, Scan, scan};
use crate::finding::Finding;
use crate::tree::Tree;

const FILE_LINES: usize = 600;
const TEST_FILE_LINES: usize = 1_200;
const FUNCTION_LINES: usize = 70;

/// Lints that guard the project's promises: an exception says why it is sound.
const GUARDS: &[&str] = &[
    "clippy::disallowed_methods",
    "clippy::disallowed_types",
    "clippy::iter_over_hash_type",
    "clippy::too_many_lines",
    "clippy::unwrap_used",
    "unsafe_code",
];

pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in tree.texts_ending(".rs") {
        header(path, text, findings);
        file_length(path, text, findings);
        match scan(text) {
            Ok(scan) => scanned(path, &scan, findings),
            Err((line, error)) => {
                let message = format!("not readable as Rust ({error}): no rule can be checked");
                findings.push(Finding::at(path, line, message));
            }
        }
    }
}

/// Whether the whole file is tests, by its place or name.
pub fn is_test_file(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default();
    name == "tests.rs" || name.ends_with("_tests.rs") || parts.any(|folder| folder == "tests")
}

fn header(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if !text.starts_with("//!") {
        let message = "open the file with `//!` and say what it is and what it is not: a file whose \
                       subject cannot be said in two lines has two";
        findings.push(Finding::at(path, 1, message));
    }
}

fn file_length(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let limit = if is_test_file(path) {
        TEST_FILE_LINES
    } else {
        FILE_LINES
    };
    let lines = text.lines().count();
    if lines > limit {
        let message = format!(
            "{lines} lines, at most {limit}: a reader holds one subject at a time; split it by subject"
        );
        findings.push(Finding::about(path, message));
    }
}

fn scanned(path: &str, scan: &Scan, findings: &mut Vec<Finding>) {
    for function in &scan.functions {
        function_length(path, function, findings);
        test_name(path, function, findings);
    }
    for (name, line) in &scan.unfinished {
        let message =
            format!("`{name}!` is left over from work in progress: finish it or take it out");
        findings.push(Finding::at(path, *line, message));
    }
    for line in &scan.ignored {
        let message =
            "an ignored test proves nothing and looks as if it did: repair it or delete it";
        findings.push(Finding::at(path, *line, message));
    }
    for (lint, line) in &scan.unexplained {
        if GUARDS.contains(&lint.as_str()) {
            let message = format!(
                "`{lint}` guards a promise of the project: say why the exception is sound, by `reason = \"…\"`"
            );
            findings.push(Finding::at(path, *line, message));
        }
    }
}

fn function_length(path: &str, function: &Function, findings: &mut Vec<Finding>) {
    let is_product = function.role == Role::Product && !is_test_file(path);
    if is_product && function.lines > FUNCTION_LINES {
        let message = format!(
            "`{}` has {} lines, at most {FUNCTION_LINES}: what does not fit a screen cannot be checked at a \
             glance; its second subject is a second function",
            function.name, function.lines
        );
        findings.push(Finding::at(path, function.first_line, message));
    }
}

fn test_name(path: &str, function: &Function, findings: &mut Vec<Finding>) {
    if function.role == Role::Test && function.name.starts_with("test_") {
        let message = format!(
            "`{}`: a test's name is a sentence that says what holds; that it is a test is known",
            function.name
        );
        findings.push(Finding::at(path, function.first_line, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::expect;

    fn of(path: &str, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        check(&Tree::of(&[(path, text)]), &mut findings);
        findings
    }

    fn function_of(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_file_opens_with_its_subject() {
        expect(of("a.rs", "//! A thing.\n"), &[]);
        expect(
            of("a.rs", "// A thing.\n"),
            &["a.rs:1: open the file with `//!`"],
        );
    }

    #[test]
    fn files_have_a_length_and_test_files_another() {
        let file = |lines: usize| format!("//! A thing.\n{}", "\n".repeat(lines - 1));
        expect(of("a.rs", &file(600)), &[]);
        expect(of("a.rs", &file(601)), &["a.rs: 601 lines, at most 600"]);
        for path in ["store/tests/crash.rs", "src/tests.rs", "src/merge_tests.rs"] {
            expect(of(path, &file(1_200)), &[]);
            expect(
                of(path, &file(1_201)),
                &[&format!("{path}: 1201 lines, at most 1200")],
            );
        }
    }

    #[test]
    fn functions_of_the_product_have_a_length() {
        let text = |lines: usize| format!("//! A thing.\n{}", function_of(lines));
        expect(of("a.rs", &text(70)), &[]);
        expect(
            of("a.rs", &text(71)),
            &["a.rs:2: `long` has 71 lines, at most 70"],
        );
        expect(of("tests/a.rs", &text(71)), &[]);
        let within_tests = format!(
            "//! A thing.\n#[cfg(test)] mod tests {{\n{}}}\n",
            function_of(90)
        );
        expect(of("a.rs", &within_tests), &[]);
    }

    #[test]
    fn unfinished_code_is_found() {
        let text = "//! A thing.\nfn a() {\n    todo!();\n    dbg!(1);\n    unimplemented!()\n}\n";
        expect(
            of("a.rs", text),
            &[
                "a.rs:3: `todo!`",
                "a.rs:4: `dbg!`",
                "a.rs:5: `unimplemented!`",
            ],
        );
    }

    #[test]
    fn ignored_tests_and_prefixed_names_are_found() {
        let text = "//! A thing.\n#[test]\n#[ignore]\nfn test_a() {}\nfn test_of_time() {}\n";
        expect(
            of("a.rs", text),
            &["a.rs:3: an ignored test", "a.rs:4: `test_a`"],
        );
    }

    #[test]
    fn exceptions_to_guards_need_a_reason() {
        for lint in GUARDS {
            let text = format!("//! A thing.\n#![allow({lint})]\n");
            expect(of("a.rs", &text), &[&format!("a.rs:2: `{lint}` guards")]);
            let text = format!("//! A thing.\n#![expect({lint}, reason = \"the seam itself\")]\n");
            expect(of("a.rs", &text), &[]);
        }
        expect(of("a.rs", "//! A thing.\n#![allow(clippy::other)]\n"), &[]);
    }

    #[test]
    fn what_is_no_rust_is_found() {
        expect(of("a.rs", "//! A thing.\nfn a() {\n"), &["a.rs:"]);
    }
}
