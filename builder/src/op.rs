//! The kinds of steps, as data. One file per kind says what it depends on and how it runs.

pub(crate) mod copy;
pub(crate) mod remote;
pub(crate) mod run;
pub(crate) mod workdir;

use oci::{DiffId, Digest};

use crate::dockerignore::Ignore;
use crate::environment::Environment;
use crate::instruction::{Chmod, Ownership, Sharing};
use crate::remote::GitSource;
use crate::request::{NetworkMode, RunSettings};
use crate::syntax::Span;

/// What a step does.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Nothing: its result is given.
    Base(Base),
    /// Runs a process.
    Run(Box<Run>),
    /// Fetches files from elsewhere.
    Remote(Remote),
    /// Copies files.
    Copy(Copy),
    /// Makes a directory.
    Workdir(Workdir),
    /// Puts the layers of the second input on the first: what is done is done already.
    Stack,
}

impl Op {
    /// Whether the step's key takes a look at files.
    pub(crate) fn reads_files(&self) -> bool {
        match self {
            Op::Base(_) | Op::Workdir(_) | Op::Stack => false,
            // A fetch waits for others, as reading does.
            Op::Copy(_) | Op::Remote(_) => true,
            Op::Run(run) => {
                run.mounts.iter().any(|mount| matches!(mount.content, MountContent::Tree(_)))
            }
        }
    }
}

/// The layers that a stage starts from: an image's, or none.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// Lowest first.
    pub(crate) layers: Vec<DiffId>,
}

/// `RUN`.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The program and its arguments.
    pub(crate) args: Vec<String>,
    /// The variables it sees and depends on.
    pub(crate) env: Environment,
    /// Variables that it sees too, without depending on them: proxies differ from place to place.
    pub(crate) proxies: Environment,
    /// The working directory.
    pub(crate) cwd: String,
    /// Who runs it, as `USER` says; empty is root.
    pub(crate) user: String,
    /// Its network.
    pub(crate) network: NetworkMode,
    /// The name of its machine.
    pub(crate) hostname: String,
    /// What it sees of the machine by the user's choice.
    pub(crate) settings: RunSettings,
    /// A here-document that is the program itself.
    pub(crate) script: Option<Script>,
    /// `--mount`, in order.
    pub(crate) mounts: Vec<Mount>,
    /// Secrets, ssh agents and devices.
    pub(crate) wanted: run::Wanted,
    /// Whether it has all the privileges that the build has.
    pub(crate) insecure: bool,
    /// The times of what it makes.
    pub(crate) times: Times,
}

/// Something that a RUN sees and that is no part of its result.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    /// Where: absolute and clean, and not the root.
    pub(crate) target: String,
    /// Whether writing fails.
    pub(crate) read_only: bool,
    /// What.
    pub(crate) content: MountContent,
}

/// What a mount holds.
#[derive(Debug, Clone)]
pub(crate) enum MountContent {
    /// Files, to which changes are lost.
    Tree(TreePart),
    /// A directory that outlives the build.
    Cache(Cache),
    /// A file or directory of the machine.
    Host(std::path::PathBuf),
    /// Nothing, in memory.
    Tmpfs {
        /// Its largest size in bytes.
        size: Option<u64>,
    },
}

/// A file or directory of another tree.
#[derive(Debug, Clone)]
pub(crate) struct TreePart {
    /// Which of the vertex's inputs.
    pub(crate) input: usize,
    /// The path in it: absolute and clean.
    pub(crate) path: String,
}

/// A directory that outlives builds.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    /// What it is known by.
    pub(crate) id: String,
    /// Who may use it at a time.
    pub(crate) sharing: Sharing,
    /// What a new one starts with; none is nothing.
    pub(crate) seed: Option<TreePart>,
    /// Mode and owner of a new one, where they are not those of the seed.
    pub(crate) ownership: Ownership,
}

/// A file that a RUN executes: the content of its lone here-document that begins with `#!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// The file's name, the here-document's word.
    pub(crate) name: String,
    /// Its content.
    pub(crate) content: String,
}

/// `COPY` or `ADD`.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    /// What is copied, in order.
    pub(crate) sources: Vec<CopySource>,
    /// Where to: absolute, a slash at the end if it was written as a directory.
    pub(crate) destination: String,
    /// `--exclude`.
    pub(crate) excludes: Excludes,
    /// `--chown`, expanded.
    pub(crate) owner: Option<String>,
    /// `--chmod`.
    pub(crate) chmod: Option<Chmod>,
    /// How many leading parts the names in archives lose that are unpacked.
    pub(crate) strip: u32,
    /// The times of what it makes.
    pub(crate) times: Times,
}

impl Copy {
    /// Whether any source that is an archive is unpacked.
    pub(crate) fn unpacks(&self) -> bool {
        self.sources.iter().any(|source| matches!(source, CopySource::Path { unpack: true, .. }))
    }
}

/// Something that `ADD` fetches. Its result is a tree of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Remote {
    /// A file.
    File(RemoteUrl),
    /// Files of a git repository.
    Git(GitSource),
}

/// A file behind a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RemoteUrl {
    /// The URL.
    pub(crate) url: String,
    /// What the file is called in the tree.
    pub(crate) name: String,
    /// The digest that its bytes must have.
    pub(crate) checksum: Option<Digest>,
}

/// What a copy leaves out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Excludes {
    /// As written.
    pub(crate) texts: Vec<String>,
    /// The same, to match with.
    pub(crate) patterns: Ignore,
}

/// Something to copy.
#[derive(Debug, Clone)]
pub(crate) enum CopySource {
    /// What a path or pattern names in a tree.
    Path {
        /// The tree.
        tree: SourceTree,
        /// What of it.
        take: Take,
        /// The path or pattern, expanded, absolute and clean.
        pattern: String,
        /// Whether archives are unpacked.
        unpack: bool,
        /// As it was written, for errors.
        written: String,
        /// Where that stands.
        span: Span,
    },
    /// A file given in the Dockerfile.
    Inline {
        /// Its name.
        name: String,
        /// Its content.
        content: String,
    },
}

/// What a source means.
#[derive(Debug, Clone)]
pub(crate) enum Take {
    /// What matches a pattern; of directories, what they hold.
    Matches,
    /// What is at the path, whatever characters it has; a directory with its own mode and owner.
    Itself,
    /// Of directories that match, what these name, with the directories on the way to it.
    Below(Includes),
}

/// What `--parents` takes out of a directory.
#[derive(Debug, Clone)]
pub(crate) struct Includes {
    /// The path or pattern, seen from the directory; empty for everything in it.
    pub(crate) text: String,
    /// The same, to match with: everything else is left out.
    pub(crate) patterns: Ignore,
}

/// Where a COPY reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceTree {
    /// A directory of the machine.
    Context(ContextId),
    /// The vertex's input of this number.
    Input(usize),
}

/// A context whose files are read where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ContextId {
    /// The build context.
    Main,
    /// The named context of this number.
    Named(usize),
}

/// `WORKDIR`.
#[derive(Debug, Clone)]
pub(crate) struct Workdir {
    /// The directory: absolute.
    pub(crate) path: String,
    /// Who owns it if it is made, as `USER` says; empty is root.
    pub(crate) user: String,
    /// What the instruction says of the directory, whether it is made or was there.
    pub(crate) wish: DirectoryWish,
    /// The times of what it makes.
    pub(crate) times: Times,
}

/// Owner and mode that a directory is to have.
#[derive(Debug, Clone, Default)]
pub(crate) struct DirectoryWish {
    /// `--chown`, expanded.
    pub(crate) owner: Option<String>,
    /// `--chmod`.
    pub(crate) chmod: Option<Chmod>,
}

/// The times that a step gives to what it makes. They never come from the clock: the same
/// sources make the same layer, whenever it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// The modification time, in seconds since 1970, of directories that a step makes without a
    /// source to take it from, and of here-documents: `SOURCE_DATE_EPOCH` where it is given, else
    /// when the stage's base image was made, else the epoch itself.
    pub(crate) made: i64,
    /// The latest modification time that a file of the layer has: `SOURCE_DATE_EPOCH`.
    pub(crate) latest: Option<i64>,
}
