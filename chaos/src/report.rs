//! What a run tells people: lines as it goes, violations, and a verdict.

use std::{fmt, path::PathBuf};

/// Violations that are shown; more would hide them.
const SHOWN: usize = 20;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// What was seen.
    pub told: Vec<String>,
    /// What must not have been.
    pub violations: Vec<String>,
    /// Where logs and histories lie that were kept.
    pub kept: Option<PathBuf>,
}

impl Findings {
    /// Tells something, also right now.
    pub fn tell(&mut self, line: impl Into<String>) {
        let line = line.into();
        println!("{line}");
        self.told.push(line);
    }

    /// Tells of something that must not be, also right now.
    pub fn violated(&mut self, what: impl Into<String>) {
        let what = what.into();
        if self.violations.len() < SHOWN {
            println!("VIOLATION: {what}");
        }
        self.violations.push(what);
    }

    /// Where traces lie, and the verdict.
    #[must_use]
    pub fn verdict(&self) -> String {
        let kept = self.kept.as_ref();
        let kept = kept.map_or(String::new(), |kept| {
            format!("logs and history: {}\n", kept.display())
        });
        match self.violations.len() {
            0 => format!("{kept}verdict: nothing was violated"),
            count => format!("{kept}verdict: {count} violations"),
        }
    }

    /// Whether nothing was violated.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.told {
            writeln!(f, "{line}")?;
        }
        for violation in self.violations.iter().take(SHOWN) {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        f.write_str(&self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_counts_what_was_violated() {
        let mut findings = Findings::default();
        findings.tell("round 1");
        assert!(findings.is_clean());
        assert!(
            findings
                .to_string()
                .ends_with("verdict: nothing was violated")
        );
        findings.violated("a gap of 30 s");
        let text = findings.to_string();
        assert!(
            text.contains("VIOLATION: a gap of 30 s") && text.ends_with("verdict: 1 violations")
        );
    }
}
