//! The address of one gateway, as people write it.

use std::{fmt, str::FromStr};

/// `HOST:PORT` of a gateway's gRPC, with `https://` before it where it is spoken to with TLS; an IPv6
/// host stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GatewayAddress {
    authority: String,
    is_tls: bool,
}

/// The text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "gateway {given:?} {fault}; write HOST:PORT or https://HOST:PORT, for example 127.0.0.1:6570"
)]
pub struct InvalidAddress {
    given: String,
    fault: &'static str,
}

impl GatewayAddress {
    /// What the HTTP/2 connection is opened to.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// Whether it is spoken to with TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Where it is, as the network takes it.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The name or address that its certificate must have.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map(|(host, _)| host);
        host.unwrap_or(&self.authority).trim_matches(['[', ']'])
    }
}

impl FromStr for GatewayAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (is_tls, authority) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest.trim_end_matches('/')),
            None => (false, text),
        };
        match fault(authority) {
            None => Ok(Self {
                authority: authority.to_owned(),
                is_tls,
            }),
            Some(fault) => Err(InvalidAddress {
                given: text.to_owned(),
                fault,
            }),
        }
    }
}

fn fault(text: &str) -> Option<&'static str> {
    if text.contains("://") {
        return Some("has a scheme");
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Some("has no port");
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || host.contains(['/', '@', ' ']) {
        return Some("has no usable host");
    }
    if host.contains(':') && !bracketed {
        return Some("is an IPv6 address without brackets");
    }
    match port.parse::<u16>() {
        Ok(1..) => None,
        Ok(0) | Err(_) => Some("has a port that is not a number from 1 to 65535"),
    }
}

impl fmt::Display for GatewayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_tls { "https://" } else { "" })?;
        f.write_str(&self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_names_and_bracketed_addresses_are_taken() {
        for good in ["127.0.0.1:6570", "eu-1.internal:6570", "[::1]:6570"] {
            let address: GatewayAddress = good.parse().unwrap();
            assert_eq!(address.uri(), format!("http://{good}"));
        }
    }

    #[test]
    fn https_means_tls_and_stays_in_the_text() {
        let address: GatewayAddress = "https://[::1]:6570/".parse().unwrap();
        assert!(address.is_tls());
        assert_eq!(address.to_string(), "https://[::1]:6570");
        assert_eq!((address.host(), address.authority()), ("::1", "[::1]:6570"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for bad in [
            "",
            "host",
            ":6570",
            "host:",
            "host:0",
            "host:70000",
            "::1:6570",
            "http://host:6570",
        ] {
            let message = bad.parse::<GatewayAddress>().unwrap_err().to_string();
            assert!(message.ends_with("for example 127.0.0.1:6570"), "{message}");
        }
    }
}
