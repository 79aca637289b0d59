//! What a node does to come by its papers: it takes up those that it has, or shows a token to a seed.

use super::Enrols;
use crate::{
    components::{Clock, Components, Home},
    peer::{Me, ask},
    security::{Asks, Identity, JoinToken, NodeKey, Papers, Security, kept_authority_certificate},
    server::{methods::Call, start::StartError},
    settings::NodeSettings,
};
use bytes::Bytes;
use proto::id::NodeId;
use std::{io, path::Path, sync::Arc, time::Duration};
use tokio::time::sleep;

/// How long a seed may take: it may have to ask another node and the global group.
const ENROL_WITHIN: Duration = Duration::from_secs(10);
/// What is waited before seeds are asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Shows the papers that are kept in `home`. A member of a secured cluster whose papers have ended or are gone
/// believes nobody until it has others.
pub fn take_up(
    security: &Security,
    home: &dyn Home,
    clock: &Arc<dyn Clock>,
) -> Result<(), StartError> {
    let bound = home.cluster()?;
    let Some(identity) = Identity::kept(home)? else {
        if let (Some(cluster), Some(authority)) = (bound, kept_authority_certificate(home)?) {
            security.trust_pem(cluster, &authority, clock)?;
        }
        return Ok(());
    };
    let papers = &identity.papers;
    if bound.is_some_and(|cluster| cluster != papers.cluster) {
        return Err(StartError::Setting(format!(
            "secrets/identity.json is of cluster {}, and the data directory of another one; they belong together",
            papers.cluster
        )));
    }
    if papers.have_ended(clock.now().wall_millis()) {
        security.trust_pem(papers.cluster, &papers.authority, clock)?;
    } else {
        security.show(&identity, clock)?;
    }
    Ok(())
}

/// What this node asks the authority for: clients reach it where it listens and advertises.
pub fn asks(home: &dyn Home, node: NodeId, settings: &NodeSettings) -> Result<Asks, String> {
    let key = NodeKey::of(home).map_err(|error| error.to_string())?;
    let (listen, advertise) = (&settings.listen, &settings.advertise);
    let host = |address: &String| {
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        host.trim_matches(['[', ']']).to_owned()
    };
    let advertised = [&advertise.grpc, &advertise.http, &advertise.peer];
    let advertised = advertised.into_iter().flatten().map(host);
    let listening = [listen.grpc, listen.http].map(|address| address.ip());
    let listening = listening.iter().filter(|ip| !ip.is_unspecified());
    let mut names: Vec<String> = listening
        .map(ToString::to_string)
        .chain(advertised)
        .collect();
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    names.sort();
    names.dedup();
    Ok(Asks {
        node,
        public_key: key.public(),
        names,
    })
}

/// Asks the seeds for papers with the token of the settings, until one gives them.
pub async fn enrol(
    settings: &NodeSettings,
    components: &Components,
    me: &Me,
    home: &dyn Home,
    say: impl Fn(String),
) -> Result<(), String> {
    let file = settings.cluster.join_token_file.as_ref();
    let file = file.ok_or("cluster.join_token_file is not set")?;
    let asks = asks(home, me.node, settings)?;
    let kept = Identity::kept(home).map_err(|error| error.to_string())?;
    let earlier = kept.map(|kept| (kept.papers.certificate, kept.papers.signed_at_millis));
    loop {
        if let Some(token) = token_in(file, &say)? {
            let trusted = me
                .security
                .trust(token.cluster, &token.authority, &components.clock);
            trusted.map_err(|error| error.to_string())?;
            let enrols = Enrols {
                token: token.secret.text(),
                asks: asks.clone(),
                earlier: earlier.clone(),
            };
            match ask_seeds(settings, components, me, (&token, &enrols)).await {
                Ok(papers) => {
                    let identity =
                        Identity::keep(home, papers).map_err(|error| error.to_string())?;
                    let shown = me.security.show(&identity, &components.clock);
                    return shown.map_err(|error| error.to_string());
                }
                Err(whys) => say(whys),
            }
        }
        sleep(AGAIN_AFTER).await;
    }
}

/// The token, once there is one.
fn token_in(file: &Path, say: &impl Fn(String)) -> Result<Option<JoinToken>, String> {
    let doing = |why: String| format!("cluster.join_token_file {}: {why}", file.display());
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let token = JoinToken::read(&text);
            token.map(Some).map_err(|error| doing(error.to_string()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            say(doing("there is no such file".into()));
            Ok(None)
        }
        Err(error) => Err(doing(error.to_string())),
    }
}

/// Asks each seed once; gives why none gives papers.
async fn ask_seeds(
    settings: &NodeSettings,
    components: &Components,
    me: &Me,
    (token, enrols): (&JoinToken, &Enrols),
) -> Result<Papers, String> {
    let json = serde_json::to_vec(enrols).expect("a question is plain data");
    let payload = Bytes::from(json);
    let mut whys = Vec::new();
    for seed in &settings.cluster.seeds {
        let (network, call) = (&*components.network, Call::Enrol as u8);
        match ask(network, me, seed, call, payload.clone(), ENROL_WITHIN).await {
            Ok((_, answer)) => match serde_json::from_slice::<Papers>(&answer) {
                Ok(papers) if token.vouches_for(&papers) => return Ok(papers),
                Ok(_) => whys.push(format!("{seed}: its papers are of another cluster")),
                Err(error) => whys.push(format!("{seed}: its answer cannot be read: {error}")),
            },
            Err(error) => whys.push(format!("{seed}: {error}")),
        }
    }
    Err(whys.join("; "))
}
