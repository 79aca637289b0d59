//! Secured nodes as processes of their own: their settings, commands, and what they show over TLS.

use super::process::{Process, Said, atoll, free_ports, wait_for};
use node::security::client_of;
use rustls::{
    ClientConfig, ClientConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::Value as Json;
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

const CLUSTER: &str = r#"
[cluster]
name = "lab"
shards = 8
secure = true
[[region]]
name = "eu"
copies = 2
min_in_sync = 1
"#;

/// A node's process, its directory and ports.
struct Node {
    // Before its settings are gone.
    process: Option<Process>,
    name: String,
    port: u16,
    dir: PathBuf,
}

/// What differs between nodes.
#[derive(Default)]
pub struct Differs<'a> {
    /// Whom it asks to join.
    pub seeds: &'a [u16],
    /// A join token.
    pub token: Option<&'a str>,
    /// Lines of `[tls]` beyond its name.
    pub tls: &'a str,
    /// Whether it may vote.
    pub votes: bool,
}

/// A folder for nodes of one cluster or of several.
pub struct Lab {
    nodes: Vec<Node>,
    dir: TempDir,
}

impl Lab {
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Writes a file of the test.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    /// Starts a node; gives its number.
    pub fn serve(&mut self, name: &str, differs: &Differs<'_>) -> usize {
        let dir = self.dir.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        self.nodes.push(Node {
            process: None,
            name: name.into(),
            port: free_ports(),
            dir,
        });
        let node = self.nodes.len() - 1;
        self.settings(node, differs);
        self.start(node);
        node
    }

    /// Writes a node's settings.
    pub fn settings(&self, node: usize, differs: &Differs<'_>) {
        let Node {
            name, port, dir, ..
        } = &self.nodes[node];
        let seeds: Vec<String> = differs.seeds.iter().map(|seed| address(seed + 2)).collect();
        let listen = ["grpc", "http", "peer", "link", "gossip"];
        let listen = listen.iter().zip(*port..);
        let listen: Vec<String> = listen
            .map(|(what, port)| format!("{what} = {}", address(port)))
            .collect();
        let token = differs.token.map_or_else(String::new, |token| {
            let file = dir.join("join");
            fs::write(&file, token).unwrap();
            format!("join_token_file = {file:?}\n")
        });
        let voter = if differs.votes { ", \"voter\"" } else { "" };
        let text = format!(
            "[cluster]\nseeds = [{}]\n{token}[node]\nname = \"{name}\"\nregion = \"eu\"\nzone = \"{name}\"\n\
             roles = [\"node\", \"gateway\"{voter}]\ndata_dir = {:?}\n[store]\nsegment_bytes = \"8MiB\"\n\
             [tls]\n{}\n[listen]\n{}\n",
            seeds.join(", "),
            dir.join("data"),
            differs.tls,
            listen.join("\n"),
        );
        fs::write(dir.join("node.toml"), text).unwrap();
    }

    /// Starts a node's process, which is down.
    pub fn start(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let mut command = atoll();
        command
            .args(["serve", "--config"])
            .arg(node.dir.join("node.toml"))
            .stdout(Stdio::null())
            .stderr(File::create(node.dir.join("log")).unwrap());
        node.process = Some(Process::spawn(&mut command));
    }

    /// Ends a node's process.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].process = None;
    }

    /// What a node said before it ended by itself.
    pub fn last_words(&mut self, node: usize) -> String {
        let process = self.nodes[node].process.as_mut().unwrap();
        wait_for("the node to end", || process.ended());
        fs::read_to_string(self.nodes[node].dir.join("log")).unwrap()
    }

    pub fn port(&self, node: usize) -> u16 {
        self.nodes[node].port
    }

    /// A file of a node's data directory.
    pub fn data(&self, node: usize, name: &str) -> PathBuf {
        self.nodes[node].dir.join("data").join(name)
    }

    /// A secret of a node.
    pub fn secret(&self, node: usize, name: &str) -> PathBuf {
        self.data(node, "secrets").join(name)
    }

    /// The text of a secret; a node that was founded has the first token.
    pub fn read(&self, node: usize, name: &str) -> String {
        fs::read_to_string(self.secret(node, name)).unwrap()
    }

    /// Founds a cluster at a node; gives its first token.
    pub fn found(&self, node: usize) -> String {
        let cluster = self.file("cluster.toml", CLUSTER);
        let at = format!("127.0.0.1:{}", self.port(node) + 2);
        wait_for("the node to be founded", || {
            let init = atoll()
                .args(["init", "--at", &at, "--config"])
                .arg(&cluster)
                .output();
            init.unwrap().status.success().then_some(())
        });
        self.read(node, "first-admin-token").trim().to_owned()
    }

    /// Runs a command over TLS, trusting the authority of node `of`.
    pub fn atoll(&self, node: usize, of: usize, token: &str, arguments: &[&str]) -> Said {
        let mut command = atoll();
        command
            .args(["--token", token])
            .args(arguments)
            .args([
                "--gateway",
                &format!("https://127.0.0.1:{}", self.port(node)),
            ])
            .arg("--ca-file")
            .arg(self.secret(of, "authority.pem"));
        command.output().unwrap().into()
    }

    /// A join token, made at a node.
    pub fn join_token(&self, node: usize, token: &str) -> String {
        let made = wait_for("a join token to be made", || {
            let arguments = ["token", "create", "--role", "join", "-q"];
            let said = self.atoll(node, node, token, &arguments);
            (said.status == Some(0)).then_some(said.out)
        });
        made.trim().to_owned()
    }

    /// Waits until each shard is in sync twice, by what a node says.
    pub fn wait_until_whole(&self, node: usize, token: &str) {
        wait_for("two copies of each shard", || {
            let said = self.atoll(node, node, token, &["shards", "--output", "json"]);
            let is_whole = |line: &str| {
                let shard: Json = serde_json::from_str(line).unwrap();
                let mut replicas = shard["replicas"].as_array().unwrap().iter();
                let is_in_sync = |replica: &&Json| replica["in_sync"] == true;
                replicas.by_ref().filter(is_in_sync).count() == 2
            };
            let mut lines = said.out.lines().peekable();
            (lines.peek().is_some() && lines.all(is_whole)).then_some(())
        });
    }

    /// What `/readyz` says at a node that waits for its certificate: plainly, as it has none.
    pub fn waits_with(&self, node: usize, words: &str) -> String {
        wait_for(words, || {
            let (_, body) = plain(self.port(node) + 1, "/readyz")?;
            body.contains(words).then_some(body)
        })
    }
}

fn address(port: u16) -> String {
    format!("\"127.0.0.1:{port}\"")
}

/// Status and body of a `GET` without TLS; none where that is not answered.
pub fn plain(port: u16, path: &str) -> Option<(u16, String)> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    exchange(stream, path)
}

/// The same over TLS, trusting `authority`.
pub fn secured(port: u16, path: &str, authority: &str) -> Option<(u16, String)> {
    let mut config = client_of(authority, None).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    exchange(tls(config, "localhost", port)?, path)
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn tls(config: ClientConfig, name: &str, port: u16) -> Option<Tls> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    Some(StreamOwned::new(connection, stream))
}

fn exchange(mut stream: impl Read + Write, path: &str) -> Option<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // Where the server ends without a word of TLS, what came before counts all the same.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// What a server shows who trusts `authority`.
pub fn shown_at(port: u16, authority: &str) -> Option<CertificateDer<'static>> {
    let mut stream = tls(client_of(authority, None).unwrap(), "localhost", port)?;
    stream.flush().ok()?;
    let shown = stream.conn.peer_certificates()?;
    Some(shown.first()?.clone().into_owned())
}

/// What comes of a connection to a node's peer address under `name`, with that certificate and key (PEM): the
/// error that ends it. A node waits for a word of one that it lets in, and ends after a while without.
pub fn knock(
    port: u16,
    name: &str,
    authority: &str,
    (certificate, key): (&str, &str),
) -> io::Error {
    let mut roots = rustls::RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(authority.unwrap()).unwrap();
    }
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let mut stream = tls(config, name, port + 2).unwrap();
    let mut byte = [0];
    match stream.read_exact(&mut byte) {
        Ok(()) => panic!("a node spoke before it was spoken to"),
        Err(error) => error,
    }
}

/// Whether a file holds what it must.
pub fn is_for_its_owner(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).unwrap().permissions().mode() & 0o077 == 0
}
