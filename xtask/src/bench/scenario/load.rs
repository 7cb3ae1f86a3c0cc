//! The embedded registry beside docker-registry under load: large blobs at once, small requests in
//! great number, and the start. Both keep their data in a folder.

mod mixed;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::{Facts, Scenario, Stage};
use crate::bench::arena::remove;
use crate::bench::daemon::Daemons;
use crate::bench::http::Connection;
use crate::bench::limit;
use crate::bench::measure::Cost;
use crate::bench::probe::Probe;
use crate::bench::registry::{Registry, Server};
use crate::bench::results::{OURS, Target};
use crate::bench::tools::Tool;
use crate::step::Result;

/// The scenarios of this family.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    let scenario = |work| -> Box<dyn Scenario> {
        Box::new(Load { work, servers: RefCell::default(), content: RefCell::default() })
    };
    [
        Work::Push,
        Work::Pull,
        Work::Mixed,
        Work::Manifests,
        Work::SmallBlobs,
        Work::SmallPushes,
        Work::Start,
    ]
    .map(scenario)
    .into()
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Push,
    Pull,
    Mixed,
    Manifests,
    SmallBlobs,
    SmallPushes,
    Start,
}

/// Layers of the large image, and the size of each in bytes.
const LAYERS: usize = 8;
const LAYER: usize = 128 << 20;
/// How many ask at once for small things, and how often each.
const CLIENTS: usize = 32;
const REQUESTS: usize = 500;
/// The size of a small blob in bytes.
const SMALL: usize = 1024;
const REPOSITORY: &str = "load/test";

struct Load {
    work: Work,
    servers: RefCell<BTreeMap<&'static str, Registry>>,
    content: RefCell<Content>,
}

/// What is pushed and pulled.
#[derive(Default)]
struct Content {
    /// What all large layers end with.
    rest: Vec<u8>,
    /// What each begins with, and its digest.
    layers: Vec<(Vec<u8>, String)>,
    small: Vec<u8>,
    manifest: Vec<u8>,
}

impl Content {
    fn new(work: Work) -> Content {
        let is_large = matches!(work, Work::Push | Work::Pull);
        let rest = noise(match work {
            Work::Push | Work::Pull => LAYER,
            Work::Mixed => mixed::BLOB,
            _ => SMALL,
        });
        let layers = (0..if is_large { LAYERS } else { 1 })
            .map(|number| {
                let first = format!("layer {number:9}").into_bytes();
                let digest = digest(&[&first, &rest]);
                (first, digest)
            })
            .collect();
        let small = noise(SMALL);
        let config = digest(&[&small]);
        let manifest = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
             \"config\":{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\
             \"size\":{SMALL},\"digest\":\"{config}\"}},\"layers\":[]}}"
        );
        Content { rest, layers, small, manifest: manifest.into_bytes() }
    }
}

/// Bytes that look like a compressed layer, the same in each run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(length);
    bytes
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Load {
    fn folder(&self, tool: &dyn Tool) -> String {
        format!("load-{}", tool.name())
    }

    fn with<T>(&self, tool: &dyn Tool, call: impl FnOnce(&mut Registry) -> Result<T>) -> Result<T> {
        let mut servers = self.servers.borrow_mut();
        let name = tool.name();
        call(servers.get_mut(name).ok_or_else(|| format!("{name} has not been started"))?)
    }

    fn start(&self, stage: &Stage, tool: &dyn Tool) -> Result<Registry> {
        let folder = stage.fixtures.folder(&self.folder(tool))?;
        match tool.name() {
            OURS => Registry::start(Server::Tierce(stage.fixtures.workshop().binary()), &folder),
            _ => Registry::start(Server::DockerRegistry, &folder),
        }
    }

    /// The timed part, by clients that cost next to nothing. What is pushed anew bears the number
    /// of the round.
    fn work(&self, registry: &Registry, round: u32) -> Result<()> {
        let (content, address) = (self.content.borrow(), registry.address());
        let content: &Content = &content;
        match self.work {
            Work::Push => at_once(LAYERS, |number| {
                let (first, digest) = &content.layers[number];
                push(&mut Connection::open(address)?, &[first, &content.rest], digest)
            }),
            Work::Pull => at_once(LAYERS, |number| {
                let (first, digest) = &content.layers[number];
                let came = Connection::open(address)?.body(&blob(digest), |_| ())?;
                let expected = first.len() + content.rest.len();
                if came == expected as u64 { Ok(()) } else { Err(format!("{came} bytes came")) }
            }),
            Work::Mixed => mixed::work(address, content, round),
            Work::Manifests => ask_often(address, &manifest()),
            Work::SmallBlobs => ask_often(address, &blob(&digest(&[&content.small]))),
            Work::SmallPushes => at_once(CLIENTS, |client| {
                let mut connection = Connection::open(address)?;
                for number in 0..REQUESTS / 10 {
                    let first = format!("{round}/{client}/{number}").into_bytes();
                    let parts: [&[u8]; 2] = [&first, &content.small];
                    push(&mut connection, &parts, &digest(&parts))?;
                }
                Ok(())
            }),
            Work::Start => Ok(()),
        }
    }

    /// Fails if Tierce takes more memory under many clients than a small machine has.
    fn require_little_memory(&self, tool: &dyn Tool, cost: &Cost) -> Result<()> {
        if self.work == Work::Mixed && tool.name() == OURS && cost.peak > mixed::MEMORY {
            return Err(format!("the registry took {} bytes of memory", cost.peak));
        }
        Ok(())
    }

    /// Puts what is asked for into a registry.
    fn fill(&self, registry: &Registry) -> Result<()> {
        let content = self.content.borrow();
        let mut connection = Connection::open(registry.address())?;
        if self.work == Work::Pull {
            for (first, digest) in &content.layers {
                push(&mut connection, &[first, &content.rest], digest)?;
            }
        }
        push(&mut connection, &[&content.small], &digest(&[&content.small]))?;
        let kind = "application/vnd.oci.image.manifest.v1+json";
        connection.send("PUT", &manifest(), kind, &[&content.manifest]).map(drop)
    }
}

impl Scenario for Load {
    fn name(&self) -> &'static str {
        match self.work {
            Work::Push => "registry-push",
            Work::Pull => "registry-pull",
            Work::Mixed => "registry-32-mixed",
            Work::Manifests => "registry-manifests",
            Work::SmallBlobs => "registry-blobs",
            Work::SmallPushes => "registry-small-pushes",
            Work::Start => "registry-start",
        }
    }

    fn about(&self) -> &'static str {
        match self.work {
            Work::Push => "push of 1 GiB in eight blobs at once to a registry on a folder",
            Work::Pull => "pull of the same eight blobs at once",
            Work::Mixed => {
                "pushes and pulls of 512 MiB each way by 32 clients at once, a slow one beside them"
            }
            Work::Manifests => "16,000 requests for a manifest, on 32 connections",
            Work::SmallBlobs => "16,000 requests for a blob of 1 KiB, on 32 connections",
            Work::SmallPushes => "1,600 pushes of a blob of 1 KiB, on 32 connections",
            Work::Start => "start of a registry on an empty folder, until it answers",
        }
    }

    fn target(&self) -> Target {
        Target { ratio: Some(1.0), ..Target::default() }
    }

    fn peers(&self) -> &'static [&'static str] {
        &["docker-registry"]
    }

    fn prepare(&self, _stage: &Stage) -> Result<()> {
        *self.content.borrow_mut() = Content::new(self.work);
        Ok(())
    }

    fn enter(&self, stage: &Stage, tool: &dyn Tool) -> Result<()> {
        let registry = self.start(stage, tool)?;
        self.fill(&registry)?;
        let name = if tool.name() == OURS { OURS } else { "docker-registry" };
        self.servers.borrow_mut().insert(name, registry);
        Ok(())
    }

    fn before(&self, stage: &Stage, tool: &dyn Tool, _round: usize) -> Result<()> {
        match self.work {
            Work::Push => self.with(tool, Registry::empty),
            Work::Mixed => self.with(tool, |registry| {
                registry.empty()?;
                self.fill(registry)
            }),
            Work::Start => {
                self.servers.borrow_mut().remove(tool.name());
                remove(&stage.fixtures.folder(&self.folder(tool))?)
            }
            _ => Ok(()),
        }
    }

    fn run(&self, stage: &Stage, tool: &dyn Tool) -> Result<Cost> {
        let start = Instant::now();
        if self.work == Work::Start {
            let registry = self.start(stage, tool)?;
            let wall = start.elapsed().as_secs_f64();
            let none = Default::default();
            let cost = Daemons::process(registry.pid()).since(&none)?;
            let name = if tool.name() == OURS { OURS } else { "docker-registry" };
            self.servers.borrow_mut().insert(name, registry);
            return Ok(cost.added_to(Cost { wall, ..Cost::default() }));
        }
        self.with(tool, |registry| {
            let daemon = Daemons::process(registry.pid());
            let before = daemon.sample()?;
            // Blobs that no round before had.
            let round = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
            let start = Instant::now();
            self.work(registry, round)?;
            let wall = start.elapsed().as_secs_f64();
            // The clients are none of the registry's cost.
            let cost = daemon.since(&before)?.added_to(Cost { wall, ..Cost::default() });
            self.require_little_memory(tool, &cost)?;
            Ok(cost)
        })
    }

    fn verify(&self, _stage: &Stage, tool: &dyn Tool) -> Result<()> {
        if self.work == Work::Start {
            return Ok(());
        }
        let content = self.content.borrow();
        let is_large = matches!(self.work, Work::Push | Work::Pull);
        let layers = content.layers.iter().filter(|_| is_large).map(|(_, digest)| digest.clone());
        let small = (!is_large).then(|| digest(&[&content.small]));
        self.with(tool, |registry| {
            let mut connection = Connection::open(registry.address())?;
            for digest in layers.chain(small) {
                let mut hash = Sha256::new();
                connection.body(&blob(&digest), |bytes| hash.update(bytes))?;
                let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
                if digest != format!("sha256:{hex}") {
                    return Err(format!("what was served as {digest} hashes to {hex}"));
                }
            }
            if self.work == Work::Manifests && connection.document(&manifest())? != content.manifest
            {
                return Err("another manifest came than was put".to_owned());
            }
            Ok(())
        })
    }

    fn facts(&self, stage: &Stage) -> Result<Facts> {
        self.servers.borrow_mut().clear();
        *self.content.borrow_mut() = Content::default();
        for name in [OURS, "docker-registry"] {
            remove(&stage.fixtures.folder(&format!("load-{name}"))?)?;
        }
        let bytes = match self.work {
            Work::Mixed => CLIENTS * mixed::TURNS * mixed::BLOB,
            _ => LAYERS * LAYER,
        };
        Ok(Facts::from([("bytes".to_owned(), bytes as f64)]))
    }

    fn limit(&self, probe: &Probe, facts: &Facts) -> Option<f64> {
        let bytes = *facts.get("bytes")?;
        match self.work {
            Work::Push => Some(limit::receive(probe, bytes)),
            Work::Pull => Some(limit::serve(probe, bytes)),
            Work::Mixed => Some(limit::receive(probe, bytes) + limit::serve(probe, bytes)),
            Work::Start => Some(limit::processes(probe, 1.0)),
            Work::Manifests | Work::SmallBlobs | Work::SmallPushes => None,
        }
    }
}

fn blob(digest: &str) -> String {
    format!("/v2/{REPOSITORY}/blobs/{digest}")
}

fn manifest() -> String {
    format!("/v2/{REPOSITORY}/manifests/tag")
}

/// Does something on several threads, and fails if one does.
fn at_once(count: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let work = &work;
    thread::scope(|scope| {
        let all: Vec<_> = (0..count).map(|number| scope.spawn(move || work(number))).collect();
        all.into_iter()
            .try_for_each(|t| t.join().unwrap_or_else(|_| Err("a client panicked".to_owned())))
    })
}

fn ask_often(address: &str, path: &str) -> Result<()> {
    at_once(CLIENTS, |_| {
        let mut connection = Connection::open(address)?;
        (0..REQUESTS).try_for_each(|_| connection.document(path).map(drop))
    })
}

/// Pushes a blob as docker does: a session, one PATCH, and the PUT that ends it.
fn push(connection: &mut Connection, parts: &[&[u8]], digest: &str) -> Result<()> {
    let kind = "application/octet-stream";
    let begun = format!("/v2/{REPOSITORY}/blobs/uploads/");
    let place = connection.send("POST", &begun, kind, &[])?.ok_or("no place for an upload")?;
    let place = connection.send("PATCH", &place, kind, parts)?.ok_or("no place to go on")?;
    let joint = if place.contains('?') { '&' } else { '?' };
    connection.send("PUT", &format!("{place}{joint}digest={digest}"), kind, &[]).map(drop)
}
