//! `check`: the gate. The steps run from the cheapest to the dearest, each to its end, so that one
//! run shows all there is to repair. It writes nothing in the tree: cargo is told to take the lock
//! file as it is, and what is built goes to the target directory.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cargo::{self, Outcome, cargo};
use crate::finding::{self, Finding};
use crate::{deps, tidy};

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    /// An earlier step showed that this one could only repeat its error.
    NotRun {
        because: &'static str,
    },
}

struct Step {
    name: &'static str,
    run: fn(&Path) -> Result<Verdict>,
    /// Whether it needs a workspace that cargo can read.
    needs: Needs,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Files,
    Workspace,
}

struct Done {
    name: &'static str,
    verdict: Verdict,
    took: Duration,
}

const DEPS: &str = "deps";

const STEPS: &[Step] = &[
    Step {
        name: "tidy",
        run: run_tidy,
        needs: Needs::Files,
    },
    Step {
        name: DEPS,
        run: run_deps,
        needs: Needs::Files,
    },
    Step {
        name: "fmt",
        run: run_fmt,
        needs: Needs::Workspace,
    },
    Step {
        name: "clippy",
        run: run_clippy,
        needs: Needs::Workspace,
    },
    Step {
        name: "tests",
        run: run_tests,
        needs: Needs::Workspace,
    },
    Step {
        name: "docs",
        run: run_docs,
        needs: Needs::Workspace,
    },
];

/// Runs every step; true when all passed.
pub fn run(root: &Path) -> Result<bool> {
    let done = run_steps(STEPS, root);
    print!("{}", summary(&done));
    Ok(done.iter().all(|step| step.verdict == Verdict::Passed))
}

fn run_steps(steps: &[Step], root: &Path) -> Vec<Done> {
    let mut done = Vec::new();
    let mut is_readable = true;
    for step in steps {
        let start = Instant::now();
        let verdict = if step.needs == Needs::Workspace && !is_readable {
            Verdict::NotRun {
                because: "cargo cannot read the workspace, see deps",
            }
        } else {
            (step.run)(root).unwrap_or_else(|error| {
                println!("{}: {error:#}", step.name);
                // `deps` fails without a finding only when cargo gives no graph; every later step
                // would print the same.
                is_readable &= step.name != DEPS;
                Verdict::Failed
            })
        };
        let step = Done {
            name: step.name,
            verdict,
            took: start.elapsed(),
        };
        println!("{}", line(&step));
        done.push(step);
    }
    done
}

fn line(done: &Done) -> String {
    let Done {
        name,
        verdict,
        took,
    } = done;
    let seconds = took.as_secs_f64();
    match verdict {
        Verdict::Passed => format!("[check] {name:<6} ok      {seconds:>7.1} s"),
        Verdict::Failed => format!("[check] {name:<6} FAILED  {seconds:>7.1} s"),
        Verdict::NotRun { because } => format!("[check] {name:<6} NOT RUN: {because}"),
    }
}

/// All lines again, below the output of the tests, and what it comes to.
fn summary(done: &[Done]) -> String {
    let mut text = String::from("\n");
    for step in done {
        text.push_str(&line(step));
        text.push('\n');
    }
    let bad: Vec<&str> = done
        .iter()
        .filter(|step| step.verdict != Verdict::Passed)
        .map(|step| step.name)
        .collect();
    let total: Duration = done.iter().map(|step| step.took).sum();
    let seconds = total.as_secs_f64();
    if bad.is_empty() {
        text.push_str(&format!("[check] green in {seconds:.1} s\n"));
    } else {
        text.push_str(&format!(
            "[check] red after {seconds:.1} s: {}\n",
            bad.join(", ")
        ));
    }
    text
}

fn run_tidy(root: &Path) -> Result<Verdict> {
    Ok(of_findings(&tidy::run(root)?))
}

fn run_deps(root: &Path) -> Result<Verdict> {
    Ok(of_findings(&deps::run(root)?))
}

fn run_fmt(root: &Path) -> Result<Verdict> {
    quietly(root, &["fmt", "--all", "--", "--check"], &[])
}

/// Goes on past a crate that fails, so that one run shows as much as possible.
fn run_clippy(root: &Path) -> Result<Verdict> {
    let build = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--keep-going",
    ];
    let lints = ["--", "--deny", "warnings"];
    quietly(root, &[&build[..], &lints[..]].concat(), &[])
}

fn run_docs(root: &Path) -> Result<Verdict> {
    let arguments = [
        "doc",
        "--locked",
        "--workspace",
        "--no-deps",
        "--keep-going",
    ];
    quietly(root, &arguments, &[("RUSTDOCFLAGS", "--deny warnings")])
}

/// Not quiet: it takes minutes, and the closing line of each set of tests is what CI counts.
fn run_tests(root: &Path) -> Result<Verdict> {
    let mut command = cargo(root, &["test", "--locked", "--workspace", "--no-fail-fast"]);
    Ok(of_success(cargo::run_showing(
        &mut command,
        is_worth_showing,
    )?))
}

/// All that a test run says but the tests that passed: thousands of them hide the one that did not.
fn is_worth_showing(line: &str) -> bool {
    let is_pass = line.starts_with("test ") && line.ends_with(" ... ok");
    let is_start = line.starts_with("running ") && line.trim_end_matches('s').ends_with(" test");
    !line.is_empty() && !is_pass && !is_start
}

fn quietly(root: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Verdict> {
    let mut command = cargo(root, arguments);
    command.envs(variables.iter().copied());
    Ok(match cargo::run_quietly(&mut command)? {
        Outcome::Passed => Verdict::Passed,
        Outcome::Failed(output) => {
            println!("{}", output.trim_end());
            Verdict::Failed
        }
    })
}

fn of_findings(findings: &[Finding]) -> Verdict {
    for finding in findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        println!("{}", finding::count(findings));
    }
    of_success(findings.is_empty())
}

fn of_success(is_success: bool) -> Verdict {
    if is_success {
        Verdict::Passed
    } else {
        Verdict::Failed
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn passes(_: &Path) -> Result<Verdict> {
        Ok(Verdict::Passed)
    }

    fn fails(_: &Path) -> Result<Verdict> {
        Ok(Verdict::Failed)
    }

    fn breaks(_: &Path) -> Result<Verdict> {
        bail!("no graph")
    }

    #[track_caller]
    fn check(deps: fn(&Path) -> Result<Verdict>, expected: [Verdict; 3], closing: &str) {
        let steps = [
            Step {
                name: "tidy",
                run: fails,
                needs: Needs::Files,
            },
            Step {
                name: DEPS,
                run: deps,
                needs: Needs::Files,
            },
            Step {
                name: "tests",
                run: passes,
                needs: Needs::Workspace,
            },
        ];
        let done = run_steps(&steps, Path::new("."));
        let verdicts: Vec<_> = done.iter().map(|step| step.verdict.clone()).collect();
        assert_eq!(verdicts, expected);
        assert!(summary(&done).ends_with(closing), "{}", summary(&done));
    }

    #[test]
    fn a_failed_step_does_not_stop_the_others() {
        check(
            fails,
            [Verdict::Failed, Verdict::Failed, Verdict::Passed],
            ": tidy, deps\n",
        );
    }

    #[test]
    fn steps_that_could_only_repeat_an_error_are_named_as_not_run() {
        let because = "cargo cannot read the workspace, see deps";
        let expected = [
            Verdict::Failed,
            Verdict::Failed,
            Verdict::NotRun { because },
        ];
        check(breaks, expected, ": tidy, deps, tests\n");
    }

    #[test]
    fn the_summary_is_green_only_when_all_passed() {
        let done = |verdict| Done {
            name: "fmt",
            verdict,
            took: Duration::from_millis(1_540),
        };
        let text = summary(&[done(Verdict::Passed)]);
        assert_eq!(
            text,
            "\n[check] fmt    ok          1.5 s\n[check] green in 1.5 s\n"
        );
        let text = summary(&[done(Verdict::Passed), done(Verdict::Failed)]);
        assert!(text.ends_with("[check] red after 3.1 s: fmt\n"), "{text}");
    }

    #[test]
    fn passed_tests_are_left_out_and_all_else_is_shown() {
        for hidden in [
            "",
            "running 1 test",
            "running 12 tests",
            "test merge::ties ... ok",
        ] {
            assert!(!is_worth_showing(hidden), "{hidden}");
        }
        for shown in [
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "test merge::ties ... FAILED",
            "running a cluster of 3",
            "---- merge::ties stdout ----",
            "assertion failed: ok",
        ] {
            assert!(is_worth_showing(shown), "{shown}");
        }
    }
}
