//! What every command works with: the surroundings, the store, the network.

use std::cell::{Cell, OnceCell};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use layerfs::{IdMode, SnapshotMode, Store, StoreOptions};
use oci::Digest;
use runtime::userns::{self, Entered, Ids, Isolation, Mode};

use crate::error::{Doing, Failure};
use crate::machine::{Machine, is_in_first_user_namespace};
use crate::members::Members;
use crate::terminal::DetachKeys;
use crate::ui::transfer::Shown;

/// The program while it carries out one command. Nothing is opened before it is needed.
pub(crate) struct App {
    /// The surroundings.
    pub(crate) machine: Machine,
    root: PathBuf,
    isolation: Isolation,
    namespace: OnceCell<Entered>,
    /// Whoever started us entered a namespace with one id before.
    inherits_one_id: Cell<bool>,
    store: OnceCell<Store>,
    network: OnceCell<tokio::runtime::Runtime>,
}

impl App {
    /// The program with a store at `root`, an absolute path.
    pub(crate) fn new(machine: Machine, root: PathBuf, isolation: Isolation) -> App {
        App {
            machine,
            root,
            isolation,
            namespace: OnceCell::new(),
            inherits_one_id: Cell::new(false),
            store: OnceCell::new(),
            network: OnceCell::new(),
        }
    }

    /// An ordinary user handles files of many owners as root of a user namespace. Must come
    /// before any thread.
    pub(crate) fn become_root_of_a_namespace(&self) -> Result<(), Failure> {
        let members = match userns::is_needed(self.isolation) {
            // The store says itself what is wrong with its place.
            true => Members::lock(&self.root)
                .inspect_err(|error| tracing::warn!(%error, "the namespace is not shared"))
                .ok(),
            false => None,
        };
        let others = members.as_ref().map(Members::processes).unwrap_or_default();
        let entered = userns::enter(Mode::Auto, self.isolation, &others).map_err(|error| {
            let hint = match error {
                userns::Error::NoSysAdmin(_) => {
                    "give the container the capability SYS_CHROOT or SYS_ADMIN, or a seccomp \
                     profile that allows user namespaces"
                }
                _ => {
                    "an ordinary user needs user namespaces: see `sysctl \
                     user.max_user_namespaces` and `kernel.apparmor_restrict_unprivileged_userns`, \
                     and in a container its seccomp profile"
                }
            };
            Failure::from(error).hint(hint)
        })?;
        if let Some(Err(error)) = members.map(Members::add_self) {
            tracing::warn!(%error, "the namespace is not shared");
        }
        let _ = self.namespace.set(entered);
        Ok(())
    }

    /// Says on standard error what is not as elsewhere, and why: that one id stands for all
    /// owners, that commands are confined by chroot alone.
    pub(crate) fn tell_of_limits(&self) {
        let Some(Entered { ids, chroot }) = self.namespace.get() else { return };
        if let Ids::Single { reason } = ids {
            anstream::eprintln!(
                "note: one id stands for all owners of files, which are noted beside them: {reason}"
            );
        }
        if let Some(reason) = chroot {
            anstream::eprintln!(
                "note: commands run in the chroot mode, on copied snapshots, and share network and \
                 processes with this program: {reason}"
            );
        } else if self.snapshots() == SnapshotMode::Copy {
            anstream::eprintln!(
                "note: snapshots are copied, since the store at {} is on an overlay; one on another \
                 file system, such as a volume, is faster (--root)",
                self.root.display()
            );
        }
    }

    /// Where the store is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// How `--isolation` says how containers are kept apart.
    pub(crate) fn isolation_word(&self) -> &'static str {
        match self.isolation {
            Isolation::Auto => "auto",
            Isolation::Namespaces => "namespaces",
            Isolation::Chroot => "chroot",
        }
    }

    /// The keys that leave a container: those that were chosen, or those of docker's configuration,
    /// where somebody may have noted others for all times. What is no keys there is passed over.
    pub(crate) fn detach_keys(&self, chosen: Option<&DetachKeys>) -> DetachKeys {
        let noted = || {
            let text = std::fs::read(self.machine.docker_config()).ok()?;
            let config: serde_json::Value = serde_json::from_slice(&text).ok()?;
            config["detachKeys"].as_str()?.parse().ok()
        };
        chosen.cloned().or_else(noted).unwrap_or_default()
    }

    /// Whether containers have chroot(2) alone.
    pub(crate) fn is_chroot_only(&self) -> bool {
        self.namespace.get().is_some_and(|entered| entered.chroot.is_some())
    }

    /// How trees of layers are made.
    fn snapshots(&self) -> SnapshotMode {
        // An overlay cannot be written to by way of another.
        match self.is_chroot_only() || is_on_overlay(&self.root) {
            true => SnapshotMode::Copy,
            false => SnapshotMode::Overlay,
        }
    }

    /// Whether one id stands for all owners of files, and changes of owner are pretended.
    pub(crate) fn has_one_id(&self) -> bool {
        self.inherits_one_id.get()
            || self.namespace.get().is_some_and(|entered| matches!(entered.ids, Ids::Single { .. }))
    }

    /// This process stays longer than the one that entered the namespace.
    pub(crate) fn stay_in_namespace(&self) {
        let stays = || Members::lock(&self.root)?.add_self();
        if !is_in_first_user_namespace()
            && let Err(error) = stays()
        {
            tracing::warn!(%error, "the namespace is not shared");
        }
    }

    /// We were started in a namespace with one id. Must come before the store is opened.
    pub(crate) fn inherit_one_id(&self) {
        self.inherits_one_id.set(true);
    }

    /// Which owners files can have.
    pub(crate) fn ids(&self) -> IdMode {
        if self.has_one_id() { IdMode::Single } else { IdMode::Full }
    }

    /// The store.
    pub(crate) fn store(&self) -> Result<&Store, Failure> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let options = StoreOptions {
            boot: StoreOptions::boot_id()?,
            ids: self.ids(),
            snapshots: self.snapshots(),
            threads: self.threads(),
        };
        let store = Store::open(&self.root, options)
            .doing(|| format!("cannot open the store at {}", self.root.display()))?;
        Ok(self.store.get_or_init(|| store))
    }

    /// Where the store keeps its blobs.
    pub(crate) fn blobs_dir(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// A name for the store that tells nothing of it, and that only this machine gives it.
    pub(crate) fn store_name(&self) -> Result<String, Failure> {
        let boot = StoreOptions::boot_id()?;
        let digest = Digest::sha256(format!("{boot} {}", self.root.display()).as_bytes());
        Ok(digest.hex()[..32].to_owned())
    }

    /// Where transfers under way are remembered: in the store, where a command works in one.
    pub(crate) fn transfers_dir(&self) -> Option<PathBuf> {
        self.store.get()?.cache_dir("transfers").ok()
    }

    /// How many threads work on layers.
    pub(crate) fn threads(&self) -> NonZeroUsize {
        std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
    }

    /// What drives connections.
    pub(crate) fn network(&self) -> Result<&tokio::runtime::Runtime, Failure> {
        if let Some(network) = self.network.get() {
            return Ok(network);
        }
        let network = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.threads().get().min(4))
            .enable_all()
            .build()?;
        Ok(self.network.get_or_init(|| network))
    }

    /// How transfers are shown, unless the user wants quiet.
    pub(crate) fn transfers(&self, quiet: bool) -> Shown {
        match () {
            () if quiet => Shown::Nothing,
            () if self.machine.watches_stderr() => Shown::Bars,
            () => Shown::Lines,
        }
    }
}

/// `OVERLAYFS_SUPER_MAGIC` of `linux/magic.h`.
const OVERLAY: i64 = 0x794c_7630;

/// Whether a path is on an overlay, or would be if it was made.
fn is_on_overlay(path: &Path) -> bool {
    let there = path.ancestors().find_map(|path| rustix::fs::statfs(path).ok());
    // The type's width differs between architectures.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    there.is_some_and(|found| found.f_type as i64 == OVERLAY)
}
