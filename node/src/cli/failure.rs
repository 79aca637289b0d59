//! How a command ends: the exit status, and one line on standard error where it failed.

use std::process::ExitCode;

/// The command was typed in a way that cannot be meant: exit status 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(pub String);

/// The command did its work, and part of it was refused; what was is already printed: status 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part was refused")]
pub struct PartRefused;

const REFUSED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// Says what went wrong, and gives the exit status.
#[must_use]
pub fn conclude(result: &anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if error.is::<PartRefused>() {
        return ExitCode::from(REFUSED);
    }
    eprintln!("{}", line(error));
    ExitCode::from(status(error))
}

fn status(error: &anyhow::Error) -> u8 {
    if error.is::<WrongUsage>() {
        WRONG_USAGE
    } else {
        REFUSED
    }
}

/// The chain of causes in one line. What a cause already says is not said again.
fn line(error: &anyhow::Error) -> String {
    let mut line = String::from("atoll:");
    let mut said = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if said.contains(&text) {
            continue;
        }
        line.push_str(if said.is_empty() { " " } else { ": " });
        line.push_str(&text);
        said.push_str(&text);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        let error = anyhow!("connection\nrefused").context("load the history");
        assert_eq!(line(&error), "atoll: load the history: connection refused");
    }

    #[test]
    fn a_cause_that_was_said_is_not_repeated() {
        let inner: anyhow::Result<()> = Err(anyhow!("no gateway answers"));
        let error = inner
            .context("no gateway answers, so nothing was read")
            .unwrap_err();
        assert_eq!(
            line(&error),
            "atoll: no gateway answers, so nothing was read"
        );
    }

    #[test]
    fn wrong_usage_has_a_status_of_its_own() {
        assert_eq!(status(&WrongUsage("say k=v".to_owned()).into()), 2);
        assert_eq!(status(&anyhow!("refused")), 1);
    }
}
