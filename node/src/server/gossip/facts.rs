//! What a node tells the others about itself, as the texts that gossip carries. Pure.

use proto::id::BootId;
use raft::placement::Member;
use std::time::Duration;

/// How gossip says that something is so; all else says that it is not.
const YES: &str = "yes";

/// How much a node holds, and how old that can be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Load {
    /// Bytes of its store's files.
    pub store_bytes: u64,
    /// Bytes of memory that its index takes.
    pub index_bytes: u64,
    /// How old the oldest of its shards can be; none where that is unknown, or it has none.
    pub age: Option<Duration>,
    /// Whether its disk has no room for new writes.
    pub is_nearly_full: bool,
}

/// A node by its own account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Its name, for people.
    pub name: String,
    /// The run of its process.
    pub boot: BootId,
    /// Where nodes reach it.
    pub peer: String,
    /// Where SDKs and gateways do.
    pub grpc: String,
    /// Where people do.
    pub http: String,
    /// Its failure domain.
    pub zone: String,
    /// What it does.
    pub roles: Vec<String>,
    /// The release it runs.
    pub version: String,
    /// How much it holds.
    pub load: Load,
}

impl Facts {
    /// What a member says of itself at its start.
    #[must_use]
    pub fn of(member: &Member) -> Self {
        let roles = roles(member).into_iter().map(str::to_owned);
        Self {
            name: member.name.clone(),
            boot: member.boot,
            peer: member.addresses.peer.clone(),
            grpc: member.addresses.grpc.clone(),
            http: member.addresses.http.clone(),
            zone: member.zone.clone(),
            roles: roles.collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            load: Load::default(),
        }
    }

    /// The texts, by their names.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = vec![
            ("name", self.name.clone()),
            ("boot", self.boot.to_string()),
            ("peer", self.peer.clone()),
            ("grpc", self.grpc.clone()),
            ("http", self.http.clone()),
            ("zone", self.zone.clone()),
            ("roles", self.roles.join(",")),
            ("version", self.version.clone()),
        ];
        pairs.extend(self.load.pairs());
        let owned = |(name, text): (&str, String)| (name.to_owned(), text);
        pairs.into_iter().map(owned).collect()
    }

    /// Reads the texts back. What is missing or not understood is left empty: an older or newer
    /// release tells less or more.
    #[must_use]
    pub fn read<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Self {
        let owned = |name: &str| text(name).unwrap_or_default().to_owned();
        let number = |name: &str| text(name).and_then(|text| text.parse().ok());
        let roles = text("roles").unwrap_or_default().split(',');
        Self {
            name: owned("name"),
            boot: text("boot")
                .and_then(|boot| boot.parse().ok())
                .unwrap_or_default(),
            peer: owned("peer"),
            grpc: owned("grpc"),
            http: owned("http"),
            zone: owned("zone"),
            roles: roles
                .filter(|role| !role.is_empty())
                .map(str::to_owned)
                .collect(),
            version: owned("version"),
            load: Load {
                store_bytes: number("store_bytes").unwrap_or(0),
                index_bytes: number("index_bytes").unwrap_or(0),
                age: number("age_ms").map(Duration::from_millis),
                is_nearly_full: text("nearly_full") == Some(YES),
            },
        }
    }
}

impl Load {
    /// The texts, by their names: these change while the node runs.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, String); 4] {
        let age = self.age.map(|age| age.as_millis().to_string());
        let nearly_full = if self.is_nearly_full { YES } else { "" };
        [
            ("store_bytes", self.store_bytes.to_string()),
            ("index_bytes", self.index_bytes.to_string()),
            ("age_ms", age.unwrap_or_default()),
            ("nearly_full", nearly_full.to_owned()),
        ]
    }
}

/// A member's roles, by their names in the settings.
#[must_use]
pub fn roles(member: &Member) -> Vec<&'static str> {
    let roles = [
        (member.store.is_some(), "node"),
        (member.gateway, "gateway"),
        (member.voter, "voter"),
    ];
    let has = roles.into_iter().filter(|(has, _)| *has);
    has.map(|(_, role)| role).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn read(pairs: &BTreeMap<String, String>) -> Facts {
        Facts::read(|name| pairs.get(name).map(String::as_str))
    }

    #[test]
    fn facts_read_back_and_what_is_missing_is_left_empty() {
        let mut facts = Facts {
            name: "eu-1".into(),
            boot: BootId(0xabc),
            peer: "eu-1:6572".into(),
            grpc: "eu-1:6570".into(),
            http: "eu-1:6571".into(),
            zone: "a".into(),
            roles: vec!["node".into(), "voter".into()],
            version: "0.1.0".into(),
            load: Load {
                store_bytes: 7 << 30,
                index_bytes: 9,
                age: Some(Duration::from_millis(12)),
                is_nearly_full: true,
            },
        };
        assert_eq!(read(&facts.pairs().into_iter().collect()), facts);
        facts.load.age = None;
        facts.roles.clear();
        let mut pairs: BTreeMap<String, String> = facts.pairs().into_iter().collect();
        assert_eq!(read(&pairs), facts);
        pairs.remove("store_bytes");
        pairs.remove("nearly_full");
        pairs.insert("index_bytes".into(), "many".into());
        facts.load = Load::default();
        assert_eq!(read(&pairs), facts);
    }
}
