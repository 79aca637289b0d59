//! How a node comes to belong to a cluster: by its directory, by being founded, or by its seeds.

use super::{LOOK_EVERY, MetadataError, NO_CLUSTER, PATIENCE, Start};
use crate::{
    security::{self, FIRST_TOKEN, Identity},
    server::{
        consensus::Consensus,
        enrolment,
        founding::{self, Asked, Founded},
        joining::{Directions, ask_seeds},
        peers::Groups,
        running::Background,
    },
    settings::ClusterSettings,
};
use proto::id::ClusterId;
use raft::registry::{Registry, access::Security};
use tokio::{sync::mpsc, time::sleep};

/// What the global group is started with.
pub(super) type Beginning<'a> = (&'a Groups, &'a mut Background);

/// The global group, where it was started to be founded.
type Begun = Option<Consensus<Registry>>;

impl Start<'_> {
    /// Comes to belong to a cluster: the one of the directory, one that is founded here, or that of
    /// the seeds. The directory is bound last, so a founding that was cut off is taken up again.
    pub(super) async fn belong(
        &self,
        mut beginning: Beginning<'_>,
        asked: &mut mpsc::Receiver<Asked>,
    ) -> Result<Consensus<Registry>, MetadataError> {
        if let Some(cluster) = self.home.cluster()? {
            if self.me.security.lacks_papers() {
                self.come_back(cluster).await?;
            }
            self.me.cluster.join(cluster);
            return self.global(None, &mut beginning).await;
        }
        let mut begun = None;
        if let Some(founding) = self.founding {
            let (global, _) = self.found(founding, &mut begun, &mut beginning).await?;
            return Ok(global);
        }
        let joined = async {
            if self.settings.cluster.seeds.is_empty() {
                self.wait_for(NO_CLUSTER.into());
                std::future::pending().await
            } else {
                self.enrol().await?;
                Ok::<_, MetadataError>(self.ask_until_told().await)
            }
        };
        tokio::pin!(joined);
        // Settings may be alike on all nodes: one with seeds can be founded as well, while none of
        // them has a cluster.
        loop {
            let asked = tokio::select! {
                directions = &mut joined => return self.join(&directions?, begun, &mut beginning).await,
                asked = asked.recv() => asked.ok_or(MetadataError::Stopped)?,
            };
            let founded = self.found_as_asked(asked, &mut begun, &mut beginning);
            if let Some(global) = founded.await? {
                return Ok(global);
            }
        }
    }

    /// Gets new papers for a member whose own have ended, or are gone.
    async fn come_back(&self, cluster: ClusterId) -> Result<(), MetadataError> {
        if security::kept_authority(self.home)?.is_some() {
            return self.sign_own_papers(cluster);
        }
        if self.settings.cluster.join_token_file.is_some() {
            return self.enrol().await;
        }
        Err(MetadataError::Refused {
            doing: "go on in the cluster",
            why: "this node's certificate has ended, or is gone from secrets/ in its data directory; give it a new \
                  token in cluster.join_token_file (`atoll token create --role join`)"
                .into(),
        })
    }

    /// Gets this node its papers, where it has a token and no papers yet.
    async fn enrol(&self) -> Result<(), MetadataError> {
        if self.me.security.has_papers() || self.settings.cluster.join_token_file.is_none() {
            return Ok(());
        }
        let say = |why| self.wait_for(format!("no seed lets this node join yet: {why}"));
        let (settings, components) = (self.settings, self.components);
        let enrolled = enrolment::enrol(settings, components, self.me, self.home, say).await;
        enrolled.map_err(|why| MetadataError::Refused {
            doing: "join the cluster",
            why,
        })?;
        Ok(())
    }

    async fn join(
        &self,
        directions: &Directions,
        begun: Begun,
        beginning: &mut Beginning<'_>,
    ) -> Result<Consensus<Registry>, MetadataError> {
        self.home.bind_to(directions.cluster)?;
        self.me.cluster.join(directions.cluster);
        let global = match begun {
            Some(global) => global,
            None => self.global(Some(directions.regions), beginning).await?,
        };
        global.hear_of(directions.informed());
        global.hear(directions.global());
        Ok(global)
    }

    /// Founds as `atoll init` asks, or says why not; the global group where it did.
    async fn found_as_asked(
        &self,
        Asked { founding, reply }: Asked,
        begun: &mut Begun,
        beginning: &mut Beginning<'_>,
    ) -> Result<Begun, MetadataError> {
        let founded = match founding::check(self.settings, &founding) {
            Ok(()) => self.found(&founding, begun, beginning).await,
            Err(why) => Err(MetadataError::Refused {
                doing: "found the cluster",
                why,
            }),
        };
        // Who asked may be gone; then it looks by itself.
        match founded {
            Ok((global, founded)) => {
                let _ = reply.send(Ok(founded));
                Ok(Some(global))
            }
            Err(MetadataError::Refused { why, .. }) => {
                let _ = reply.send(Err(why));
                Ok(None)
            }
            Err(error) => {
                let _ = reply.send(Err(error.to_string()));
                Err(error)
            }
        }
    }

    /// Founds the cluster, or ends a founding that was cut off.
    async fn found(
        &self,
        founding: &ClusterSettings,
        begun: &mut Begun,
        beginning: &mut Beginning<'_>,
    ) -> Result<(Consensus<Registry>, Founded), MetadataError> {
        let doing = "found the cluster";
        let global = match begun {
            Some(global) => global.clone(),
            None => {
                let regions = Some(founding.regions.len());
                let global = self.global(regions, beginning).await?;
                begun.insert(global).clone()
            }
        };
        let Some(group) = global.member() else {
            let why = "the node does not have the role voter".into();
            return Err(MetadataError::Refused { doing, why });
        };
        if !group.is_founded().await? {
            group.found(self.alone()).await?;
        }
        let propose = |source| MetadataError::Propose { doing, source };
        let committed = group.linearizable(PATIENCE).await.map_err(propose)?;
        let mut registry = committed.state;
        if registry.founding.is_none() {
            let entropy = &*self.components.entropy;
            let id = ClusterId(entropy.bits());
            let security = self.security(id, founding)?;
            let request = founding::request(founding, self.settings, (id, security), entropy);
            self.change(&global, doing, request).await?;
            registry = group.linearizable(PATIENCE).await.map_err(propose)?.state;
        }
        let founded = registry.founding.as_ref().expect("it was founded above");
        if registry.access.authority.is_some() {
            self.sign_own_papers(founded.cluster)?;
        }
        self.home.bind_to(founded.cluster)?;
        self.me.cluster.join(founded.cluster);
        let first_token = registry.access.authority.is_some().then(|| {
            let secrets = self.settings.node.data_dir.join("secrets");
            secrets.join(FIRST_TOKEN)
        });
        let founded = Founded {
            cluster: founded.cluster,
            node: self.me.node,
            first_token,
        };
        Ok((global, founded))
    }

    /// The node that founds signs for itself.
    fn sign_own_papers(&self, cluster: ClusterId) -> Result<(), MetadataError> {
        let refused = |why| MetadataError::Refused {
            doing: "sign the node's certificate",
            why,
        };
        let missing = || refused("the authority's key is not in secrets/".into());
        let authority = security::kept_authority(self.home)?.ok_or_else(missing)?;
        let asks = enrolment::asks(self.home, self.me.node, self.settings).map_err(refused)?;
        let clock = &self.components.clock;
        let papers = authority.papers(cluster, &asks, clock.now().wall_millis())?;
        let certificate = security::kept_authority_certificate(self.home)?;
        let identity = Identity::keep(self.home, papers.with_authority(certificate.as_deref()))?;
        Ok(self.me.security.show(&identity, clock)?)
    }

    /// What the cluster is secured with. It is kept before the cluster is founded: a founding that was
    /// cut off goes on with it.
    fn security(
        &self,
        cluster: ClusterId,
        founding: &ClusterSettings,
    ) -> Result<Option<Security>, MetadataError> {
        if !founding::is_secured(self.settings, founding) {
            return Ok(None);
        }
        let now = self.components.clock.now().wall_millis();
        Ok(Some(security::found(self.home, cluster, now)?))
    }

    pub(super) async fn ask_until_told(&self) -> Directions {
        loop {
            match ask_seeds(self.settings, self.components, self.me).await {
                Ok(directions) => return directions,
                Err(why) => self.wait_for(format!(
                    "{NO_CLUSTER}; no seed lets this node join yet: {why}"
                )),
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
