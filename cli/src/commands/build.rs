//! `tierce build`: an image from a Dockerfile.

mod attest;
mod cache;
mod call;
mod export;
mod grants;
mod inputs;
mod named;
mod output;
mod podman;
mod refused;
mod settings;
mod texts;
mod volume;

use std::io::Write;
use std::path::{Path, PathBuf};

use builder::check::show::text;
use builder::syntax::Source;
use builder::{
    BuildError, BuildRequest, Builder, CacheRecords, Cancel, Grants, NetworkMode, Progress, Sandbox,
};
use clap::ValueEnum;
use indexmap::IndexMap;
use layerfs::Lease;
use oci::{Descriptor, DiffId, Platform, Reference};

use self::attest::{AttestArgs, Said};
use self::cache::{CacheArgs, Results};
use self::call::CallArgs;
use self::export::{Export, Made};
use self::grants::GrantArgs;
use self::inputs::Inputs;
use self::named::NamedContextArg;
use self::output::{Kind, OutputArgs};
use self::podman::{PodmanArgs, pull_policy};
use self::settings::SettingsArgs;
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::containers::limits::LimitArgs;
use crate::error::{Doing, Failure, Outcome};
use crate::layouts::BasesAndLayouts;
use crate::machine::Machine;
use crate::pulling::{Bases, PullPolicy};
use crate::remotes::Network;
use crate::signals;
use crate::ui::build_failure;
use crate::ui::build_json::JsonProgress;
use crate::ui::build_plain::PlainProgress;
use crate::ui::build_tty::TtyProgress;
use crate::ui::findings::Findings;
use crate::ui::say;

// What `tierce build` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The builder: all that were made are this program, with one cache
    #[arg(long, value_name = "NAME", env = "BUILDX_BUILDER", hide_env_values = true)]
    builder: Option<String>,
    /// A name for the image; may be given several times
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: Vec<Reference>,
    /// The Dockerfile, a URL, or `-` for standard input; if none is named, CONTEXT/Dockerfile or
    /// CONTEXT/Containerfile
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What stands in for the stage or image NAME: a directory, a URL, a git repository,
    /// docker-image://IMAGE or oci-layout://DIR[:TAG][@DIGEST]
    #[arg(long, value_name = "NAME=VALUE")]
    build_context: Vec<NamedContextArg>,
    /// A value for ARG: NAME=VALUE, or NAME to take it from here
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// The stage to build, by name or number
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Run every step again
    #[arg(long)]
    no_cache: bool,
    /// Run every step of these stages again
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
    /// When to ask the registry for base images: always (also without a word), missing, or never
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_value = "missing",
        default_missing_value = "always",
        value_parser = pull_policy
    )]
    pull: PullPolicy,
    /// A label for the image: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// The platform to build for; of several, an index is made
    #[arg(long, value_delimiter = ',')]
    platform: Vec<Platform>,
    /// The network that RUN sees
    #[arg(long, value_enum, default_value = "default")]
    network: RunNetwork,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    call: CallArgs,
    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Print the image's id alone
    #[arg(short, long)]
    quiet: bool,
    /// How progress is shown
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        env = "BUILDKIT_PROGRESS",
        hide_env_values = true
    )]
    progress: Shown,
    #[command(flatten)]
    podman: PodmanArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    attest: AttestArgs,
    /// Nothing is left of a build but its image and its cache, so this changes nothing
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    rm: Option<bool>,
    /// As `--rm`
    #[arg(long, hide = true)]
    force_rm: bool,
    /// The context goes nowhere, so there is nothing to compress
    #[arg(long, hide = true)]
    compress: bool,
    #[command(flatten)]
    refused: refused::Refused,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// What COPY and ADD read: a directory, a git repository, the URL of an archive, or `-` for an
    /// archive, or a Dockerfile alone, on standard input
    #[arg(value_name = "CONTEXT")]
    context: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RunNetwork {
    /// The machine's: there is no daemon to make another
    Default,
    /// The machine's network
    Host,
    /// Nothing but loopback
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// `tty` where people watch, else `plain`
    Auto,
    /// Lines
    Plain,
    /// A moving display
    Tty,
    /// Lines of JSON, as BuildKit has them
    #[value(name = "rawjson")]
    RawJson,
    /// Nothing but errors
    #[value(alias = "none")]
    Quiet,
}

impl Args {
    /// Whether people are told what happens, in words of their own.
    fn says_what_happens(&self) -> bool {
        !self.quiet && !matches!(self.progress, Shown::Quiet | Shown::RawJson)
    }
}

/// Carries it out; a failed RUN's status becomes ours.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    super::builder::check_builder(args.builder.as_deref(), app)?;
    let outputs = args.output.outputs(args)?;
    let grants = args.grants.grants(app)?;
    let network = Network::new(app, &args.connection)?.with_secrets(&grants);
    let inputs = Inputs::of(args, app, &network)?;
    let mut request = request(args, app, &inputs, grants)?;
    let bases = BasesAndLayouts::new(Bases::new(app, &args.connection, args.pull)?);
    if let Some(question) = args.call.question() {
        return call::answer(question, &inputs.shown, &request, &bases);
    }
    let store = app.store()?;
    let lease = store.lease()?;
    let stored = outputs.iter().any(|output| matches!(output.kind, Kind::Store { .. }));
    // What is not for the store is there only as long as it takes.
    let before = if stored { Vec::new() } else { store.images()? };
    if !stored {
        request.names.clear();
    }
    request.caches = args.cache.images(&bases, args.quiet);
    if let Some(file) = &args.iidfile {
        // That of an earlier build must not be taken for this one's, should it fail.
        let _ = std::fs::remove_file(file);
    }
    let (mut made, mut results) = (Vec::new(), Results::default());
    for platform in platforms(args)? {
        request.platform = platform;
        let built = build(args, app, &lease, &inputs, &request, (&bases, &network))?;
        made.push(built.made);
        if args.cache.is_exported() {
            results.records = std::mem::take(&mut results.records).and(built.records);
            results.layers.extend(made.iter().flat_map(|made| made.layers.clone()));
            results.cached.extend(built.cached);
        }
    }
    let ended = finish(args, app, &lease, &made, &outputs);
    let exported = if ended.is_ok() { results.export(args, app, &lease) } else { Ok(()) };
    for made in made.iter().filter(|_| !stored) {
        if before.iter().all(|record| record.id != made.id) {
            store.remove_image(&made.id)?;
        }
    }
    exported.and(ended)
}

/// What RUN gets as `/etc/hosts`: the machine's, and the name that was chosen for it.
fn hosts(machine: &Machine, hostname: Option<&str>) -> Vec<u8> {
    let mut hosts = machine.hosts();
    if let Some(name) = hostname {
        hosts.extend_from_slice(format!("127.0.0.1\t{name}\n").as_bytes());
    }
    hosts
}

/// The platforms that are asked for, each once; nothing stands for that of the machine.
fn platforms(args: &Args) -> Result<Vec<Option<Platform>>, Failure> {
    let mut platforms: Vec<Option<Platform>> =
        args.podman.platform()?.map(Some).into_iter().collect();
    for platform in &args.platform {
        if !platforms.iter().flatten().any(|known| known == platform) {
            platforms.push(Some(platform.clone()));
        }
    }
    Ok(if platforms.is_empty() { vec![None] } else { platforms })
}

/// Builds for one platform.
fn build(
    args: &Args,
    app: &App,
    lease: &Lease,
    inputs: &Inputs,
    request: &BuildRequest,
    (bases, network): (&BasesAndLayouts, &Network),
) -> Result<BuiltFor, Failure> {
    let progress = Findings::new(progress(args, app));
    let cancel = Cancel::new()?;
    let started = jiff::Timestamp::now();
    let _interrupts = signals::cancel_on_signal(&cancel)?;
    let store = app.store()?;
    if let (Some(platform), [_, _, ..]) = (&request.platform, &args.platform[..])
        && args.says_what_happens()
    {
        anstream::eprintln!("for {platform}:");
    }
    let builder = Builder {
        store,
        lease,
        images: bases,
        remotes: network,
        progress: &progress,
        cancel: &cancel,
        ids: app.ids(),
    };
    let built = builder.build(request);
    let findings = progress.into_inner();
    if !findings.is_empty() && args.says_what_happens() {
        // A closed standard error is no reason to report something else.
        let _ =
            anstream::stderr().write_all(text::summary(&findings, &inputs.dockerfile).as_bytes());
    }
    let built = built.map_err(|error| failure(&inputs.dockerfile, &error))?;
    let made = Made {
        said: Said::of(args, inputs, request, &built, started),
        platform: built.config.platform(),
        id: built.config.digest().clone(),
        layers: built.layers.into_iter().map(|(layer, _)| layer).collect(),
    };
    Ok(BuiltFor { made, records: built.records, cached: built.cached })
}

/// What was built for one platform, and what its steps came to.
struct BuiltFor {
    made: Made,
    records: CacheRecords,
    cached: Vec<(DiffId, Descriptor)>,
}

fn finish(
    args: &Args,
    app: &App,
    lease: &Lease,
    made: &[Made],
    outputs: &[output::Output],
) -> Outcome {
    let export = Export { args, app, lease, made };
    let mut root = None;
    for output in outputs {
        root = export.carry_out(output)?.or(root);
    }
    // What stands for the whole: an image's own id, or the digest of an index.
    let id = match (made, &root) {
        ([one], _) => one.id.to_string(),
        (_, Some(root)) => root.digest.to_string(),
        (_, None) => String::new(),
    };
    let write = |file: &Path, text: String| {
        std::fs::write(file, text).doing(|| format!("cannot write {}", file.display()))
    };
    if let Some(file) = &args.iidfile {
        write(file, id.clone())?;
    }
    if let Some(file) = &args.output.metadata_file {
        let metadata = export::metadata(args, made, root.as_ref());
        write(file, format!("{metadata:#}\n"))?;
    }
    let to_stdout = outputs.iter().any(|output| output.kind.is_stdout());
    // The id goes to standard output where it is asked for, and where nobody reads the progress.
    if args.quiet && !to_stdout && !id.is_empty() {
        say!("{id}");
    } else if args.says_what_happens() {
        let names: Vec<String> =
            args.tag.iter().map(|name| name.clone().with_default_tag().familiar()).collect();
        anstream::eprintln!("{}", format!("built {id} {}", names.join(" ")).trim_end());
    }
    Ok(0)
}

fn request(
    args: &Args,
    app: &App,
    inputs: &Inputs,
    grants: Grants,
) -> Result<BuildRequest, Failure> {
    let machine = &app.machine;
    let mut build_args = IndexMap::new();
    for (name, value) in machine.proxies().into_iter().filter(|_| args.podman.http_proxy) {
        build_args.insert(name, value);
    }
    if let Some(epoch) = machine.source_date_epoch() {
        build_args.insert("SOURCE_DATE_EPOCH".to_owned(), epoch);
    }
    if let Some(epoch) = args.podman.source_date_epoch {
        build_args.insert("SOURCE_DATE_EPOCH".to_owned(), epoch.to_string());
    }
    let of_files = args.podman.build_arg_files()?;
    for pair in of_files.iter().chain(&args.build_arg) {
        match pair.split_once('=') {
            Some((name, value)) => drop(build_args.insert(name.to_owned(), value.to_owned())),
            None => {
                if let Some(value) = machine.variable(pair) {
                    build_args.insert(pair.clone(), value);
                }
            }
        }
    }
    let hostname = build_args.get("BUILDKIT_SANDBOX_HOSTNAME").cloned();
    let hostname = hostname.as_deref().filter(|name| !name.is_empty());
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    Ok(BuildRequest {
        dockerfile: inputs.dockerfile.clone(),
        context: inputs.context.clone(),
        contexts: named::contexts(&args.build_context)?,
        build_args,
        // As docker has it: a script's variable may be empty.
        target: args.target.clone().filter(|target| !target.is_empty()),
        platform: platforms(args)?.swap_remove(0),
        build_platform: Platform::host(),
        no_cache: args.no_cache,
        caches: Vec::new(),
        no_cache_stages: args.no_cache_filter.clone(),
        pull: args.pull == PullPolicy::Always,
        labels: args.label.iter().map(pair).collect(),
        names: args.tag.clone(),
        sandbox: Sandbox {
            chroot: app.is_chroot_only(),
            network: match args.network {
                RunNetwork::Default | RunNetwork::Host => NetworkMode::Host,
                RunNetwork::None => NetworkMode::None,
            },
            hostname: hostname.unwrap_or("buildkitsandbox").into(),
            resolv_conf: args.settings.resolv_conf(machine.resolv_conf()),
            hosts: hosts(machine, hostname),
            volumes: args.settings.volumes()?,
            settings: args.settings.settings()?,
            limits: args.limits.chosen()?.to_limits()?,
        },
        grants,
        with_provenance: attest::is_wanted(args),
        changes: args.podman.changes(app),
        now: app.machine.created()?,
        parallelism: match args.podman.jobs() {
            Some(jobs) => jobs,
            None => app.threads().saturating_mul(two()).max(four()),
        },
    })
}

const fn two() -> std::num::NonZeroUsize {
    std::num::NonZeroUsize::MIN.saturating_add(1)
}

const fn four() -> std::num::NonZeroUsize {
    std::num::NonZeroUsize::MIN.saturating_add(3)
}

fn progress(args: &Args, app: &App) -> Box<dyn Progress> {
    match args.progress {
        _ if args.quiet => Box::new(builder::Silent),
        Shown::Quiet => Box::new(builder::Silent),
        Shown::Tty => Box::new(TtyProgress::new()),
        Shown::RawJson => Box::new(JsonProgress::new()),
        Shown::Auto if app.machine.watches_stderr() => Box::new(TtyProgress::new()),
        Shown::Plain | Shown::Auto => Box::new(PlainProgress::new()),
    }
}

/// Prints what went wrong where; the status is that of the failed RUN.
fn failure(source: &Source, error: &BuildError) -> Failure {
    let shown = build_failure::text(source, error);
    // A closed standard error is no reason to report something else.
    let _ = anstream::stderr().write_all(shown.as_bytes());
    let code = match error {
        BuildError::Cancelled => Some(signals::CANCELLED),
        _ => error.exit_code().and_then(|code| u8::try_from(code).ok()).filter(|c| *c != 0),
    };
    if shown.is_empty() {
        return Failure::new(crate::error::chain(error)).code(code.unwrap_or(1));
    }
    // It has been said, with its place.
    Failure::silent(code.unwrap_or(1))
}
