//! TLS for clients: what the settings name, or the node's own certificate of the cluster's authority;
//! read again while the node runs, so that renewed files need no restart.
//!
//! A node that has no certificate of the authority yet answers plainly until it has: all it says then is
//! that it waits.

use super::{running::Background, start::StartError};
use crate::{
    components::{Clock, Home, Listener},
    security::{AuthorityError, Identity, Served, Shown, TlsListener},
    settings::{NodeSettings, Tls},
};
use std::{
    fs, io,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::sleep;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const GRPC: &[&[u8]] = &[b"h2"];
const HTTP: &[&[u8]] = &[b"h2", b"http/1.1"];

/// What both listeners of clients begin connections with.
pub struct ClientTls {
    tls: Tls,
    clock: Arc<dyn Clock>,
    grpc: Served,
    http: Served,
}

impl ClientTls {
    /// As the settings say; none where they have no `[tls]`.
    pub fn new(
        settings: &NodeSettings,
        home: &dyn Home,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Self>, StartError> {
        let Some(tls) = settings.tls.clone() else {
            return Ok(None);
        };
        let secured = Self {
            tls,
            clock: Arc::clone(clock),
            grpc: Served::default(),
            http: Served::default(),
        };
        if names_files(&secured.tls)? || Identity::kept(home)?.is_some() {
            secured.show(&read(&secured.tls, home)?)?;
        }
        Ok(Some(secured))
    }

    /// Puts TLS before the listener of gRPC.
    pub fn before_grpc(&self, listener: Box<dyn Listener>) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(TlsListener::new(listener, self.grpc.clone())?))
    }

    /// Puts TLS before the listener of HTTP.
    pub fn before_http(&self, listener: Box<dyn Listener>) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(TlsListener::new(listener, self.http.clone())?))
    }

    /// Both or neither: one file may be written before the other.
    fn show(&self, shown: &Shown) -> Result<(), AuthorityError> {
        let grpc = shown.acceptor(GRPC, &self.clock)?;
        let http = shown.acceptor(HTTP, &self.clock)?;
        self.grpc.replace(grpc);
        self.http.replace(http);
        Ok(())
    }

    /// Shows what there is, now that the node belongs to a cluster, and follows it from now on.
    pub fn follow(
        self,
        home: &Arc<dyn Home>,
        background: &mut Background,
    ) -> Result<(), StartError> {
        let shown = read(&self.tls, &**home)?;
        self.show(&shown)?;
        background.spawn(self.keep(Arc::downgrade(home), shown));
        Ok(())
    }

    async fn keep(self, home: Weak<dyn Home>, mut shown: Shown) {
        loop {
            sleep(LOOK_EVERY).await;
            let Some(home) = home.upgrade() else { return };
            let newer = match read(&self.tls, &*home) {
                Ok(newer) if newer == shown => continue,
                Ok(newer) => newer,
                Err(error) => {
                    tracing::error!(%error, "TLS for clients goes on with what it had");
                    continue;
                }
            };
            match self.show(&newer) {
                Ok(()) => {
                    shown = newer;
                    tracing::info!("TLS for clients shows a newer certificate");
                }
                Err(error) => {
                    tracing::error!(%error, "TLS for clients goes on with what it had");
                }
            }
        }
    }
}

/// Whether the certificate is the operator's, not one of the cluster's authority.
fn names_files(tls: &Tls) -> Result<bool, StartError> {
    match (&tls.certificate_file, &tls.key_file) {
        (Some(_), Some(_)) => Ok(true),
        (None, None) => Ok(false),
        _ => {
            let message = "give both tls.certificate_file and tls.key_file, or neither for a certificate of the cluster's authority";
            Err(StartError::Setting(message.into()))
        }
    }
}

fn read(tls: &Tls, home: &dyn Home) -> Result<Shown, StartError> {
    let text = |path: &Path| {
        let doing = format!("read {} of [tls]", path.display());
        fs::read_to_string(path).map_err(super::start::io(doing))
    };
    let ca = tls.client_ca_file.as_deref();
    let client_authorities = ca.map(text).transpose()?;
    let (certificate, key) = match (&tls.certificate_file, &tls.key_file) {
        (Some(certificate), Some(key)) => (text(certificate)?, text(key)?),
        _ => own(home)?,
    };
    Ok(Shown {
        certificate,
        key,
        client_authorities,
    })
}

fn own(home: &dyn Home) -> Result<(String, String), StartError> {
    let kept: Result<_, AuthorityError> = Identity::kept(home);
    let identity = kept?.ok_or_else(|| {
        let message = "[tls] names no files, and the cluster is open, so there is no authority to have a certificate from; \
                       set tls.certificate_file and tls.key_file";
        StartError::Setting(message.into())
    })?;
    let chain = format!(
        "{}{}",
        identity.papers.certificate, identity.papers.authority
    );
    Ok((chain, identity.key))
}
