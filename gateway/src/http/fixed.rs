//! Answers that depend on nothing.

/// The process is alive.
pub async fn alive() -> &'static str {
    "alive\n"
}

/// What a connection beyond the limit is told, whatever it was going to ask.
pub const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\ncontent-length: 138\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
    {\"error\":{\"code\":\"UNAVAILABLE\",\"reason\":\"OVERLOADED\",\"message\":\
    \"this gateway has as many connections as it takes; try again\",\"fields\":[]}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_to_a_connection_is_whole() {
        let text = std::str::from_utf8(TOO_MANY_CONNECTIONS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<serde_json::Value>(body).unwrap();
        let length = format!("content-length: {}", body.len());
        assert!(head.contains(&length), "{length} is not in {head:?}");
    }
}
