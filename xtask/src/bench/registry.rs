//! Registries that belong to this run alone.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::arena::remove;
use super::http::Connection;
use crate::step::Result;

/// How long a registry may take to answer for the first time.
const START: Duration = Duration::from_secs(20);

/// Which program serves.
#[derive(Clone, Copy)]
pub(crate) enum Server<'a> {
    /// Distribution's own.
    DockerRegistry,
    /// Tierce's, the program at a path.
    Tierce(&'a Path),
}

/// A registry on a port of its own, with its data in a folder of its own; it ends with this.
pub(crate) struct Registry {
    /// Tierce, if it is not Distribution's.
    binary: Option<PathBuf>,
    address: String,
    data: PathBuf,
    child: Child,
}

/// An image as a registry has it.
pub(crate) struct Served {
    /// The layers' digests and sizes.
    pub(crate) layers: Vec<(String, u64)>,
    /// The configuration's digest.
    pub(crate) config: String,
}

impl Registry {
    /// Starts a server on a folder.
    pub(crate) fn start(server: Server, data: &Path) -> Result<Self> {
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        std::fs::create_dir_all(data)
            .map_err(|e| format!("cannot create {}: {e}", data.display()))?;
        let child = launch(server, data, &address)?;
        let binary = match server {
            Server::DockerRegistry => None,
            Server::Tierce(binary) => Some(binary.to_owned()),
        };
        let mut registry = Registry { binary, address, data: data.to_owned(), child };
        registry.wait()?;
        Ok(registry)
    }

    fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            let answer = Connection::open(&self.address).and_then(|mut c| c.body("/v2/", |_| {}));
            match answer {
                Ok(_) => return Ok(()),
                Err(e) if start.elapsed() > START => {
                    return Err(format!("the registry does not answer: {e}"));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Where it listens, as host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A name in it.
    pub(crate) fn name(&self, repository: &str) -> String {
        format!("{}/{repository}:1", self.address)
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has under a name.
    pub(crate) fn image(&self, repository: &str) -> Result<Served> {
        let path = format!("/v2/{repository}/manifests/1");
        let bytes = Connection::open(&self.address)?.document(&path)?;
        let manifest: Value =
            serde_json::from_slice(&bytes).map_err(|e| format!("cannot understand {path}: {e}"))?;
        served(&manifest).ok_or_else(|| format!("{path} is no image's manifest: {manifest}"))
    }

    /// Stops, forgets everything and starts again at the same address.
    pub(crate) fn empty(&mut self) -> Result<()> {
        self.stop();
        remove(&self.data)?;
        std::fs::create_dir_all(&self.data)
            .map_err(|e| format!("cannot create {}: {e}", self.data.display()))?;
        let server = self.binary.as_deref().map_or(Server::DockerRegistry, Server::Tierce);
        self.child = launch(server, &self.data, &self.address)?;
        self.wait()
    }

    fn stop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn served(manifest: &Value) -> Option<Served> {
    let layer = |l: &Value| Some((l["digest"].as_str()?.to_owned(), l["size"].as_u64()?));
    Some(Served {
        layers: manifest["layers"].as_array()?.iter().map(layer).collect::<Option<_>>()?,
        config: manifest["config"]["digest"].as_str()?.to_owned(),
    })
}

fn launch(server: Server, data: &Path, address: &str) -> Result<Child> {
    let mut command = match server {
        Server::DockerRegistry => {
            let config = data.with_extension("yml");
            std::fs::write(&config, configuration(data, address))
                .map_err(|e| format!("cannot write {}: {e}", config.display()))?;
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(config);
            command
        }
        Server::Tierce(binary) => {
            let mut command = Command::new(binary);
            command.args(["registry", "serve", "--listen", address, "--storage"]).arg(data);
            command
        }
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("cannot start a registry: {e}"))
}

/// As a registry is set up that serves: descriptors in memory, nothing written for each request.
fn configuration(data: &Path, address: &str) -> String {
    format!(
        "version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: '{}'}}
  cache: {{blobdescriptor: inmemory}}
http:
  addr: '{address}'
",
        data.display()
    )
}

fn free_port() -> Result<u16> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| format!("cannot find a free port: {e}"))
}
