//! A secured node in this process, and calls of its administrator.

use node::{
    components::Components,
    server::{self, Running, single},
};
use proto::name::Name;
use std::{net::TcpListener, time::Duration};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};
use wire::v1::{self, admin_service_client::AdminServiceClient};

pub const DEFINITIONS: &str = "
project: shop
entities: [{ name: customer, keys: [{ name: id, type: int64 }] }]
views:
  - { name: state, entity: customer, features: [{ name: a, type: int64 }] }
services: [{ name: model, features: [\"state:*\"] }]
";

pub struct Secured {
    pub node: Running,
    pub channel: Channel,
    /// The first token.
    pub root: String,
    dir: TempDir,
}

pub fn free_port() -> u16 {
    let mut ports = (0..1_000).map(|_| {
        let probe = TcpListener::bind("127.0.0.1:0").unwrap();
        probe.local_addr().unwrap().port()
    });
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let five = |port: &u16| *port < 65_000 && (*port..*port + 5).all(is_free);
    ports.find(five).expect("five free ports in a row")
}

impl Secured {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Another process may take a port between the look and the start.
        let mut attempts = 0;
        let node = loop {
            let (mut settings, mut founding) =
                single::settings(&dir.path().join("data"), free_port());
            settings.feast.project = Some(Name::new("shop").unwrap());
            founding.cluster.secure = Some(true);
            let components = Components::of_this_machine();
            match server::start_single(settings, founding, components).await {
                Ok(node) => break node,
                Err(error) if attempts < 20 => eprintln!("{error}"),
                Err(error) => panic!("{error}"),
            }
            attempts += 1;
        };
        while node.not_ready().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let endpoint = Endpoint::from_shared(format!("http://{}", node.grpc)).unwrap();
        let first = dir.path().join("data/secrets/first-admin-token");
        let secured = Self {
            channel: endpoint.connect().await.unwrap(),
            root: std::fs::read_to_string(first).unwrap().trim().to_owned(),
            node,
            dir,
        };
        secured.define().await;
        secured
    }

    /// The certificate of its authority.
    pub fn authority(&self) -> String {
        let file = self.dir.path().join("data/secrets/authority.pem");
        std::fs::read_to_string(file).unwrap()
    }

    async fn define(&self) {
        let file = v1::DefinitionFile {
            name: "shop.yaml".into(),
            text: DEFINITIONS.into(),
        };
        let request = v1::ApplyRequest {
            files: vec![file],
            ..Default::default()
        };
        let mut client =
            v1::registry_service_client::RegistryServiceClient::new(self.channel.clone());
        client.apply(bearing(request, &self.root)).await.unwrap();
    }

    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// A token of some role in a project, or in all of them.
    pub async fn token(&self, role: &str, project: &str) -> String {
        self.create(role, project, None).await.unwrap().0
    }

    /// A token and its id.
    pub async fn create(
        &self,
        role: &str,
        project: &str,
        valid_for_seconds: Option<u64>,
    ) -> Result<(String, String), Status> {
        let request = v1::CreateTokenRequest {
            name: format!("{role} of {project}"),
            grants: vec![v1::Grant {
                role: role.into(),
                project: project.into(),
            }],
            join: false,
            valid_for_seconds,
        };
        let request = bearing(request, &self.root);
        let answer = self.admin().create_token(request).await?.into_inner();
        Ok((answer.token, answer.info.unwrap().id))
    }

    pub async fn revoke(&self, id: &str) -> Result<(), Status> {
        let request = v1::RevokeTokenRequest { id: id.into() };
        let request = bearing(request, &self.root);
        self.admin().revoke_token(request).await.map(drop)
    }
}

/// A request with a token.
pub fn bearing<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let header = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", header);
    request
}
