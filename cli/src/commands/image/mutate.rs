//! `tierce image mutate`: an image's settings changed, without unpacking it.

use oci::edit::{Annotate, Append, Configure};
use oci::transfer::Edit;
use oci::{ImageConfig, Platform};

use super::append::layers;
use crate::app::App;
use crate::copying::editing::{self, Editing, Target, pairs};
use crate::error::{Failure, Outcome};

// What `tierce image mutate` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// A note on the manifest
    #[arg(short, long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// A tar to put on top as a layer
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    append: Vec<String>,
    #[command(flatten)]
    target: Target,
    /// The image
    #[arg(value_name = "IMAGE")]
    image: String,
}

// What is said of a container's start. Lists have commas, or the option several times; an empty
// word empties them.
#[derive(Debug, Clone, clap::Args)]
struct Settings {
    /// What runs; the command goes, unless one is given as well
    #[arg(long, visible_alias = "set-entrypoint", value_name = "WORD", value_delimiter = ',')]
    entrypoint: Option<Vec<String>>,
    /// The command, or the arguments of what runs
    #[arg(long, visible_alias = "set-cmd", value_name = "WORD", value_delimiter = ',')]
    cmd: Option<Vec<String>>,
    /// A variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// A label
    #[arg(short, long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// Who runs it
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Where it runs
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// A port it listens on
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_delimiter = ',')]
    exposed_ports: Vec<String>,
    /// What the image is for
    #[arg(long, value_name = "PLATFORM", conflicts_with = "all")]
    set_platform: Option<Platform>,
}

impl Args {
    /// Whether the store is an end.
    pub(super) fn touches_trees(&self) -> bool {
        self.target.has_store([&self.image])
    }
}

/// Carries it out.
pub(super) fn run(args: &Args, app: &App) -> Outcome {
    let lease = app.store()?.lease()?;
    let (source, origin) = editing::open(app, &lease, &args.image, &args.target)?;
    let mut edits: Vec<Box<dyn Edit>> = Vec::new();
    if !args.append.is_empty() {
        let scratch = lease.scratch_dir("layers")?;
        edits.push(Box::new(Append::new(layers(&args.append)?, app.threads(), &scratch)?));
    }
    let changes = Changes::read(&args.settings)?;
    edits.push(Box::new(Configure::new(move |config: &mut ImageConfig| changes.make(config))));
    let notes = pairs(&args.annotation)?;
    let manifests = notes.into_iter().map(|(name, value)| (name, Some(value))).collect();
    edits.push(Box::new(Annotate { manifests, ..Annotate::default() }));
    let editing = Editing { origin, source: Some(&source), edits, all: false };
    editing::edit(app, &lease, editing, &args.target)
}

/// The settings, read.
struct Changes {
    settings: Settings,
    env: Vec<(String, String)>,
    labels: Vec<(String, String)>,
    ports: Vec<String>,
}

impl Changes {
    fn read(settings: &Settings) -> Result<Changes, Failure> {
        let variable = |text: &String| {
            let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
            let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
            pair.ok_or_else(|| {
                Failure::new(format!("invalid variable `{text}`: write it as NAME=VALUE"))
            })
        };
        Ok(Changes {
            settings: settings.clone(),
            env: settings.env.iter().map(variable).collect::<Result<_, _>>()?,
            labels: pairs(&settings.label)?,
            ports: settings
                .exposed_ports
                .iter()
                .map(|text| port(text))
                .collect::<Result<_, _>>()?,
        })
    }

    fn make(&self, config: &mut ImageConfig) {
        let Settings { entrypoint, cmd, user, workdir, set_platform, .. } = &self.settings;
        let runtime = &mut config.config;
        if let Some(words) = entrypoint {
            runtime.entrypoint = list(words);
            runtime.cmd = None;
        }
        if let Some(words) = cmd {
            runtime.cmd = list(words);
        }
        for (name, value) in &self.env {
            let line = format!("{name}={value}");
            let is_it = |known: &&mut String| known.split('=').next() == Some(name);
            match runtime.env.iter_mut().find(is_it) {
                Some(known) => *known = line,
                None => runtime.env.push(line),
            }
        }
        runtime.labels.extend(self.labels.iter().cloned());
        let set = |port: &String| (port.clone(), serde_json::json!({}));
        runtime.exposed_ports.extend(self.ports.iter().map(set));
        if let Some(user) = user {
            runtime.user.clone_from(user);
        }
        if let Some(workdir) = workdir {
            runtime.working_dir.clone_from(workdir);
        }
        if let Some(platform) = set_platform.clone() {
            config.os = platform.os;
            config.architecture = platform.architecture;
            config.variant = platform.variant;
            config.os_version = platform.os_version;
        }
    }
}

/// Words; none if the only one is empty.
fn list(words: &[String]) -> Option<Vec<String>> {
    if words.iter().all(String::is_empty) { None } else { Some(words.to_vec()) }
}

/// A port with its protocol.
fn port(text: &str) -> Result<String, Failure> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let known = ["tcp", "udp", "sctp"].contains(&protocol);
    match number.parse::<u16>() {
        Ok(1..) if known => Ok(format!("{number}/{protocol}")),
        _ => Err(Failure::new(format!("invalid port `{text}`: write it as PORT[/PROTOCOL]"))),
    }
}
