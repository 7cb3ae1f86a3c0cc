//! What is built, pulled and run: made when it is first needed, by Tierce itself.

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::arena::Arena;
use super::corpus::{self, Size};
use super::registry::{Registry, Server};
use super::tools::{Task, Tierce, perform};
use crate::step::{Result, output};

/// A shell's words for what a tree holds: each path with its mode, each file with its hash.
const TREE: &str = "{ $B find . -print0 | $B sort -z | $B xargs -0 $B stat -c '%a %n'; \
                    $B find . -type f -print0 | $B sort -z | $B xargs -0 $B sha256sum; } \
                    | $B sha256sum";

/// Names of the images.
const LARGE: &str = "tierce-bench/large";
const CHANGED: &str = "tierce-bench/changed";
const MANY: &str = "tierce-bench/many";

/// Everything that scenarios start from.
pub(crate) struct Fixtures {
    folder: PathBuf,
    busybox: PathBuf,
    workshop: Tierce,
    library: Registry,
    target: RefCell<Registry>,
    made: Made,
}

/// What has been made so far.
#[derive(Default)]
struct Made {
    busybox: OnceCell<String>,
    large: OnceCell<(String, Size)>,
    changed: OnceCell<String>,
    many: OnceCell<String>,
    merged: OnceCell<String>,
}

/// Makes a value once.
fn once<T: Clone>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<T> {
    match cell.get() {
        Some(value) => Ok(value.clone()),
        None => {
            let value = make()?;
            Ok(cell.get_or_init(|| value).clone())
        }
    }
}

impl Fixtures {
    /// The name of the base image in the library.
    pub(crate) const BUSYBOX: &str = "tierce-bench/busybox";

    /// Starts the registries; makes nothing yet.
    pub(crate) fn new(arena: &Arena, binary: &Path, busybox: &Path) -> Result<Self> {
        let serve = |name| Registry::start(Server::DockerRegistry, &arena.folder(name)?);
        Ok(Fixtures {
            folder: arena.folder("fixtures")?,
            busybox: busybox.to_owned(),
            workshop: Tierce::new(binary, arena.join("workshop"))?,
            library: serve("library")?,
            target: RefCell::new(serve("target")?),
            made: Made::default(),
        })
    }

    /// The registry that images are pulled from.
    pub(crate) fn library(&self) -> &Registry {
        &self.library
    }

    /// The registry that images are pushed to.
    pub(crate) fn target(&self) -> &RefCell<Registry> {
        &self.target
    }

    /// A folder for a scenario's own files.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|e| format!("cannot create {}: {e}", path.display()))?;
        Ok(path)
    }

    /// Builds a folder and puts it into the library.
    pub(crate) fn publish(&self, context: &Path, repository: &str) -> Result<String> {
        let image = self.library.name(repository);
        perform(&self.workshop, &Task::Build { context, tag: &image, cache: true })?;
        perform(&self.workshop, &Task::Push { image: &image })?;
        Ok(image)
    }

    /// A busybox with links: a base to build on.
    pub(crate) fn busybox(&self) -> Result<String> {
        once(&self.made.busybox, || {
            let context = self.folder("busybox")?;
            let recipe = crate::cargo::workspace().join("testdata/busybox/Dockerfile");
            for (from, name) in [(recipe.as_path(), "Dockerfile"), (&self.busybox, "busybox")] {
                std::fs::copy(from, context.join(name))
                    .map_err(|e| format!("cannot copy {}: {e}", from.display()))?;
            }
            self.publish(&context, Self::BUSYBOX)
        })
    }

    /// The context of the large image: five folders of real files.
    pub(crate) fn large_context(&self) -> Result<(PathBuf, Size)> {
        let (_, size) = self.large_image()?;
        Ok((self.folder.join("large"), size))
    }

    /// The large image: 5 layers, 54,000 files, 1.3 GB.
    pub(crate) fn large(&self) -> Result<String> {
        Ok(self.large_image()?.0)
    }

    fn large_image(&self) -> Result<(String, Size)> {
        once(&self.made.large, || {
            let context = self.folder("large")?;
            let folders: Vec<PathBuf> = (1..=5).map(|i| context.join(format!("l{i}"))).collect();
            let size = corpus::layers(&folders, 54_000, 1_300_000_000)?;
            self.with_busybox(&context.join("l1"))?;
            let copies: Vec<String> = (1..=5).map(|i| format!("COPY l{i} /\n")).collect();
            let recipe = format!("FROM scratch\n{}CMD [\"sh\"]\n", copies.concat());
            corpus::write(&context.join("Dockerfile"), recipe.as_bytes())?;
            Ok((self.publish(&context, LARGE)?, size))
        })
    }

    /// The large image with one file more in its last layer.
    pub(crate) fn changed(&self) -> Result<String> {
        let (context, _) = self.large_context()?;
        once(&self.made.changed, || {
            let file = context.join("l5/changed");
            corpus::write(&file, b"changed\n")?;
            let image = self.publish(&context, CHANGED);
            std::fs::remove_file(&file)
                .map_err(|e| format!("cannot remove {}: {e}", file.display()))?;
            image
        })
    }

    /// An image of 130,000 small files.
    pub(crate) fn many(&self) -> Result<String> {
        once(&self.made.many, || {
            let context = self.folder("many")?;
            corpus::small_files(&context.join("files"), 130_000, 512)?;
            let recipe = format!("FROM {}\nCOPY files /files\n", self.busybox()?);
            corpus::write(&context.join("Dockerfile"), recipe.as_bytes())?;
            let image = self.publish(&context, MANY)?;
            super::arena::remove(&context)?;
            Ok(image)
        })
    }

    /// Puts the shell that verifies into a tree.
    pub(crate) fn with_busybox(&self, tree: &Path) -> Result<()> {
        let bin = tree.join("bin");
        let failed = |e| format!("cannot put busybox into {}: {e}", bin.display());
        std::fs::create_dir_all(&bin).map_err(failed)?;
        std::fs::copy(&self.busybox, bin.join("busybox")).map_err(failed)?;
        std::os::unix::fs::symlink("busybox", bin.join("sh")).map_err(failed)
    }

    /// What a tree of this machine holds.
    pub(crate) fn tree(&self, folder: &Path) -> Result<String> {
        let script = format!("B={}; cd '{}'; {TREE}", self.busybox.display(), folder.display());
        output(Command::new(&self.busybox).args(["sh", "-ec", &script]).stderr(Stdio::inherit()))
            .map(|said| said.trim().to_owned())
    }

    /// What the folders of the large context hold together below `usr`.
    pub(crate) fn merged(&self, context: &Path) -> Result<String> {
        once(&self.made.merged, || {
            let merged = self.folder("merged")?;
            for i in 1..=5 {
                let from = context.join(format!("l{i}/usr"));
                // Hard links: the same files in one tree. A layer may have none below `usr`.
                if from.is_dir() {
                    crate::step::run(Command::new("cp").arg("-al").arg(from).arg(&merged))?;
                }
            }
            let tree = self.tree(&merged.join("usr"))?;
            super::arena::remove(&merged)?;
            Ok(tree)
        })
    }

    /// The same as a script for inside a container.
    pub(crate) fn tree_script(folder: &str) -> String {
        format!("B=/bin/busybox; cd '{folder}'; {TREE}")
    }

    /// The Tierce that makes all this, with a store of its own.
    pub(crate) fn workshop(&self) -> &Tierce {
        &self.workshop
    }
}
