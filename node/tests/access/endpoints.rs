//! Every endpoint, with every kind of caller that has no right to it, and with one that has.

use super::{
    cluster::{DEFINITIONS, Secured},
    raw::{self, Refusal},
};
use gateway::access::{Endpoint, Kept, Requirement, Right, grpc_endpoints};
use prost::Message as _;
use std::collections::BTreeMap;
use wire::v1;

/// The project that callers have rights in, and one of others.
const OWN: &str = "shop";
const OTHER: &str = "bank";

/// What a call says about projects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// It names one.
    Project,
    /// It names none: the answer is of those that the caller sees.
    Nothing,
}

fn definitions(project: &str) -> Vec<v1::DefinitionFile> {
    vec![v1::DefinitionFile {
        name: "x.yaml".into(),
        text: DEFINITIONS.replace(OWN, project),
    }]
}

fn quota_of(project: &str) -> v1::SetQuotaRequest {
    v1::SetQuotaRequest {
        quota: Some(v1::Quota {
            project: project.into(),
            lookups_per_second: Some(1_000_000),
            ..Default::default()
        }),
    }
}

fn reader_of(project: &str) -> v1::CreateTokenRequest {
    v1::CreateTokenRequest {
        grants: vec![v1::Grant {
            role: "reader".into(),
            project: project.into(),
        }],
        ..Default::default()
    }
}

/// A request of a method of gRPC that names the project; it need not succeed, once it is let in.
fn grpc_body(path: &str, project: &str) -> (Names, Vec<u8>) {
    let project_name = || project.to_owned();
    let method = path.rsplit('/').next().unwrap();
    let body = match method {
        "Lookup" => v1::LookupRequest {
            project: project_name(),
            ..Default::default()
        }
        .encode_to_vec(),
        "Write" | "WriteStream" => v1::WriteRequest {
            project: project_name(),
            ..Default::default()
        }
        .encode_to_vec(),
        "Delete" => v1::DeleteRequest {
            project: project_name(),
            ..Default::default()
        }
        .encode_to_vec(),
        "Plan" | "Apply" => v1::ApplyRequest {
            files: definitions(project),
            ..Default::default()
        }
        .encode_to_vec(),
        "Get" => v1::GetRequest {
            project: project_name(),
            name: "state".into(),
            ..Default::default()
        }
        .encode_to_vec(),
        "List" => v1::ListRequest {
            project: project_name(),
            ..Default::default()
        }
        .encode_to_vec(),
        "Scan" => v1::ScanRequest {
            project: project_name(),
            view: "state".into(),
            ..Default::default()
        }
        .encode_to_vec(),
        "CreateToken" => reader_of(project).encode_to_vec(),
        // A token of the project is put in by the test.
        "RevokeToken" => Vec::new(),
        "SetQuota" => quota_of(project).encode_to_vec(),
        "ListTokens" => return (Names::Nothing, Vec::new()),
        "Rollback" | "PlanRollback" => v1::RollbackRequest {
            revision: 1,
            ..Default::default()
        }
        .encode_to_vec(),
        "Watch"
        | "History"
        | "Recover"
        | "DrainNode"
        | "RemoveNode"
        | "Status"
        | "Shards"
        | "Lag"
        | "Audit"
        | "AuditLog"
        | "Diagnose"
        | "ListQuotas"
        | "ListRegions"
        | "Check"
        | "ServerReflectionInfo" => Vec::new(),
        _ => panic!("this test has no request for {path}: give it one that names the project"),
    };
    (Names::Project, body)
}

/// The path and body of a call over HTTP that names the project.
fn http_body(endpoint: &Endpoint, project: &str) -> (Names, String, String) {
    let path = endpoint
        .path
        .replace("{project}", project)
        .replace("{name}", "state");
    let named = || serde_json::json!({ "project": project });
    let mut names = Names::Project;
    let body = match endpoint.path {
        "/v1/lookup" => {
            let mut body = named();
            body["service"] = "model".into();
            body.to_string()
        }
        "/v1/write" => {
            let mut body = named();
            body["view"] = "state".into();
            body["rows"] = serde_json::json!([]);
            body.to_string()
        }
        "/v1/delete" => {
            let mut body = named();
            body["view"] = "state".into();
            body["keys"] = serde_json::json!([]);
            body.to_string()
        }
        "/v1/registry/plan" | "/v1/registry/apply" => {
            let text = DEFINITIONS.replace(OWN, project);
            serde_json::json!({ "files": [{ "name": "x", "text": text }] }).to_string()
        }
        "/v1/registry/projects" => {
            names = Names::Nothing;
            String::new()
        }
        "/v1/registry/projects/{project}"
        | "/v1/registry/projects/{project}/{name}"
        | "/v1/registry/history"
        | "/v1/status"
        | "/v1/shards"
        | "/v1/topology"
        | "/v1/lag"
        | "/healthz"
        | "/readyz"
        | "/metrics"
        | "/openapi.json"
        | "/health"
        | "/feast/{project}/health" => String::new(),
        // Those under the root are about the project of the settings, which is that of the callers.
        "/get-online-features" | "/feast/{project}/get-online-features" => {
            serde_json::json!({ "entities": { "id": [1] }, "features": ["state:a"] }).to_string()
        }
        "/push" | "/feast/{project}/push" => {
            serde_json::json!({ "push_source_name": "state", "df": { "id": [], "a": [] } })
                .to_string()
        }
        "/write-to-online-store" | "/feast/{project}/write-to-online-store" => {
            serde_json::json!({ "feature_view_name": "state", "df": { "id": [], "a": [] } })
                .to_string()
        }
        path => panic!("this test has no request for {path}: give it one that names the project"),
    };
    (names, path, body)
}

/// Tokens of every kind.
struct Callers {
    /// By role and project; the empty project is the whole cluster.
    tokens: BTreeMap<(&'static str, &'static str), String>,
    /// That were good once.
    expired: String,
    revoked: String,
    /// Good ids with another secret.
    forged: String,
}

const ROLES: [(&str, &[Right]); 4] = [
    ("reader", &[Right::See, Right::Read]),
    ("writer", &[Right::See, Right::Write]),
    ("registrar", &[Right::See, Right::Define]),
    (
        "admin",
        &[
            Right::See,
            Right::Read,
            Right::Write,
            Right::Define,
            Right::Administer,
        ],
    ),
];

impl Callers {
    async fn of(secured: &Secured) -> Self {
        let mut tokens = BTreeMap::new();
        for (role, _) in ROLES {
            for project in [OWN, OTHER, ""] {
                tokens.insert((role, project), secured.token(role, project).await);
            }
        }
        let (revoked, id) = secured.create("admin", "", None).await.unwrap();
        secured.revoke(&id).await.unwrap();
        let (expired, _) = secured.create("admin", "", Some(0)).await.unwrap();
        let good = &tokens[&("admin", "")];
        let last = if good.ends_with('A') { "E" } else { "A" };
        let forged = format!("{}{last}", &good[..good.len() - 1]);
        Self {
            tokens,
            expired,
            revoked,
            forged,
        }
    }

    fn token(&self, role: &'static str, project: &'static str) -> Option<&str> {
        Some(&self.tokens[&(role, project)])
    }
}

/// One endpoint under test.
struct Tested<'a> {
    secured: &'a Secured,
    endpoint: Endpoint,
    is_http: bool,
}

impl Tested<'_> {
    async fn call(&self, token: Option<&str>, project: &str) -> Refusal {
        let endpoint = &self.endpoint;
        if self.is_http {
            let (_, path, body) = http_body(endpoint, project);
            let (address, method) = (self.secured.node.http, endpoint.method);
            let token = token.map(str::to_owned);
            let called = move || raw::http(address, (method, &path), token.as_deref(), &body);
            return tokio::task::spawn_blocking(called).await.unwrap();
        }
        let (_, mut body) = grpc_body(endpoint.path, project);
        if endpoint.path.ends_with("/RevokeToken") {
            let (_, id) = self.secured.create("reader", project, None).await.unwrap();
            body = v1::RevokeTokenRequest { id }.encode_to_vec();
        }
        raw::grpc(&self.secured.channel, endpoint.path, token, &body).await
    }

    fn names(&self) -> Names {
        if self.is_http {
            http_body(&self.endpoint, OWN).0
        } else {
            grpc_body(self.endpoint.path, OWN).0
        }
    }

    async fn refuses(&self, who: &str, token: Option<&str>, project: &str, reason: &str) {
        let refusal = self.call(token, project).await;
        let what = format!(
            "{} {} as {who}: {refusal:?}",
            self.endpoint.method, self.endpoint.path
        );
        assert_eq!(refusal.reason(), reason, "{what}");
        assert!(
            refusal.0.unwrap().1.len() > 10,
            "it says what to do: {what}"
        );
    }

    async fn lets_in(&self, who: &str, token: Option<&str>, project: &str) {
        let refusal = self.call(token, project).await;
        let endpoint = &self.endpoint;
        assert!(
            refusal.is_let_in(),
            "{} {} as {who}: {refusal:?}",
            endpoint.method,
            endpoint.path
        );
    }

    async fn check(&self, callers: &Callers) {
        if self.endpoint.requirement == Requirement::Open {
            return self.lets_in("nobody", None, OWN).await;
        }
        let unknown = [
            ("nobody", None),
            ("one with an expired token", Some(callers.expired.as_str())),
            ("one with a revoked token", Some(&callers.revoked)),
            ("one with a forged token", Some(&callers.forged)),
            ("one with no token at all", Some("letmein")),
        ];
        for (who, token) in unknown {
            self.refuses(who, token, OWN, "UNAUTHENTICATED").await;
        }
        for (role, rights) in ROLES {
            match self.endpoint.requirement {
                Requirement::Open => {}
                Requirement::Token => self.lets_in(role, callers.token(role, OTHER), OWN).await,
                Requirement::InProject(right) => {
                    self.check_project(role, rights.contains(&right), callers)
                        .await;
                }
                Requirement::Everywhere(right) => {
                    let who = format!("{role} of one project");
                    let token = callers.token(role, OWN);
                    self.refuses(&who, token, OWN, "FORBIDDEN").await;
                    self.check_role(role, rights.contains(&right), callers, "")
                        .await;
                }
            }
        }
    }

    async fn check_project(&self, role: &'static str, has: bool, callers: &Callers) {
        self.check_role(role, has, callers, OWN).await;
        self.check_role(role, has, callers, "").await;
        if self.names() == Names::Project {
            let token = callers.token(role, OTHER);
            self.refuses("one of another project", token, OWN, "FORBIDDEN")
                .await;
        }
    }

    async fn check_role(&self, role: &'static str, has: bool, callers: &Callers, of: &'static str) {
        let (who, token) = (format!("{role} of {of:?}"), callers.token(role, of));
        if has {
            self.lets_in(&who, token, OWN).await;
        } else {
            self.refuses(&who, token, OWN, "FORBIDDEN").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_refuses_whoever_has_no_right_and_lets_in_who_has() {
    let secured = Secured::start().await;
    let callers = Callers::of(&secured).await;
    let http = gateway::http::endpoints();
    assert!(http.len() >= 25, "{}", http.len());
    let grpc = grpc_endpoints().iter().copied();
    let all = grpc
        .map(|endpoint| (endpoint, false))
        .chain(http.into_iter().map(|endpoint| (endpoint, true)));
    // A watch of health lasts for ever, and is as open as a check.
    let all = all.filter(|(endpoint, _)| endpoint.path != "/grpc.health.v1.Health/Watch");
    let mut kept = 0;
    for (endpoint, is_http) in all {
        kept += u32::from(endpoint.kept == Kept::InTrail);
        let tested = Tested {
            secured: &secured,
            endpoint,
            is_http,
        };
        tested.check(&callers).await;
    }
    // What is kept says who, what, and how it ended; and no entry has a secret.
    let request = super::cluster::bearing(v1::AuditLogRequest { limit: 1_000 }, &secured.root);
    let log = secured
        .admin()
        .audit_log(request)
        .await
        .unwrap()
        .into_inner();
    for endpoint in grpc_endpoints()
        .iter()
        .copied()
        .chain(gateway::http::endpoints())
    {
        if endpoint.kept == Kept::InTrail {
            kept -= 1;
            let call = format!("{} {}", endpoint.method, endpoint.path);
            let mut of = log.entries.iter().filter(|entry| entry.call == call);
            let refused = of.clone().any(|entry| entry.outcome == "FORBIDDEN");
            assert!(refused, "{call} leaves refusals in the trail");
            let said = of.any(|entry| !entry.what.is_empty() && entry.who.contains("(token "));
            assert!(
                said,
                "{call} says in the trail who asked for what: write its note"
            );
        }
    }
    assert_eq!(kept, 0);
    let text = format!("{:?}", log.entries);
    let secrets = callers.tokens.values();
    assert!(
        secrets
            .into_iter()
            .all(|secret| !text.contains(secret.as_str()))
    );
    drop(callers);
    secured.node.stop().await;
}
