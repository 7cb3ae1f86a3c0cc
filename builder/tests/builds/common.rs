//! A store with a base image, and builds in it.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use builder::syntax::Source;
use builder::{
    BaseImage, BaseImages, BuildError, BuildRequest, Builder, Built, Cancel, ContextDirectory,
    Event, Grants, NetworkMode, NoRemotes, Progress, RunSettings, Sandbox,
};
use indexmap::IndexMap;
use layerfs::{FileKind, IdMode, Root, SnapshotMode, Store, StoreOptions};
use oci::{Descriptor, MediaType, Platform};

/// A store of its own.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) dir: testutil::Scratch,
}

/// What a build said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) started: Vec<String>,
    pub(crate) cached: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) log: String,
}

#[derive(Default)]
pub(crate) struct Listener(pub(crate) Mutex<Said>);

impl Progress for Listener {
    fn event(&self, event: Event<'_>) {
        let mut said = self.0.lock().unwrap();
        match event {
            Event::Started { name, .. } => said.started.push(name.to_owned()),
            Event::Cached { name, .. } => said.cached.push(name.to_owned()),
            Event::Warning { message, .. } => said.warnings.push(message.to_owned()),
            Event::Log { bytes, .. } => said.log.push_str(&String::from_utf8_lossy(bytes)),
            _ => {}
        }
    }
}

/// The images of the store.
pub(crate) struct Local<'a>(pub(crate) &'a Store);

impl BaseImages for Local<'_> {
    fn resolve(&self, name: &str, _: &Platform, _: bool) -> oci::Result<BaseImage> {
        let not_found = |_| oci::Error::ImageNotFound { name: name.to_owned() };
        let record = self.0.resolve(name).map_err(not_found)?;
        let layers = self.0.image_layers(&record.id).map_err(not_found)?;
        Ok(BaseImage {
            name: name.to_owned(),
            digest: None,
            config: self.0.config(&record.id).map_err(not_found)?,
            layers: layers.into_iter().map(|(_, blob)| blob).collect(),
            blobs: Arc::new(oci::blob::MemoryBlobs::default()),
        })
    }
}

pub(crate) fn platform() -> Platform {
    "linux/amd64".parse().unwrap()
}

pub(crate) fn request(dockerfile: &str, context: Option<&Path>) -> BuildRequest {
    BuildRequest {
        dockerfile: Source::new("Dockerfile", dockerfile),
        context: context.map(|path| ContextDirectory::local(path, "")),
        contexts: builder::NamedContexts::default(),
        build_args: IndexMap::new(),
        target: None,
        platform: None,
        build_platform: platform(),
        no_cache: false,
        no_cache_stages: Vec::new(),
        caches: Vec::new(),
        pull: false,
        labels: IndexMap::new(),
        names: Vec::new(),
        sandbox: Sandbox {
            chroot: false,
            volumes: Vec::new(),
            settings: RunSettings::default(),
            limits: runtime::Limits::default(),
            network: NetworkMode::None,
            hostname: "buildkitsandbox".into(),
            resolv_conf: b"nameserver 192.0.2.1\n".to_vec(),
            hosts: b"127.0.0.1\tlocalhost\n".to_vec(),
        },
        grants: Grants::default(),
        with_provenance: false,
        changes: builder::ImageChanges::default(),
        now: "2026-01-02T03:04:05Z".into(),
        parallelism: NonZeroUsize::new(4).unwrap(),
    }
}

impl World {
    /// An empty store.
    pub(crate) fn empty() -> World {
        assert!(rustix::process::geteuid().is_root(), "the tests of builds must run as root");
        let dir = testutil::Scratch::new();
        let store = open(&dir.path().join("store"));
        World { store, dir }
    }

    /// A store with the image `busybox`.
    pub(crate) fn new() -> World {
        let world = World::empty();
        let context = world.dir.path().join("busybox");
        std::fs::create_dir(&context).unwrap();
        let program = Path::new("/bin/busybox");
        assert!(program.is_file(), "/bin/busybox is missing: apt-get install busybox-static");
        std::fs::copy(program, context.join("busybox")).unwrap();
        let dockerfile = include_str!("../../../testdata/busybox/Dockerfile");
        let mut request = request(dockerfile, Some(&context));
        request.names = vec!["busybox".parse().unwrap()];
        world.build(&request).unwrap_or_else(|error| panic!("{}", describe(&error)));
        world
    }

    pub(crate) fn build(&self, request: &BuildRequest) -> Result<Built, BuildError> {
        self.build_and_listen(request).0
    }

    pub(crate) fn build_and_listen(
        &self,
        request: &BuildRequest,
    ) -> (Result<Built, BuildError>, Said) {
        let listener = Listener::default();
        let lease = self.store.lease().unwrap();
        let cancel = Cancel::new().unwrap();
        let builder = Builder {
            store: &self.store,
            lease: &lease,
            images: &Local(&self.store),
            remotes: &NoRemotes,
            progress: &listener,
            cancel: &cancel,
            ids: IdMode::Full,
        };
        let result = builder.build(request);
        (result, listener.0.into_inner().unwrap())
    }

    /// Everything in an image's tree, a line each, but for busybox's own directories.
    pub(crate) fn tree(&self, built: &Built) -> Vec<String> {
        let lease = self.store.lease().unwrap();
        let view = self.store.view(&lease, &built.config.rootfs.diff_ids).unwrap();
        let mut lines = Vec::new();
        list(&view.root, Path::new(""), &mut lines);
        lines
    }

    /// What is known of a file of an image.
    pub(crate) fn stat(&self, built: &Built, path: &str) -> layerfs::Metadata {
        let lease = self.store.lease().unwrap();
        let view = self.store.view(&lease, &built.config.rootfs.diff_ids).unwrap();
        view.root.stat(path).unwrap().unwrap()
    }

    /// The content of a file of an image.
    pub(crate) fn read(&self, built: &Built, path: &str) -> String {
        let lease = self.store.lease().unwrap();
        let view = self.store.view(&lease, &built.config.rootfs.diff_ids).unwrap();
        let mut content = String::new();
        let mut file = view.root.open_file(path).unwrap();
        std::io::Read::read_to_string(&mut file, &mut content).unwrap();
        content
    }
}

pub(crate) fn open(root: &Path) -> Store {
    static BOOT: OnceLock<String> = OnceLock::new();
    let boot = BOOT.get_or_init(|| StoreOptions::boot_id().unwrap()).clone();
    let threads = NonZeroUsize::new(2).unwrap();
    let snapshots = SnapshotMode::Overlay;
    Store::open(root, StoreOptions { boot, ids: IdMode::Full, snapshots, threads }).unwrap()
}

/// An error with its causes, and what the failed process said.
pub(crate) fn describe(error: &BuildError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    if let BuildError::Step(step) = error {
        text.push_str(&String::from_utf8_lossy(&step.log_tail));
    }
    text
}

/// What belongs to the base image and is of no interest.
const BASE: [&str; 8] = ["bin", "sbin", "usr", "etc/passwd", "etc/group", "root", "tmp", "linuxrc"];

fn list(root: &Root, dir: &Path, lines: &mut Vec<String>) {
    for (name, kind) in root.read_dir(dir).unwrap() {
        let path = dir.join(name);
        if BASE.iter().any(|base| Path::new(base) == path) {
            continue;
        }
        let stat = root.stat(&path).unwrap().unwrap();
        let letter = match kind {
            FileKind::File => '-',
            FileKind::Dir => 'd',
            FileKind::Symlink => 'l',
            FileKind::CharDevice => 'c',
            FileKind::BlockDevice => 'b',
            FileKind::Fifo => 'p',
            FileKind::Socket => 's',
        };
        let mode = if kind == FileKind::Symlink { 0o777 } else { stat.mode };
        let mut line = format!("{letter}{mode:04o} {}:{} /{}", stat.uid, stat.gid, path.display());
        match kind {
            FileKind::Symlink => {
                line.push_str(&format!(" -> {}", root.read_link(&path).unwrap().display()));
            }
            FileKind::File => line.push_str(&format!(" {}", stat.size)),
            _ => {}
        }
        lines.push(line);
        if kind == FileKind::Dir {
            list(root, &path, lines);
        }
    }
}

/// A blob that nobody can read: whoever tries to fetch it fails.
pub(crate) fn unreachable_blob(content: &[u8]) -> Descriptor {
    Descriptor::new(MediaType::OCI_LAYER, oci::Digest::sha256(content), content.len() as u64)
}
