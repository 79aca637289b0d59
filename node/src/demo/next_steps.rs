//! What to try next, as commands that work as they are printed: a cluster, and questions to it.

use super::definitions::{ARTICLE_SERVICE, ITEM_SERVICE, PROJECT};

/// Names of things that are there.
#[derive(Debug)]
pub struct Examples<'a> {
    /// How this program was called.
    pub program: &'a str,
    /// Where gRPC is answered, if not at the default place.
    pub gateway: Option<String>,
    /// Where HTTP is answered.
    pub http: &'a str,
    /// A customer.
    pub customer: i64,
    /// Two items.
    pub items: [&'a str; 2],
    /// An article.
    pub article: &'a str,
}

/// The commands, each after a line that says what it shows.
#[must_use]
pub fn commands(examples: &Examples<'_>) -> Vec<(&'static str, String)> {
    let Examples {
        program,
        gateway,
        http,
        customer,
        items: [first, second],
        article,
    } = examples;
    let (again, atoll) = match gateway {
        Some(gateway) => {
            let port = gateway.rsplit_once(':').map_or("", |(_, port)| port);
            (
                format!("{program} demo --port {port}"),
                format!("{program} --gateway {gateway}"),
            )
        }
        None => (format!("{program} demo"), (*program).to_owned()),
    };
    vec![
        ("the same again", again),
        (
            "one customer and two items, in one call",
            format!(
                "{atoll} get --project {PROJECT} --service {ITEM_SERVICE} --shared customer_id={customer} --rows 'stock_code={first},{second}' --event-times"
            ),
        ),
        (
            "the same over HTTP",
            format!(
                "curl -s http://{http}/v1/lookup -d '{{\"project\": \"{PROJECT}\", \"service\": \"{ITEM_SERVICE}\", \"shared\": {{\"customer_id\": {customer}}}, \"rows\": {{\"stock_code\": [\"{first}\", \"{second}\"]}}}}'"
            ),
        ),
        (
            "all 58 numbers of an article",
            format!(
                "{atoll} get --project {PROJECT} --service {ARTICLE_SERVICE} --shared customer_id={customer} --rows 'url={article}'"
            ),
        ),
        (
            "a write of your own: one feature, the others stay",
            format!(
                "echo '{{\"customer_id\": {customer}, \"orders_24h\": 99}}' | {atoll} write --project {PROJECT} --view customer_activity --file -"
            ),
        ),
        (
            "what is defined",
            format!("{atoll} registry list --project {PROJECT}"),
        ),
        ("nodes, groups and copies", format!("{atoll} status")),
        ("who holds which shard", format!("{atoll} shards")),
    ]
}

/// As they are printed.
#[must_use]
pub fn show(examples: &Examples<'_>) -> String {
    let lines = commands(examples).into_iter();
    let lines = lines.map(|(what, command)| format!("  # {what}\n  {command}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::Cli;
    use clap::Parser as _;

    fn examples(gateway: Option<&str>) -> Examples<'static> {
        Examples {
            program: "target/release/atoll",
            gateway: gateway.map(str::to_owned),
            http: "127.0.0.1:6571",
            customer: 17_850,
            items: ["85123A", "71053"],
            article: "http://mashable.com/2013/01/08/a/",
        }
    }

    #[test]
    fn what_is_printed_can_be_typed() {
        for gateway in [None, Some("127.0.0.1:7000")] {
            let commands = commands(&examples(gateway)).into_iter().skip(1);
            let typed = commands.filter(|(_, command)| !command.starts_with("curl"));
            let mut count = 0;
            for (_, command) in typed {
                let command = command
                    .rsplit_once("| ")
                    .map_or(&*command, |(_, last)| last);
                let words = command
                    .split_whitespace()
                    .map(|word| word.trim_matches('\''));
                Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{command}: {error}"));
                count += 1;
            }
            assert_eq!(count, 6);
        }
    }

    #[test]
    fn the_body_for_http_is_json() {
        let commands = commands(&examples(None));
        let (_, curl) = commands
            .iter()
            .find(|(_, command)| command.starts_with("curl"))
            .unwrap();
        let body = curl.split('\'').nth(1).unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["shared"]["customer_id"], 17_850);
    }

    #[test]
    fn another_port_is_said_in_every_command() {
        let text = show(&examples(Some("127.0.0.1:7000")));
        assert!(
            text.contains("target/release/atoll demo --port 7000"),
            "{text}"
        );
        assert!(
            text.contains("target/release/atoll --gateway 127.0.0.1:7000 status"),
            "{text}"
        );
    }
}
