//! A finding: where a rule was broken, and what to do about it.
//!
//! Each message carries the rule's reason, so that nobody has to look for the person who made it.

use std::fmt;

/// One broken rule. Sorted by place, so that the output of two runs can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    line: Option<usize>,
    message: String,
}

impl Finding {
    /// A finding about a whole file, crate or folder.
    pub fn about(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line: None,
            message: message.into(),
        }
    }

    /// A finding about one line, counted from 1.
    pub fn at(path: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line: Some(line),
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "{}:{line}: {}", self.path, self.message),
            None => write!(out, "{}: {}", self.path, self.message),
        }
    }
}

/// "ok", or how many findings there are.
pub fn count(findings: &[Finding]) -> String {
    match findings.len() {
        0 => "ok".to_owned(),
        1 => "1 finding".to_owned(),
        many => format!("{many} findings"),
    }
}

/// Asserts that a rule said exactly these things, each given as `place: part of the message`.
#[cfg(test)]
#[track_caller]
pub fn expect(mut findings: Vec<Finding>, expected: &[&str]) {
    findings.sort();
    let said: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert_eq!(
        said.len(),
        expected.len(),
        "expected {expected:#?}, the rule said {said:#?}"
    );
    for (line, part) in said.iter().zip(expected) {
        assert!(
            line.starts_with(part),
            "expected `{part}…`, the rule said `{line}`"
        );
    }
}
