//! The list of files that may say `unsafe`, each with its reason. A stale entry is a finding too:
//! a permission that nobody uses is one that nobody watches.

use super::scan::scan;
use crate::finding::Finding;
use crate::tree::Tree;

/// One file and why it cannot do without.
pub struct Exception {
    pub path: &'static str,
    pub reason: &'static str,
}

/// As few as can be. An entry is one small module with a Miri test beside it, where Miri can run it.
pub const UNSAFE: &[Exception] = &[Exception {
    path: "sim/src/entropy.rs",
    reason: "defines getrandom and clock_gettime of the C library, whose arguments are raw pointers; \
             Miri has both of its own and calls neither",
}];

pub fn check(tree: &Tree, exceptions: &[Exception], findings: &mut Vec<Finding>) {
    for (path, text) in tree.texts_ending(".rs") {
        let is_exception = exceptions.iter().any(|exception| exception.path == path);
        // A file that does not scan is reported by the rules for sources.
        let lines = scan(text).map(|scan| scan.unsafe_lines).unwrap_or_default();
        if is_exception && lines.is_empty() {
            let message = "listed as an exception in xtask/src/tidy/exceptions.rs, but holds no \
                           `unsafe`: take it off the list";
            findings.push(Finding::about(path, message));
        }
        for line in lines.into_iter().filter(|_| !is_exception) {
            let message = "`unsafe` outside the list in xtask/src/tidy/exceptions.rs: nothing checks it \
                           but people; find a safe way, or a small module with its reason and a Miri test";
            findings.push(Finding::at(path, line, message));
        }
    }
    for exception in exceptions {
        if tree.text(exception.path).is_none() {
            let message = format!("listed as an exception ({}), but is gone", exception.reason);
            findings.push(Finding::about(exception.path, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::expect;

    const ENTROPY: &[Exception] = &[Exception {
        path: "sim/src/entropy.rs",
        reason: "replaces a function of libc",
    }];

    fn of(files: &[(&str, &str)], exceptions: &[Exception]) -> Vec<Finding> {
        let mut findings = Vec::new();
        check(&Tree::of(files), exceptions, &mut findings);
        findings
    }

    #[test]
    fn unsafe_is_found_outside_the_list_only() {
        let files = [("sim/src/entropy.rs", "fn a() {\n    unsafe { b() }\n}\n")];
        expect(
            of(&files, &[]),
            &["sim/src/entropy.rs:2: `unsafe` outside the list"],
        );
        expect(of(&files, ENTROPY), &[]);
    }

    #[test]
    fn stale_entries_are_found() {
        let files = [("sim/src/entropy.rs", "fn a() {}\n")];
        expect(
            of(&files, ENTROPY),
            &["sim/src/entropy.rs: listed as an exception in"],
        );
        expect(
            of(&[], ENTROPY),
            &["sim/src/entropy.rs: listed as an exception (replaces"],
        );
    }
}
