//! `tierce build`: an image from a Dockerfile.

mod call;
mod grants;
mod inputs;
mod named;
mod texts;

use std::io::Write;
use std::path::PathBuf;

use builder::check::show::text;
use builder::syntax::Source;
use builder::{
    BuildError, BuildRequest, Builder, Built, Cancel, Grants, NetworkMode, Progress, Sandbox,
};
use clap::ValueEnum;
use indexmap::IndexMap;
use layerfs::Lease;
use oci::{Platform, Reference};

use self::call::CallArgs;
use self::grants::GrantArgs;
use self::inputs::Inputs;
use self::named::NamedContextArg;
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::{Doing, Failure, Outcome};
use crate::layouts::BasesAndLayouts;
use crate::pulling::Bases;
use crate::remotes::Network;
use crate::signals;
use crate::ui::build_failure;
use crate::ui::build_plain::PlainProgress;
use crate::ui::build_tty::TtyProgress;
use crate::ui::findings::Findings;
use crate::ui::say;

/// What `tierce build` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A name for the image; may be given several times
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: Vec<Reference>,
    /// The Dockerfile, a URL, or `-` for standard input; CONTEXT/Dockerfile if none is named
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
    /// Ask the registry for base images even if they are here
    #[arg(long)]
    pull: bool,
    /// A label for the image: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// The platform to build for
    #[arg(long)]
    platform: Option<Platform>,
    /// The network that RUN sees
    #[arg(long, value_enum, default_value = "default")]
    network: RunNetwork,
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
    #[arg(long, value_enum, default_value = "auto")]
    progress: Shown,
    /// Push the image under all its names
    #[arg(long)]
    push: bool,
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
    /// Nothing but errors
    Quiet,
}

/// Carries it out; a failed RUN's status becomes ours.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    if args.push && args.tag.is_empty() {
        return Err(Failure::new("there is no name to push to").hint("give one with `--tag`"));
    }
    let grants = args.grants.grants(app)?;
    let network = Network::new(app, &args.connection)?.with_secrets(&grants);
    let inputs = Inputs::of(args, app, &network)?;
    let request = request(args, app, &inputs, grants)?;
    let bases = BasesAndLayouts::new(Bases::new(app, &args.connection)?);
    if let Some(question) = args.call.question() {
        return call::answer(question, &inputs.shown, &request, &bases);
    }
    let progress = Findings::new(progress(args, app));
    let store = app.store()?;
    let lease = store.lease()?;
    let cancel = Cancel::new()?;
    let _interrupts = signals::cancel_on_signal(&cancel)?;
    let builder = Builder {
        store,
        lease: &lease,
        images: &bases,
        remotes: &network,
        progress: &progress,
        cancel: &cancel,
        ids: app.ids(),
    };
    let built = builder.build(&request);
    let findings = progress.into_inner();
    if !findings.is_empty() && !args.quiet && args.progress != Shown::Quiet {
        // A closed standard error is no reason to report something else.
        let _ =
            anstream::stderr().write_all(text::summary(&findings, &inputs.dockerfile).as_bytes());
    }
    let built = built.map_err(|error| failure(&inputs.dockerfile, &error))?;
    finish(args, app, &lease, &built)
}

fn finish(args: &Args, app: &App, lease: &Lease, built: &Built) -> Outcome {
    let id = built.config.digest();
    if let Some(file) = &args.iidfile {
        std::fs::write(file, id.to_string())
            .doing(|| format!("cannot write {}", file.display()))?;
    }
    if args.push {
        let store = app.store()?;
        let record = store.resolve(&id.to_string())?;
        for name in &args.tag {
            super::push::push(app, lease, &record, name, &args.connection, args.quiet)?;
        }
    }
    // The id goes to standard output where it is asked for, and where nobody reads the progress.
    if args.quiet {
        say!("{id}");
    } else if args.progress != Shown::Quiet {
        let names: Vec<String> =
            args.tag.iter().map(|name| name.clone().with_default_tag().familiar()).collect();
        anstream::eprintln!("built {id} {}", names.join(" "));
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
    for (name, value) in machine.proxies() {
        build_args.insert(name, value);
    }
    if let Some(epoch) = machine.source_date_epoch() {
        build_args.insert("SOURCE_DATE_EPOCH".to_owned(), epoch);
    }
    for pair in &args.build_arg {
        match pair.split_once('=') {
            Some((name, value)) => drop(build_args.insert(name.to_owned(), value.to_owned())),
            None => {
                if let Some(value) = machine.variable(pair) {
                    build_args.insert(pair.clone(), value);
                }
            }
        }
    }
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    Ok(BuildRequest {
        dockerfile: inputs.dockerfile.clone(),
        context: inputs.context.clone(),
        contexts: named::contexts(&args.build_context)?,
        build_args,
        target: args.target.clone(),
        platform: args.platform.clone(),
        build_platform: Platform::host(),
        no_cache: args.no_cache,
        pull: args.pull,
        labels: args.label.iter().map(pair).collect(),
        names: args.tag.clone(),
        sandbox: Sandbox {
            chroot: app.is_chroot_only(),
            network: match args.network {
                RunNetwork::Default | RunNetwork::Host => NetworkMode::Host,
                RunNetwork::None => NetworkMode::None,
            },
            hostname: "buildkitsandbox".into(),
            resolv_conf: machine.resolv_conf(),
            hosts: machine.hosts(),
        },
        grants,
        now: super::commit::created(app)?,
        parallelism: app.threads().saturating_mul(two()).max(four()),
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
