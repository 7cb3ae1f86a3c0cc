//! Where a build's Dockerfile and context come from: directories, standard input, URLs.

use std::io::stdin;
use std::path::{Component, Path, PathBuf};

use builder::syntax::Source;
use builder::{BuildError, ContextDirectory, GitSource, Origin, RemoteContext, Remotes};
use layerfs::{ExtractOptions, Lease, Root, extract_archive};
use oci::compress::open_archive;

use super::Args;
use super::attest::ContextSource;
use super::texts::{read_file, read_in, read_stream, read_text, source};
use crate::app::App;
use crate::error::{Doing, Failure};
use crate::remotes::Network;
use crate::signals;

/// What stands for standard input.
const STDIN: &str = "-";

/// What a Dockerfile may be called that is not named: docker's names, then podman's.
const NAMES: [&str; 4] = ["Dockerfile", "dockerfile", "Containerfile", "containerfile"];

/// The build argument that keeps `.git` of a context.
const KEEP_GIT_DIR: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

/// What a build reads.
pub(super) struct Inputs {
    pub(super) dockerfile: Source,
    /// The Dockerfile's path as people would write it.
    pub(super) shown: String,
    pub(super) context: Option<ContextDirectory>,
    /// Where the context came from, if it is not of this machine.
    pub(super) source: Option<ContextSource>,
    /// Keeps what was fetched.
    _lease: Option<Lease>,
}

/// The context, as far as it is known without its ignore file.
enum Context {
    /// A directory of the user's.
    Local(PathBuf),
    /// A tree that was fetched for this build.
    Fetched(PathBuf, Lease),
    /// No tree: the Dockerfile itself.
    Dockerfile(Vec<u8>),
}

impl Inputs {
    /// Reads the Dockerfile, and fetches the context where it is not here.
    pub(super) fn of(args: &Args, app: &App, network: &Network) -> Result<Inputs, Failure> {
        let place = args.context.to_str().unwrap_or_default();
        if place == STDIN && is_stdin(args.file.as_deref()) {
            let message = "standard input cannot be both the context and the Dockerfile";
            return Err(Failure::new(message));
        }
        let context = match place {
            STDIN => (unpacked(app, Box::new(stdin()), || "cannot read the context".into())?, None),
            _ if args.context.is_dir() => (Context::Local(args.context.clone()), None),
            _ => match remote(place) {
                Some(remote) => {
                    let (context, source) = fetched(app, network, &remote?, keeps_git_dir(args))?;
                    (context, Some(source))
                }
                None => {
                    let name = args.context.display();
                    return Err(Failure::new(format!("the context {name} is no directory")));
                }
            },
        };
        let (context, source) = context;
        let (dockerfile, shown, ignore) = dockerfile(args, network, &context)?;
        let dockerfile = match &args.podman.from {
            Some(image) => with_base(dockerfile, image),
            None => dockerfile,
        };
        let (context, lease) = match context {
            Context::Local(path) => {
                let named = args.podman.ignorefile.as_deref().map(named_ignore_file);
                let ignore = match named.transpose()?.or(ignore) {
                    Some(ignore) => ignore,
                    None => ignore_file(&path)?.unwrap_or_default(),
                };
                (Some(ContextDirectory::local(path, ignore)), None)
            }
            Context::Fetched(path, lease) => {
                (Some(ContextDirectory { path, origin: Origin::Fetched }), Some(lease))
            }
            Context::Dockerfile(_) => (None, None),
        };
        let (dockerfile, wrong) = builder::include(dockerfile, context.as_ref());
        if !wrong.is_empty() {
            return Err(super::failure(&dockerfile, &BuildError::Diagnostics(wrong)));
        }
        Ok(Inputs { dockerfile, shown, context, source, _lease: lease })
    }
}

/// A Dockerfile whose first FROM names another image. One that cannot be read stays as it is, for
/// whoever says what is wrong with it.
fn with_base(dockerfile: Source, image: &str) -> Source {
    let parsed = builder::stage::parse(&dockerfile);
    let Some(first) = parsed.dockerfile.stages.first() else { return dockerfile };
    let span = first.from.instruction.image.span;
    let (before, after) = (&dockerfile.text[..span.start], &dockerfile.text[span.end..]);
    Source::new(dockerfile.name.clone(), format!("{before}{image}{after}"))
}

/// The ignore file that is named.
fn named_ignore_file(path: &Path) -> Result<String, Failure> {
    read_text(path)?.ok_or_else(|| Failure::new(format!("there is no file {}", path.display())))
}

/// The text of a directory's ignore file, by docker's name or podman's.
fn ignore_file(directory: &Path) -> Result<Option<String>, Failure> {
    match read_text(&directory.join(".dockerignore"))? {
        None => read_text(&directory.join(".containerignore")),
        found => Ok(found),
    }
}

fn is_stdin(path: Option<&Path>) -> bool {
    path.is_some_and(|path| path.as_os_str() == STDIN)
}

/// What a context that is no directory names elsewhere.
fn remote(place: &str) -> Option<Result<RemoteContext, Failure>> {
    // As docker has it from the days before URLs.
    let url = match place.starts_with("github.com/") {
        true => format!("https://{place}"),
        false => place.to_owned(),
    };
    match url.parse() {
        Ok(remote) => Some(Ok(remote)),
        Err(_) if !url.contains("://") => None,
        Err(message) => Some(Err(Failure::new(format!("the context {url}: {message}")))),
    }
}

/// Whether the build argument is given that keeps `.git` of a context.
fn keeps_git_dir(args: &Args) -> bool {
    let value = |pair: &'_ String| pair.strip_prefix(KEEP_GIT_DIR)?.strip_prefix('=').map(is_true);
    args.build_arg.iter().rev().find_map(value).unwrap_or(false)
}

fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "True" | "TRUE")
}

/// Fetches a context: a repository, or what is behind a URL.
fn fetched(
    app: &App,
    network: &Network,
    remote: &RemoteContext,
    keeps_git_dir: bool,
) -> Result<(Context, ContextSource), Failure> {
    let cannot = || format!("cannot fetch the context {remote}");
    let Some(git) = remote.git() else {
        let file = network.file(remote.url()).doing(cannot)?;
        let source = ContextSource { uri: remote.to_string(), digest: None };
        return Ok((unpacked(app, file.body, cannot)?, source));
    };
    let lease = app.store()?.lease()?;
    let path = lease.scratch_dir("context")?;
    let cancel = builder::Cancel::new()?;
    let _interrupts = signals::cancel_on_signal(&cancel)?;
    let commit = network.commit(git).doing(cannot)?;
    git.check(&commit).map_err(Failure::new).doing(cannot)?;
    let git = GitSource { keep_git_dir: git.keep_git_dir || keeps_git_dir, ..git.clone() };
    let fetched = network.checkout(&git, &commit, &path, &cancel);
    if cancel.is_cancelled() {
        return Err(Failure::new("the build was cancelled").code(signals::CANCELLED));
    }
    fetched.doing(cannot)?;
    let source = ContextSource::commit(remote, &git, &commit);
    Ok((Context::Fetched(path, lease), source))
}

/// The tree of an archive; what is no archive is a Dockerfile.
fn unpacked(
    app: &App,
    input: Box<dyn std::io::Read + Send>,
    cannot: impl Fn() -> String,
) -> Result<Context, Failure> {
    let (format, mut reader) = open_archive(input).doing(&cannot)?;
    if format.is_none() {
        return Ok(Context::Dockerfile(read_stream(reader).doing(&cannot)?));
    }
    let lease = app.store()?.lease()?;
    let path = lease.scratch_dir("context")?;
    let tree = Root::open(&path)?;
    let options = ExtractOptions { ids: app.ids(), owner: None, strip: 0 };
    extract_archive(&mut reader, &tree, Path::new(""), &options).doing(&cannot)?;
    Ok(Context::Fetched(path, lease))
}

/// The Dockerfile from where docker looks for it, its path, and the text of the ignore file that
/// is its own.
fn dockerfile(
    args: &Args,
    network: &Network,
    context: &Context,
) -> Result<(Source, String, Option<String>), Failure> {
    if let Context::Dockerfile(bytes) = context {
        if args.file.is_some() {
            let message = "the context is a Dockerfile, and `--file` names another";
            return Err(Failure::new(message));
        }
        return alone(bytes.clone());
    }
    match (&args.file, context) {
        (Some(path), _) if is_stdin(Some(path)) => {
            let bytes =
                read_stream(stdin().lock()).doing(|| "cannot read the Dockerfile".into())?;
            alone(bytes)
        }
        (Some(path), _) if is_url(path) => {
            let url = path.to_string_lossy();
            let cannot = || format!("cannot fetch the Dockerfile {url}");
            alone(read_stream(network.file(&url).doing(cannot)?.body).doing(cannot)?)
        }
        (file, Context::Fetched(tree, _)) => {
            let tree = Root::open(tree)?;
            let read = |path: &Path| read_in(&tree, path);
            let (path, bytes) = found(file.as_deref(), Path::new(""), read)?;
            Ok((named(&path, bytes)?, shown(&path), None))
        }
        (file, _) => {
            let (path, bytes) = found(file.as_deref(), &args.context, read_file)?;
            let ignore = read_text(&with_suffix(&path))?;
            Ok((named(&path, bytes)?, shown(&path), ignore))
        }
    }
}

/// A Dockerfile that no file beside it goes with.
fn alone(bytes: Vec<u8>) -> Result<(Source, String, Option<String>), Failure> {
    Ok((source("Dockerfile", bytes)?, "Dockerfile".to_owned(), None))
}

fn is_url(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with("http://") || text.starts_with("https://"))
}

/// The Dockerfile that is named, or else that of the directory.
fn found(
    file: Option<&Path>,
    directory: &Path,
    read: impl Fn(&Path) -> Result<Option<Vec<u8>>, Failure>,
) -> Result<(PathBuf, Vec<u8>), Failure> {
    let candidates = match file {
        Some(file) => vec![file.to_owned()],
        None => NAMES.iter().map(|name| directory.join(name)).collect(),
    };
    for path in &candidates {
        if let Some(bytes) = read(path)? {
            return Ok((path.clone(), bytes));
        }
    }
    let message = format!("there is no Dockerfile at {}", candidates[0].display());
    Err(Failure::new(message).hint("name it with `--file`"))
}

fn named(path: &Path, bytes: Vec<u8>) -> Result<Source, Failure> {
    let name = path.file_name().map_or_else(|| "Dockerfile".into(), |n| n.to_string_lossy());
    source(&name, bytes)
}

/// A path as people would write it.
fn shown(path: &Path) -> String {
    let shown: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    shown.display().to_string()
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".dockerignore");
    name.into()
}
