//! Registries to talk to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::{Peer, Scratch, Tierce};

/// `tierce registry serve` on a free port of loopback, ended with the test.
pub struct EmbeddedRegistry {
    child: Child,
    /// Host and port.
    pub address: String,
}

impl EmbeddedRegistry {
    /// Starts one that keeps everything in memory.
    pub fn in_memory(tierce: &Tierce) -> EmbeddedRegistry {
        EmbeddedRegistry::start(tierce, &[])
    }

    /// Starts one with further arguments.
    pub fn start(tierce: &Tierce, args: &[&str]) -> EmbeddedRegistry {
        let mut child = tierce
            .command(["registry", "serve", "--listen", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the registry starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a standard output");
        BufReader::new(stdout).read_line(&mut line).expect("a first line");
        let address = line.trim().strip_prefix("listening on http://").expect("its address");
        EmbeddedRegistry { address: address.to_owned(), child }
    }

    /// The process, to be ended by other means.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for EmbeddedRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian's `docker-registry`, ended with the test.
pub struct DockerRegistry {
    child: Child,
    /// Host and port.
    pub address: String,
    _data: Scratch,
}

impl DockerRegistry {
    /// Starts one on a free port of loopback.
    pub fn start() -> DockerRegistry {
        let data = Scratch::new();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let address = format!("127.0.0.1:{}", port.port());
        let config = data.join("config.yml");
        let mut file = std::fs::File::create(&config).expect("a config");
        write!(
            file,
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}, \
             delete: {{enabled: true}}}}\nhttp: {{addr: {address}}}\n",
            data.join("data").display()
        )
        .expect("a config");
        let child = Peer::command("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry starts");
        let registry = DockerRegistry { child, address, _data: data };
        registry.wait_until_it_listens();
        registry
    }

    fn wait_until_it_listens(&self) {
        let started = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
