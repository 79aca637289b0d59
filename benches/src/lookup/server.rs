//! The servers, and this program started again as one of them.
//!
//! A server says `ready ADDRESS` on its standard output, then its CPU time in nanoseconds for each
//! line that it is sent. It ends when its standard input does, so none outlives the run.

use super::raw::{LOOKUP, Raw};
use crate::machine::{process_cpu, stay_on};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use node::{
    components::{self, Components},
    demo::members::Plan,
    server::{Running, single, start, start_single},
};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{runtime::Runtime, time::sleep};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};

/// What the node's own server allows a stream and a connection to send unread.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const READY_POLL: Duration = Duration::from_millis(10);

/// A server in a process of its own.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Process {
    /// A node that is a whole cluster, with its data in `data_dir`.
    pub fn node(data_dir: &Path) -> anyhow::Result<Self> {
        Self::start("serve-node", data_dir, &[])
    }

    /// The same on one core, so that who calls it has others for itself.
    pub fn node_on(core: usize, data_dir: &Path) -> anyhow::Result<Self> {
        Self::start("serve-node", data_dir, &[format!("--core={core}")])
    }

    /// One member of a region, whose members lie in `data_dir` and listen from `port` on.
    pub fn member(data_dir: &Path, port: u16, nodes: u16, name: &str) -> anyhow::Result<Self> {
        let rest = [port.to_string(), nodes.to_string(), name.to_owned()];
        Self::start("serve-member", data_dir, &rest)
    }

    /// A server that answers every lookup with the bytes of the file `answer`.
    pub fn null(answer: &Path) -> anyhow::Result<Self> {
        Self::start("serve-null", answer, &[])
    }

    fn start(server: &str, path: &Path, rest: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(server)
            .arg(path)
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {server}"))?;
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("ready ") else {
            bail!("{server} did not start");
        };
        let address = address.parse().context("read the server's address")?;
        Ok(Self {
            child,
            input,
            output,
            address,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU time that it has used.
    pub fn cpu(&mut self) -> anyhow::Result<Duration> {
        let input = self
            .input
            .as_mut()
            .expect("it is open until the process is dropped");
        input.write_all(b"cpu\n")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(Duration::from_nanos(
            line.trim().parse().context("the server ended")?,
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        // There is nobody left to tell.
        let _ = self.child.wait();
    }
}

/// Runs a node until standard input ends.
pub fn node(data_dir: &Path, core: Option<usize>) -> anyhow::Result<()> {
    core.map_or(Ok(()), stay_on)?;
    let runtime = runtime()?;
    let (mut settings, founding) = single::settings(data_dir, 1);
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    settings.listen.grpc = any_port;
    settings.listen.http = any_port;
    settings.listen.peer = any_port;
    let running = runtime.block_on(start_single(
        settings,
        founding,
        Components::of_this_machine(),
    ))?;
    serve(&runtime, running)
}

/// Runs a member of a region until standard input ends. The first one founds it.
pub fn member(data_dir: &Path, port: u16, nodes: u16, name: &str) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let plan = Plan::new(data_dir, port, nodes);
    let (settings, components) = (plan.settings(name), Components::of_this_machine());
    let running = match plan.founding(name) {
        Some(founding) => runtime.block_on(start_single(settings, founding, components)),
        None => runtime.block_on(start(settings, components)),
    }?;
    serve(&runtime, running)
}

fn serve(runtime: &Runtime, running: Running) -> anyhow::Result<()> {
    runtime.block_on(async {
        while running.not_ready().is_some() {
            sleep(READY_POLL).await;
        }
    });
    answer_until_the_end(running.grpc)?;
    runtime.block_on(running.stop());
    Ok(())
}

/// Runs the null server until standard input ends.
pub fn null(answer: &Path) -> anyhow::Result<()> {
    let answer = Null(Bytes::from(std::fs::read(answer)?));
    let runtime = runtime()?;
    let entered = runtime.enter();
    let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let incoming = incoming.with_nodelay(Some(true));
    let address = incoming.local_addr()?;
    let serving = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(answer)
        .serve_with_incoming(incoming);
    runtime.spawn(serving);
    drop(entered);
    answer_until_the_end(address)
}

fn runtime() -> anyhow::Result<Runtime> {
    components::runtime().build().context("start a runtime")
}

fn answer_until_the_end(address: SocketAddr) -> anyhow::Result<()> {
    println!("ready {address}");
    for line in std::io::stdin().lines() {
        line?;
        println!("{}", process_cpu().as_nanos());
    }
    Ok(())
}

/// Answers each lookup with the same bytes.
#[derive(Debug, Clone)]
struct Null(Bytes);

impl NamedService for Null {
    const NAME: &'static str = "atoll.v1.FeatureService";
}

impl UnaryService<Bytes> for Null {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(self.0.clone())))
    }
}

impl Service<http::Request<Body>> for Null {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let null = self.clone();
        Box::pin(async move {
            debug_assert_eq!(request.uri().path(), LOOKUP);
            Ok(Grpc::new(Raw).unary(null, request).await)
        })
    }
}
