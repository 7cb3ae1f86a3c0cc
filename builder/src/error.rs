//! Why a build ended.

use std::io;
use std::path::PathBuf;

use crate::cdi::DeviceError;
use crate::diagnostic::Diagnostic;
use crate::syntax::Span;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The Dockerfile says something that cannot be built. Nothing was run.
    #[error("{}", summary(.0))]
    Diagnostics(Vec<Diagnostic>),
    /// An image that the Dockerfile names cannot be had. Nothing was run.
    #[error("cannot resolve image {name}")]
    Image {
        /// Where it is named.
        span: Span,
        /// The name as written.
        name: String,
        /// Why.
        #[source]
        source: Box<oci::Error>,
    },
    /// A step failed.
    #[error(transparent)]
    Step(Box<StepError>),
    /// The build was cancelled from outside.
    #[error("the build was cancelled")]
    Cancelled,
    /// The store failed outside of any step.
    #[error("cannot {operation}")]
    Store {
        /// What was to be done.
        operation: &'static str,
        /// Why it was not.
        #[source]
        source: Box<layerfs::Error>,
    },
    /// The machine failed outside of any step.
    #[error("cannot {operation}")]
    Io {
        /// What was to be done.
        operation: &'static str,
        /// Why it was not.
        #[source]
        source: io::Error,
    },
}

impl BuildError {
    /// The exit status of the RUN that failed, if that is why.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            BuildError::Step(step) => match &step.cause {
                StepCause::Exit { code, .. } => Some(*code),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A step that failed. It reads as its cause does.
#[derive(Debug)]
pub struct StepError {
    /// Its instruction.
    pub span: Span,
    /// The instruction's text.
    pub instruction: String,
    /// What the progress display calls it.
    pub name: String,
    /// What went wrong.
    pub cause: StepCause,
    /// The last that its process wrote, both streams as they came.
    pub log_tail: Vec<u8>,
}

impl std::fmt::Display for StepError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for StepError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}

impl StepCause {
    /// Where in the Dockerfile it went wrong, if that is not the whole instruction.
    pub(crate) fn span(&self) -> Option<Span> {
        match self {
            StepCause::NoSecret { span, .. }
            | StepCause::NoAgent { span, .. }
            | StepCause::NoDevice { span, .. }
            | StepCause::DeviceNotAllowed { span, .. }
            | StepCause::Device { span, .. } => Some(*span),
            _ => None,
        }
    }

    /// The store's failure to do what `operation` says.
    pub(crate) fn store(operation: &'static str) -> impl Fn(layerfs::Error) -> StepCause {
        move |source| StepCause::Store { operation, source: Box::new(source) }
    }
}

/// What went wrong in a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepCause {
    /// The process ended badly.
    #[error("process {command:?} did not complete successfully: exit code: {code}")]
    Exit {
        /// The command, its arguments separated by blanks.
        command: String,
        /// Its exit status; 128 plus its number for a signal.
        code: i32,
    },
    /// The process could not be started or waited for.
    #[error("cannot run {command:?}")]
    Run {
        /// The command, its arguments separated by blanks.
        command: String,
        /// Why.
        #[source]
        source: Box<runtime::Error>,
    },
    /// The user of the step is not one of the image's.
    #[error("cannot run as user {user:?}")]
    User {
        /// The user as written.
        user: String,
        /// Why.
        #[source]
        source: runtime::user::UserError,
    },
    /// A secret that the step requires is none of the build's.
    #[error("secret {id:?}: not found")]
    NoSecret {
        /// Its id.
        id: String,
        /// Where it is asked for.
        span: Span,
    },
    /// A device that the step requires is not on the machine.
    #[error("device {name:?}: not found")]
    NoDevice {
        /// Its name.
        name: String,
        /// Where it is asked for.
        span: Span,
    },
    /// A device may not be used.
    #[error("device {name:?} is not allowed")]
    DeviceNotAllowed {
        /// Its name.
        name: String,
        /// Where it is asked for.
        span: Span,
    },
    /// What the machine says of its devices cannot be used.
    #[error("cannot use a device")]
    Device {
        /// Why not.
        #[source]
        source: DeviceError,
        /// Where it is asked for.
        span: Span,
    },
    /// An ssh agent that the step requires is none of the build's.
    #[error("ssh agent {id:?}: not found")]
    NoAgent {
        /// Its id.
        id: String,
        /// Where it is asked for.
        span: Span,
    },
    /// A path that COPY or ADD names is not there.
    #[error("{path:?}: not found{}", advice(suggestion.as_deref(), *ignored))]
    NotFound {
        /// The path.
        path: String,
        /// A name beside it that was perhaps meant.
        suggestion: Option<String>,
        /// Whether the path is there and the ignore file excludes it.
        ignored: bool,
    },
    /// There is no context to copy from.
    #[error("there is no build context to copy {path:?} from")]
    NoContext {
        /// The path.
        path: String,
    },
    /// A pattern that is none.
    #[error("invalid pattern {pattern:?}")]
    Pattern {
        /// The pattern.
        pattern: String,
    },
    /// A directory would replace something else, or be replaced.
    #[error("cannot copy {source_path:?} to {destination:?}: {reason}")]
    Conflict {
        /// What was copied.
        source_path: String,
        /// Where to.
        destination: String,
        /// What is in the way.
        reason: &'static str,
    },
    /// A file of the context could not be read.
    #[error("cannot {operation} {}", path.display())]
    Context {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it was not.
        #[source]
        source: io::Error,
    },
    /// A file could not be copied.
    #[error("cannot {operation} {path:?}")]
    File {
        /// What was being done.
        operation: &'static str,
        /// The file, as a path inside the image.
        path: String,
        /// Why it was not.
        #[source]
        source: Box<layerfs::Error>,
    },
    /// An archive could not be unpacked.
    #[error("cannot unpack {path:?}")]
    Archive {
        /// The archive.
        path: String,
        /// Why not.
        #[source]
        source: Box<oci::Error>,
    },
    /// What ADD names elsewhere could not be fetched.
    #[error("cannot fetch {url}")]
    Fetch {
        /// Where from.
        url: String,
        /// Why not.
        #[source]
        source: Box<oci::Error>,
    },
    /// What was fetched is not what `--checksum` says.
    #[error("{url} has the digest {found}, and {wanted} is wanted")]
    Checksum {
        /// Where it came from.
        url: String,
        /// What came.
        found: String,
        /// What was to come.
        wanted: String,
    },
    /// The layers that the step needs could not be fetched or put together.
    #[error("cannot {operation}")]
    Store {
        /// What was being done.
        operation: &'static str,
        /// Why it was not.
        #[source]
        source: Box<layerfs::Error>,
    },
    /// The machine failed.
    #[error("cannot {operation}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// Why it was not.
        #[source]
        source: io::Error,
    },
    /// The step was ended because another one failed, or the build was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// What may help to find a path.
fn advice(suggestion: Option<&str>, ignored: bool) -> String {
    match suggestion {
        _ if ignored => " (the ignore file leaves it out)".to_owned(),
        Some(name) => format!(" (did you mean {name:?}?)"),
        None => String::new(),
    }
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    match diagnostics {
        [] => "the Dockerfile cannot be built".to_owned(),
        [one] => one.message.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
    }
}
