//! `tierce sync`: many images from registries to registries, of each only what is not there.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use oci::{Platform, Reference};
use registry_client::Client;

use crate::app::App;
use crate::clients::{self, ConnectionArgs};
use crate::error::{Doing, Failure, Outcome};
use crate::syncing::{Ended, Entry, Filter, Kind, Plan, Synced, Worker, expand};
use crate::ui::say;

/// How many images are on their way at once.
const PARALLEL: usize = 4;

// What `tierce sync` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file that says what goes where (YAML, in regsync's form)
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["source", "target"])]
    config: Option<PathBuf>,
    /// Only tags that match this regular expression as a whole
    #[arg(long, value_name = "REGEX", conflicts_with = "config")]
    tag: Vec<String>,
    /// No tags that match this one
    #[arg(long, value_name = "REGEX", conflicts_with = "config")]
    skip_tag: Vec<String>,
    /// Only these images of an index; all if none is given
    #[arg(long, value_delimiter = ',', conflicts_with = "config")]
    platform: Vec<Platform>,
    /// Bring what refers to the images too: signatures, attestations
    #[arg(long, conflicts_with = "config")]
    referrers: bool,
    /// How many images are on their way at once
    #[arg(short, long, value_name = "NUMBER")]
    jobs: Option<usize>,
    /// Copy nothing; say what would be copied
    #[arg(long)]
    dry_run: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
    /// Credentials for the source
    #[arg(long, value_name = "NAME:PASSWORD")]
    src_creds: Option<String>,
    /// Credentials for the destination
    #[arg(long, value_name = "NAME:PASSWORD")]
    dest_creds: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// A repository, all of whose tags are brought, or an image
    #[arg(required_unless_present = "config", requires = "target")]
    source: Option<String>,
    /// Where they go
    target: Option<String>,
}

/// Carries it out. What fails holds nothing else up, and makes the status 1.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let plan = plan(args)?;
    let network = app.network()?;
    let connect = |creds: &Option<String>, registry: &str| {
        let mut connection = args.connection.clone();
        connection.creds = creds.clone().or(connection.creds);
        clients::client(app, &connection, registry)
    };
    let mut failures = Vec::new();
    let mut images = Vec::new();
    for entry in &plan.entries {
        let catalog = |registry: &str| {
            let client = connect(&args.src_creds, registry);
            let all = network.block_on(client.catalog(registry));
            all.doing(|| format!("cannot list the repositories of {registry}"))
        };
        let tags = |name: &Reference| {
            let client = connect(&args.src_creds, name.registry());
            let all = network.block_on(client.tags(name));
            all.doing(|| format!("cannot list the tags of {}", name.familiar_repository()))
        };
        for found in expand(entry, &catalog, &tags) {
            match found {
                Ok(image) => images.push(image),
                Err(failure) => failures.push(failure),
            }
        }
    }
    let clients = |creds: &Option<String>, names: &mut dyn Iterator<Item = &str>| {
        let mut clients: HashMap<String, Client> = HashMap::new();
        for name in names {
            if !clients.contains_key(name) {
                clients.insert(name.to_owned(), connect(creds, name));
            }
        }
        clients
    };
    let worker = Worker {
        source: clients(&args.src_creds, &mut images.iter().map(|image| image.from.registry())),
        target: clients(&args.dest_creds, &mut images.iter().map(|image| image.to.registry())),
        handle: network.handle().clone(),
    };
    let jobs = args.jobs.or(plan.parallel).unwrap_or(PARALLEL).clamp(1, 64);
    failures.extend(work(&worker, &images, jobs, args)?);
    for failure in &failures {
        anstream::eprintln!("{}{failure}", crate::ui::ERROR);
    }
    Ok(u8::from(!failures.is_empty()))
}

fn plan(args: &Args) -> Result<Plan, Failure> {
    if let Some(file) = &args.config {
        let text =
            std::fs::read_to_string(file).doing(|| format!("cannot read {}", file.display()))?;
        return Plan::read(&text).doing(|| format!("cannot use {}", file.display()));
    }
    let (Some(source), Some(target)) = (&args.source, &args.target) else {
        return Err(Failure::new("name a source and a destination, or a file"));
    };
    let bare = |text: &str| text.strip_prefix("docker://").unwrap_or(text).to_owned();
    let (source, target) = (bare(source), bare(target));
    let is_image = source
        .parse::<Reference>()
        .is_ok_and(|name| name.tag().is_some() || name.digest().is_some());
    let entry = Entry {
        kind: if is_image { Kind::Image } else { Kind::Repository },
        source,
        target,
        tags: Filter::new(&args.tag, &args.skip_tag)?,
        repositories: Filter::default(),
        referrers: args.referrers,
        platforms: args.platform.clone(),
    };
    Ok(Plan { entries: vec![entry], parallel: None })
}

/// Brings all images, some at once, and says so as each is done.
fn work(
    worker: &Worker,
    images: &[Synced<'_>],
    jobs: usize,
    args: &Args,
) -> Result<Vec<Failure>, Failure> {
    let left = Mutex::new(images.iter());
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut failures = Vec::new();
    std::thread::scope(|scope| -> Result<(), Failure> {
        for _ in 0..jobs.min(images.len()) {
            let (left, sender) = (&left, sender.clone());
            scope.spawn(move || {
                loop {
                    let next = left.lock().map_or(None, |mut left| left.next());
                    let Some(image) = next else { break };
                    let _ = sender.send((image, worker.sync(image, args.dry_run)));
                }
            });
        }
        drop(sender);
        for (image, ended) in receiver {
            let word = match ended {
                Ok(Ended::Copied) if args.dry_run => "would copy",
                Ok(Ended::Copied) => "copied",
                Ok(Ended::Unchanged) => "unchanged",
                Err(failure) => {
                    failures.push(failure);
                    continue;
                }
            };
            if !args.quiet {
                say!("{word} {} {}", image.from.familiar(), image.to.familiar());
            }
        }
        Ok(())
    })?;
    Ok(failures)
}
