//! What the command line says of a container that is to be made.

mod health;
pub(crate) mod isolation;
pub(crate) mod names;
mod refused;
mod seccomp;
pub(crate) mod sharing;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use layerfs::{Container, ContainerSpec, Lease, Store};
use oci::{Platform, RuntimeConfig};
use serde_json::json;

use super::ContainerConfig;
use super::limits::LimitArgs;
use super::mounts::{MountArgs, attach_mounts};
use super::network::NetworkArgs;
use crate::app::App;
use crate::error::Failure;
use crate::keeper::ask::ask_for_end;
use crate::keeper::log::LogLimits;
use crate::keeper::log_notes::LogNotes;
use crate::keeper::restart::RestartPolicy;
use crate::keeper::wire::Request;
use crate::machine::is_in_first_user_namespace;
use crate::pulling::{self, PullPolicy};
use health::HealthOptions;
use isolation::Isolation;
pub(crate) use isolation::Ulimit;
use names::Names;
use refused::{AsItIs, Refused};
use sharing::Sharing;

// What `create` and `run` take alike. `-h` is the host's name, as docker has it.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct CreateOptions {
    /// Say what all of this is
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Remove the container when it has ended
    #[arg(long)]
    pub(crate) rm: bool,
    /// The container's name
    #[arg(long)]
    name: Option<String>,
    /// Remove the container first that has the name
    #[arg(long, requires = "name")]
    replace: bool,
    /// Set a variable: NAME=VALUE, or NAME to take it from here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the variables of a file with a NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Leave out a variable of the image
    #[arg(long, value_name = "NAME")]
    unsetenv: Vec<String>,
    /// Which permissions its new files do not get, as 0022
    #[arg(long, value_name = "MASK", value_parser = umask)]
    umask: Option<u32>,
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
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<String>,
    /// The domain of the machine that the command sees
    #[arg(long, value_name = "NAME")]
    domainname: Option<String>,
    /// Note something with the container, which it does not see: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Pass standard input on
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Set a label of the container: NAME=VALUE
    #[arg(short, long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    #[command(flatten)]
    isolation: Isolation,
    #[command(flatten)]
    sharing: Sharing,
    #[command(flatten)]
    names: Names,
    #[command(flatten)]
    health: HealthOptions,
    /// Write the container's id to a new file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    /// Set the labels of a file with a NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// Where the container's log goes: json-file, local or none
    #[arg(long, value_enum, value_name = "DRIVER", default_value = "json-file")]
    log_driver: LogDriver,
    /// How much is kept of the log, and what is noted with it: max-size=10m, max-file=3, tag=TEXT,
    /// labels=NAMES, env=NAMES
    #[arg(long, value_name = "NAME=VALUE")]
    log_opt: Vec<String>,
    /// When to start the container again: no, always, unless-stopped, on-failure[:TIMES]
    #[arg(long, value_name = "POLICY", default_value = "no")]
    pub(crate) restart: RestartPolicy,
    /// The signal that asks the container to end
    #[arg(long, value_name = "SIGNAL", value_parser = signal)]
    stop_signal: Option<String>,
    /// How many seconds the container may take to end; -1 for any number
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    stop_timeout: Option<i64>,
    #[command(flatten)]
    mounts: MountArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    _refused: Refused,
    #[command(flatten)]
    _as_it_is: AsItIs,
    /// Say nothing of how far a pull is
    #[arg(short, long)]
    quiet: bool,
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

impl CreateOptions {
    /// The name; docker's own tools write it with a slash before it.
    fn name(&self) -> Option<&str> {
        self.name.as_deref().map(|name| name.strip_prefix('/').unwrap_or(name))
    }

    /// What stands in the place of the image, if it looks like a switch.
    pub(crate) fn image_like_a_switch(&self) -> Option<String> {
        self.image_and_command.first().filter(|word| word.starts_with('-')).cloned()
    }
}

/// Makes a container; the lease keeps it.
pub(crate) fn create(
    args: &CreateOptions,
    app: &App,
    store: &Store,
    lease: &Lease,
    stdin: Stdin,
) -> Result<(Container, ContainerConfig), Failure> {
    let Some((image_name, command)) = args.image_and_command.split_first() else {
        return Err(Failure::new("no image is named"));
    };
    // Whatever follows the image is its command's: so what is before it looks like an image.
    if image_name.starts_with('-') {
        return Err(Failure::new(format!("unknown option `{image_name}`"))
            .hint("`--help` lists those that there are"));
    }
    if args.rm && args.restart != RestartPolicy::No {
        return Err(Failure::new("`--rm` and `--restart` exclude each other"));
    }
    args.isolation.check()?;
    args.network.refuse_beside_another(&args.names, args.hostname.as_deref())?;
    // Before anything is made: an id of old must not be taken for the new one.
    let id_file = args.cidfile.as_deref().map(IdFile::new).transpose()?;
    let platform = args.platform.as_ref();
    let image = pulling::image(app, lease, image_name, platform, args.pull, args.quiet)?;
    let image_config = store.config(&image.id)?;
    let mut runtime = image_config.config.clone();
    args.network.expose(&mut runtime)?;
    let ports = args.network.ports(&runtime)?;
    // What is published is listened at.
    for port in &ports {
        let port = format!("{}/{}", port.container, port.protocol.as_str());
        runtime.exposed_ports.entry(port).or_insert_with(|| json!({}));
    }
    // In a user namespace of its own nobody rules the machine's network.
    let could_change =
        args.isolation.rules_its_network() && is_in_first_user_namespace() && !app.is_chroot_only();
    let chosen = args.network.chosen(&ports, &args.sharing, could_change)?;
    NetworkArgs::tell_of_limits(&chosen.network);
    args.sharing.check(&chosen.network)?;
    args.network.check_links(store, &chosen.network)?;
    let (log_notes, log_options) = LogNotes::take(&args.log_opt)?;
    let mut config = ContainerConfig {
        runtime: changed(args, app, runtime, command)?,
        hostname: args.hostname.clone().or_else(|| args.network.hostname()),
        domain: args.domainname.clone(),
        umask: args.umask,
        annotations: args
            .annotation
            .iter()
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        network: chosen.network,
        network_address: chosen.address,
        network_mac: chosen.mac,
        links: args.network.link.clone(),
        network_aliases: chosen.aliases,
        connections: chosen.connections,
        ports,
        publish_all: args.network.publishes_all(),
        limits: args.limits.chosen()?,
        mounts: Vec::new(),
        terminal: args.tty,
        open_stdin: args.interactive,
        stdin_once: stdin == Stdin::Ours && args.interactive,
        auto_remove: args.rm,
        restart: args.restart,
        stop_timeout: args.stop_timeout,
        log: match args.log_driver {
            LogDriver::None => None,
            LogDriver::JsonFile | LogDriver::Local => Some(LogLimits::read(&log_options)?),
        },
        log_notes,
        isolation: args.isolation.clone(),
        sharing: args.sharing.clone(),
        names: args.names.clone(),
        created_nanos: i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0),
    };
    if config.command().is_empty() {
        return Err(Failure::new("no command specified, and the image names none"));
    }
    let spec = ContainerSpec {
        name: args.name().map(str::to_owned),
        image: Some(image.id.clone()),
        image_name: image_name.clone(),
        layers: pulling::unpacked_layers(app, lease, &image)?,
        config: json!(config),
    };
    if let Some(name) = args.name().filter(|_| args.replace) {
        remove_if_there(store, lease, name)?;
    }
    let container = store.create_container(lease, &spec)?;
    if let Err(failure) = attach_mounts(store, lease, &container, &mut config, &args.mounts) {
        store.remove_container_and_volumes(lease, &container.id)?;
        return Err(failure);
    }
    if let Some(file) = id_file {
        file.write(&container.id)?;
    }
    Ok((container, config))
}

/// Ends and removes a container, with the volumes that nobody else has.
fn remove_if_there(store: &Store, lease: &Lease, name: &str) -> Result<(), Failure> {
    let named = store.containers()?.into_iter().find(|container| container.name == name);
    let Some(container) = named else { return Ok(()) };
    if container.state.is_running() {
        let kill = Request::Stop { signal: runtime::Signal::KILL.number(), seconds: None };
        ask_for_end(store, &container, &kill)?;
    }
    match store.remove_container_and_volumes(lease, &container.id) {
        // It was to be removed with its end.
        Err(layerfs::Error::ContainerNotFound { .. }) => Ok(()),
        result => Ok(result?),
    }
}

/// A signal, kept as it is written.
fn signal(text: &str) -> Result<String, String> {
    let known = text.parse::<runtime::Signal>();
    known.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// A mask in octal digits.
fn umask(text: &str) -> Result<u32, String> {
    let mask = u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777);
    mask.ok_or_else(|| format!("`{text}` is no mask, as 0022 is"))
}

/// A new file for an id; dropped without one, it goes again.
struct IdFile(Option<(PathBuf, File)>);

impl IdFile {
    fn new(path: &Path) -> Result<IdFile, Failure> {
        let file = File::create_new(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Failure::new(format!("the file {} is there already", path.display()))
                    .hint("it may have the id of another container: remove it first")
            }
            _ => Failure::new(format!("cannot create {}: {error}", path.display())),
        })?;
        Ok(IdFile(Some((path.to_owned(), file))))
    }

    fn write(mut self, id: &str) -> io::Result<()> {
        match self.0.take() {
            Some((_, mut file)) => file.write_all(id.as_bytes()),
            None => Ok(()),
        }
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if let Some((path, _)) = self.0.take() {
            // It holds nothing; whoever removed it before has done as much.
            let _ = fs::remove_file(path);
        }
    }
}

/// Where a log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogDriver {
    JsonFile,
    Local,
    None,
}

/// Whose input a container's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdin {
    /// That of the command which makes it: with that, it ends.
    Ours,
    /// Anybody's who attaches himself.
    Anybodys,
}

/// The image's way to run with what the command line changes, by docker's rules.
fn changed(
    args: &CreateOptions,
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
    runtime.env.retain(|pair| {
        let name = pair.split('=').next().unwrap_or(pair);
        !args.unsetenv.iter().any(|unwanted| unwanted == name)
    });
    set_variables(app, &mut runtime.env, &args.env_file, &args.env)?;
    if let Some(signal) = &args.stop_signal {
        runtime.stop_signal = Some(signal.clone());
    }
    if let Some(dir) = &args.workdir {
        runtime.working_dir = absolute(dir)?;
    }
    if let Some(user) = &args.user {
        runtime.user.clone_from(user);
    }
    runtime.healthcheck = args.health.change(runtime.healthcheck.as_ref());
    let mut labels = Vec::new();
    for file in &args.label_file {
        let text = fs::read_to_string(file)
            .map_err(|e| Failure::new(format!("cannot read {}: {e}", file.display())))?;
        let lines = text.lines().map(str::trim);
        labels.extend(lines.filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned));
    }
    for label in labels.iter().chain(&args.label) {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        runtime.labels.insert(name.to_owned(), value.to_owned());
    }
    Ok(runtime)
}

/// A working directory of the command line.
pub(crate) fn absolute(dir: &str) -> Result<String, Failure> {
    match dir.starts_with('/') {
        true => Ok(dir.to_owned()),
        false => Err(Failure::new(format!("the working directory `{dir}` is no absolute path"))),
    }
}

/// Sets the variables of files, then those of the command line.
pub(crate) fn set_variables(
    app: &App,
    env: &mut Vec<String>,
    files: &[PathBuf],
    pairs: &[String],
) -> Result<(), Failure> {
    for file in files {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Failure::new(format!("cannot read {}: {e}", file.display())))?;
        for line in text.lines().map(str::trim_start) {
            // A name alone takes our value, if we have one.
            let says = line.contains('=') || app.machine.variable(line).is_some();
            if !line.is_empty() && !line.starts_with('#') && says {
                set_variable(app, env, line)?;
            }
        }
    }
    pairs.iter().try_for_each(|pair| set_variable(app, env, pair))
}

/// `NAME=VALUE` replaces; `NAME` alone takes our value, and stays as it is where we have none.
fn set_variable(app: &App, env: &mut Vec<String>, pair: &str) -> Result<(), Failure> {
    if pair.is_empty() || pair.starts_with('=') {
        return Err(Failure::new(format!("invalid environment variable: `{pair}` has no name")));
    }
    let name = pair.split('=').next().unwrap_or(pair).to_owned();
    let value = match pair.split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => app.machine.variable(&name),
    };
    let place = env.iter().position(|old| old.split('=').next() == Some(&name));
    match (value, place) {
        (Some(value), Some(place)) => env[place] = format!("{name}={value}"),
        (Some(value), None) => env.push(format!("{name}={value}")),
        // The name alone says that the container does not get it from elsewhere either.
        (None, Some(place)) => env[place] = name,
        (None, None) => env.push(name),
    }
    Ok(())
}
