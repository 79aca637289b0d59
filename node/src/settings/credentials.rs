//! What a node shows to the brokers of regions: names and passwords, in its own file or environment
//! alone. A region's settings name them.

use super::{
    NodeSettings,
    region::{KafkaMechanism, KafkaSecurity},
};
use crate::region_log::kafka::{Authority, Brokers, Credentials, Mechanism, Security};
use proto::name::Name;
use raft::registry::region::KafkaSettings;
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// A section `[credentials.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CredentialSettings {
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// A file with the password, which is all that stands in it; a line's end after it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The password itself: from the environment alone, and never shown.
    #[serde(skip_serializing)]
    pub password: Option<Password>,
    /// Who vouches for the brokers' certificates, as PEM. Left out: the machine's own list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// A password, which nothing prints.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a password")
    }
}

/// A node cannot speak to a region's brokers; each says what to set where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokersError {
    /// The registry has words that this release does not know.
    #[error(
        "region {region}: kafka.{key} is {found:?}, which this release does not know; upgrade this node"
    )]
    Unknown {
        /// The region.
        region: Name,
        /// What.
        key: &'static str,
        /// As it is.
        found: String,
    },
    /// The node has no such section, or the region names none.
    #[error(
        "region {region} asks for credentials {name:?}, and this node has none of that name; add [credentials.{name}] \
         with username and password_file to its settings"
    )]
    None {
        /// The region.
        region: Name,
        /// The name.
        name: String,
    },
    /// The section lacks something.
    #[error(
        "[credentials.{name}] has no {key}, and the Kafka of region {region} asks for it; set it in this node's settings"
    )]
    Lacks {
        /// The region.
        region: Name,
        /// The name.
        name: String,
        /// What.
        key: &'static str,
    },
    /// A file of the section.
    #[error(transparent)]
    File(#[from] CredentialFileError),
}

/// A file that credentials name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("credentials.{name}.{key} is {path}, which {why}; correct it in this node's settings", path = path.display())]
pub struct CredentialFileError {
    name: String,
    key: &'static str,
    path: PathBuf,
    why: String,
}

impl CredentialSettings {
    /// Whether the files are there; if not, which to correct.
    pub fn check(&self, name: &str) -> Result<(), CredentialFileError> {
        self.password(name)?;
        self.authority(name)?;
        Ok(())
    }

    fn password(&self, name: &str) -> Result<Option<String>, CredentialFileError> {
        if let Some(Password(text)) = &self.password {
            return Ok(Some(text.clone()));
        }
        let Some(path) = &self.password_file else {
            return Ok(None);
        };
        let wrong = |why: String| wrong(name, "password_file", path, why);
        let text = fs::read_to_string(path).map_err(|error| wrong(cannot_be_read(&error)))?;
        let text = text.trim_end_matches(['\r', '\n']);
        match text.is_empty() {
            true => Err(wrong("is empty".into())),
            false => Ok(Some(text.to_owned())),
        }
    }

    fn authority(&self, name: &str) -> Result<Authority, CredentialFileError> {
        if let Some(path) = &self.ca_file {
            let wrong = |why: String| wrong(name, "ca_file", path, why);
            let text = fs::read_to_string(path).map_err(|error| wrong(cannot_be_read(&error)))?;
            if !text.contains("-----BEGIN CERTIFICATE-----") {
                return Err(wrong("has no certificate as PEM".into()));
            }
        }
        Ok(Authority(self.ca_file.clone()))
    }
}

fn cannot_be_read(error: &std::io::Error) -> String {
    format!("cannot be read ({error})")
}

fn wrong(name: &str, key: &'static str, path: &Path, why: String) -> CredentialFileError {
    CredentialFileError {
        name: name.into(),
        key,
        path: path.into(),
        why,
    }
}

/// The brokers of a region, as this node speaks to them. Files are read each time: a password that
/// was changed counts for the next client.
pub fn brokers(
    region: &Name,
    kafka: &KafkaSettings,
    settings: &NodeSettings,
) -> Result<Brokers, BrokersError> {
    let asked = Asked {
        region,
        kafka,
        settings,
    };
    Ok(Brokers {
        addresses: kafka.brokers.clone(),
        security: asked.security()?,
    })
}

struct Asked<'a> {
    region: &'a Name,
    kafka: &'a KafkaSettings,
    settings: &'a NodeSettings,
}

impl Asked<'_> {
    fn security(&self) -> Result<Security, BrokersError> {
        let found = &self.kafka.security;
        let mut known = KafkaSecurity::ALL.into_iter();
        let known = known.find(|security| security.name() == found);
        match known.ok_or_else(|| self.unknown("security", found))? {
            KafkaSecurity::Plaintext => Ok(Security::Plaintext),
            KafkaSecurity::Ssl => Ok(Security::Ssl(self.authority()?)),
            KafkaSecurity::SaslPlaintext => Ok(Security::SaslPlaintext(self.credentials()?)),
            KafkaSecurity::SaslSsl => Ok(Security::SaslSsl(self.authority()?, self.credentials()?)),
        }
    }

    fn unknown(&self, key: &'static str, found: &str) -> BrokersError {
        BrokersError::Unknown {
            region: self.region.clone(),
            key,
            found: found.into(),
        }
    }

    /// The section that the region names, and its name; none where it names none.
    fn section(&self) -> Result<Option<(&str, &CredentialSettings)>, BrokersError> {
        let Some(name) = &self.kafka.credentials else {
            return Ok(None);
        };
        let missing = || BrokersError::None {
            region: self.region.clone(),
            name: name.clone(),
        };
        let found = self.settings.credentials_named(name);
        Ok(Some((name, found.ok_or_else(missing)?)))
    }

    fn authority(&self) -> Result<Authority, BrokersError> {
        match self.section()? {
            Some((name, section)) => Ok(section.authority(name)?),
            None => Ok(Authority::default()),
        }
    }

    fn credentials(&self) -> Result<Credentials, BrokersError> {
        let missing = || BrokersError::None {
            region: self.region.clone(),
            name: "NAME".into(),
        };
        let (name, section) = self.section()?.ok_or_else(missing)?;
        let lacks = |key| BrokersError::Lacks {
            region: self.region.clone(),
            name: name.into(),
            key,
        };
        let username = section.username.clone().ok_or_else(|| lacks("username"))?;
        let password = section.password(name)?;
        Ok(Credentials {
            mechanism: self.mechanism()?,
            username,
            password: password.ok_or_else(|| lacks("password_file"))?,
        })
    }

    fn mechanism(&self) -> Result<Mechanism, BrokersError> {
        let found = self.kafka.mechanism.as_deref().unwrap_or_default();
        let mut known = KafkaMechanism::ALL.into_iter();
        let known = known.find(|mechanism| mechanism.name() == found);
        Ok(
            match known.ok_or_else(|| self.unknown("mechanism", found))? {
                KafkaMechanism::Plain => Mechanism::Plain,
                KafkaMechanism::ScramSha256 => Mechanism::ScramSha256,
                KafkaMechanism::ScramSha512 => Mechanism::ScramSha512,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::single;

    fn sasl(security: &str) -> KafkaSettings {
        KafkaSettings {
            brokers: vec!["kafka:9092".into()],
            partitions: 4,
            replication: 1,
            retention_millis: 1_000,
            security: security.into(),
            mechanism: Some("SCRAM-SHA-512".into()),
            credentials: Some("kafka-eu".into()),
        }
    }

    fn with(section: Option<CredentialSettings>) -> NodeSettings {
        let (mut settings, _) = single::settings(Path::new("/tmp/x"), 6570);
        let sections = section.map(|section| ("kafka-eu".to_owned(), section));
        settings.credentials = sections.into_iter().collect();
        settings
    }

    fn of(kafka: &KafkaSettings, settings: &NodeSettings) -> Result<Brokers, String> {
        let region = Name::new("eu").unwrap();
        brokers(&region, kafka, settings).map_err(|error| error.to_string())
    }

    #[test]
    fn brokers_are_spoken_to_as_the_region_and_the_nodes_own_file_say() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            Some(dir.path().join(name))
        };
        let settings = with(Some(CredentialSettings {
            username: Some("atoll".into()),
            password_file: file("password", "s3 cret\n"),
            ca_file: file("ca.pem", "-----BEGIN CERTIFICATE-----\n"),
            ..CredentialSettings::default()
        }));
        let credentials = Credentials {
            mechanism: Mechanism::ScramSha512,
            username: "atoll".into(),
            password: "s3 cret".into(),
        };
        let authority = Authority(Some(dir.path().join("ca.pem")));
        let security = |kafka: &str| of(&sasl(kafka), &settings).unwrap().security;
        assert_eq!(
            security("sasl_ssl"),
            Security::SaslSsl(authority.clone(), credentials.clone())
        );
        assert_eq!(
            security("sasl_plaintext"),
            Security::SaslPlaintext(credentials)
        );
        assert_eq!(security("ssl"), Security::Ssl(authority));
        assert_eq!(security("plaintext"), Security::Plaintext);
    }

    #[test]
    fn what_is_missing_is_named_with_where_to_set_it() {
        let refused = |section| of(&sasl("sasl_ssl"), &with(section)).unwrap_err();
        let section = |username: Option<&str>, file: Option<&str>| {
            Some(CredentialSettings {
                username: username.map(str::to_owned),
                password_file: file.map(PathBuf::from),
                ..CredentialSettings::default()
            })
        };
        let none = refused(None);
        assert!(none.contains("add [credentials.kafka-eu]"), "{none}");
        let no_name = refused(section(None, None));
        assert!(no_name.contains("has no username"), "{no_name}");
        let no_password = refused(section(Some("atoll"), None));
        assert!(
            no_password.contains("has no password_file"),
            "{no_password}"
        );
        let no_file = refused(section(Some("atoll"), Some("/nowhere/at/all")));
        assert!(
            no_file.contains("credentials.kafka-eu.password_file is /nowhere/at/all"),
            "{no_file}"
        );
        let newer = of(&sasl("quic"), &with(None)).unwrap_err();
        assert!(newer.contains("upgrade this node"), "{newer}");
    }

    #[test]
    fn a_password_is_in_nothing_that_is_printed() {
        let settings = with(Some(CredentialSettings {
            username: Some("atoll".into()),
            password: Some(Password("hunter2".into())),
            ..CredentialSettings::default()
        }));
        let shown = [
            format!("{settings:?}"),
            toml::to_string(&settings).unwrap(),
            super::super::print(&settings, &std::collections::BTreeMap::new()),
            format!("{:?}", of(&sasl("sasl_ssl"), &settings).unwrap()),
        ];
        for text in shown {
            assert!(
                text.contains("atoll") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
}
