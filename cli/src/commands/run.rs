//! `tierce run`: a command in a new container.

use std::path::PathBuf;

use layerfs::{ContainerSpec, Durability};
use oci::{Platform, RuntimeConfig};
use serde_json::json;

use crate::app::App;
use crate::containers::{Attached, ContainerConfig, NetworkChoice, OWN_FAILURE, run_to_end};
use crate::error::{Failure, Outcome};
use crate::pulling::{self, PullPolicy};

/// What `tierce run` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Remove the container when it has ended
    #[arg(long)]
    rm: bool,
    /// The container's name
    #[arg(long)]
    name: Option<String>,
    /// Set a variable: NAME=VALUE, or NAME to take it from here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the variables of a file with a NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Where the command starts
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// As whom the command runs: name or id, with an optional :group
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// What runs in place of the image's entrypoint
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// The name of the machine that the command sees
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The network that the command sees
    #[arg(long, value_enum, default_value = "host")]
    network: NetworkChoice,
    /// Pass standard input on
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// Set a label of the container: NAME=VALUE
    #[arg(short, long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// When to ask the registry for the image
    #[arg(long, value_enum, default_value = "missing")]
    pull: PullPolicy,
    /// Which image of several
    #[arg(long)]
    platform: Option<Platform>,
    /// The image, and the command with its arguments in place of the image's
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "IMAGE"
    )]
    image_and_command: Vec<String>,
}

/// Carries it out: its status is the command's.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    start(args, app).map_err(|failure| {
        // docker's statuses: 126 and 127 are the command's fault, all else is ours.
        let code = if matches!(failure.code, 126 | 127) { failure.code } else { OWN_FAILURE };
        failure.code(code)
    })
}

fn start(args: &Args, app: &App) -> Outcome {
    let Some((image_name, command)) = args.image_and_command.split_first() else {
        return Err(Failure::new("no image is named"));
    };
    let store = app.store()?;
    let lease = store.lease()?;
    let image = pulling::image(app, &lease, image_name, args.platform.as_ref(), args.pull)?;
    let config = store.config(&image.id)?;
    let runtime = changed(args, app, config.config.clone(), command)?;
    let mut spec = ContainerSpec {
        name: args.name.clone(),
        image: Some(image.id.clone()),
        image_name: image_name.clone(),
        layers: pulling::unpacked_layers(app, &lease, &image)?,
        config: json!(null),
    };
    let kept = ContainerConfig {
        runtime,
        hostname: args.hostname.clone(),
        network: args.network,
        terminal: args.tty,
    };
    spec.config = serde_json::to_value(&kept)?;
    let container = store.create_container(&lease, &spec)?;
    // What is removed at the end need not survive a power cut.
    let attached = Attached { input: args.interactive, terminal: args.tty };
    let durability = if args.rm { Durability::Volatile } else { Durability::Durable };
    let status = run_to_end(app, store, &lease, &container, durability, attached);
    if args.rm {
        store.remove_container(&lease, &container.id)?;
    }
    status
}

/// The image's way to run with what the command line changes, by docker's rules.
fn changed(
    args: &Args,
    app: &App,
    mut runtime: RuntimeConfig,
    command: &[String],
) -> Result<RuntimeConfig, Failure> {
    if let Some(entrypoint) = &args.entrypoint {
        // A new entrypoint takes its arguments from the command line alone.
        runtime.entrypoint = (!entrypoint.is_empty()).then(|| vec![entrypoint.clone()]);
        runtime.cmd = None;
    }
    if !command.is_empty() {
        runtime.cmd = Some(command.to_vec());
    }
    for file in &args.env_file {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Failure::new(format!("cannot read {}: {e}", file.display())))?;
        for line in text.lines().map(str::trim_start) {
            if !line.is_empty() && !line.starts_with('#') {
                set_variable(app, &mut runtime.env, line);
            }
        }
    }
    args.env.iter().for_each(|pair| set_variable(app, &mut runtime.env, pair));
    if let Some(dir) = &args.workdir {
        runtime.working_dir.clone_from(dir);
    }
    if let Some(user) = &args.user {
        runtime.user.clone_from(user);
    }
    for label in &args.label {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        runtime.labels.insert(name.to_owned(), value.to_owned());
    }
    Ok(runtime)
}

/// `NAME=VALUE` replaces; `NAME` alone takes our value, and removes where we have none.
fn set_variable(app: &App, env: &mut Vec<String>, pair: &str) {
    let name = pair.split('=').next().unwrap_or(pair).to_owned();
    let value = match pair.split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => app.machine.variable(&name),
    };
    let place = env.iter().position(|old| old.split('=').next() == Some(&name));
    match (value, place) {
        (Some(value), Some(place)) => env[place] = format!("{name}={value}"),
        (Some(value), None) => env.push(format!("{name}={value}")),
        (None, Some(place)) => drop(env.remove(place)),
        (None, None) => {}
    }
}
