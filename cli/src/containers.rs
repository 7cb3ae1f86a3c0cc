//! Containers as the command line makes them: what is kept of one, and how it is started.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use layerfs::{Active, Container, ContainerState, Durability, Lease, Root, Store};
use oci::RuntimeConfig;
use runtime::{
    CapabilitySet, FileContent, Mount, MountSource, Network, Process, ProvidedFile, Rootfs,
    Seccomp, Spec,
};
use runtime::{Stdio, Stream, SystemPaths, user};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::{Doing, Failure};
use crate::signals;
use crate::terminal::Terminal;

/// The exit status of `run` and `start` when Tierce itself fails, as docker's.
pub(crate) const OWN_FAILURE: u8 = 125;

/// What is kept of a container, so that it can be started again and become an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContainerConfig {
    /// The image's way to run, with what the command line changed.
    pub(crate) runtime: RuntimeConfig,
    /// Its name for the machine; the beginning of its id if none was chosen.
    pub(crate) hostname: Option<String>,
    /// `host` or `none`.
    pub(crate) network: NetworkChoice,
    /// Whether its command has a terminal.
    #[serde(default)]
    pub(crate) terminal: bool,
}

/// The network of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NetworkChoice {
    /// The machine's network
    Host,
    /// A network of its own with nothing but loopback
    None,
}

impl ContainerConfig {
    /// What was kept of a container.
    pub(crate) fn of(container: &Container) -> Result<ContainerConfig, Failure> {
        serde_json::from_value(container.config.clone())
            .doing(|| format!("container {} was not made by this program", container.name))
    }

    /// Program and arguments.
    pub(crate) fn command(&self) -> Vec<String> {
        let parts = [&self.runtime.entrypoint, &self.runtime.cmd];
        parts.into_iter().flatten().flatten().cloned().collect()
    }
}

/// How a container is joined to our own input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attached {
    /// Whether it gets our standard input; it gets none otherwise.
    pub(crate) input: bool,
    /// Whether it gets a terminal of its own.
    pub(crate) terminal: bool,
}

/// Starts a container, waits for its end, notes it down, and answers with its exit status.
pub(crate) fn run_to_end(
    app: &App,
    store: &Store,
    lease: &Lease,
    container: &Container,
    durability: Durability,
    attached: Attached,
) -> Result<u8, Failure> {
    let config = ContainerConfig::of(container)?;
    let tree = store.prepare_container(lease, container, durability)?;
    let hostname = hostname(container, &config);
    let terminal = if attached.terminal { Some(Terminal::open()?) } else { None };
    let stdio = stdio(attached, terminal.as_ref())?;
    let mut spec = spec(app, &config, hostname, tree, stdio)?;
    if let Some(terminal) = &terminal {
        // Programs that look for their terminal's name find it there.
        spec.mounts.push(Mount {
            target: "/dev/console".into(),
            source: MountSource::Bind(terminal.device.clone()),
            read_only: false,
        });
    }
    let signals = signals::Forwarded::catch()?;
    // Until its own process is known, ours stands for it: whoever finds it dead knows the end.
    if let Some(starting) = ContainerState::running(std::process::id()) {
        store.set_container_state(&container.id, starting)?;
    }
    let mut process = match runtime::spawn(spec) {
        Ok(process) => process,
        Err(error) => {
            let code = start_failure_code(&error);
            store.set_container_state(&container.id, ContainerState::exited(code.into()))?;
            return Err(Failure::from(error).code(code));
        }
    };
    if let Some(running) = ContainerState::running(process.pid().unsigned_abs()) {
        store.set_container_state(&container.id, running)?;
    }
    let sizes = terminal.as_ref().map(Terminal::sizes).transpose()?;
    let joined = terminal.map(|terminal| terminal.join(attached.input)).transpose()?;
    let status = signals.forward_until_end(&mut process, sizes)?;
    drop(joined);
    let code = status.shell_code();
    store.set_container_state(&container.id, ContainerState::exited(code))?;
    Ok(u8::try_from(code).unwrap_or(OWN_FAILURE))
}

/// docker's: 127 if the program is not there, 126 if it cannot be run, else a failure of ours.
fn start_failure_code(error: &runtime::Error) -> u8 {
    match error {
        runtime::Error::ExecNotFound { .. } => 127,
        runtime::Error::ExecPermission { .. }
        | runtime::Error::ExecFormat { .. }
        | runtime::Error::Exec { .. } => 126,
        _ => OWN_FAILURE,
    }
}

/// docker's choice where there is none: the first twelve digits of the id.
pub(crate) fn hostname<'a>(container: &'a Container, config: &'a ContainerConfig) -> &'a str {
    config.hostname.as_deref().unwrap_or(&container.id[..12])
}

/// The process of a container, in its surroundings.
fn spec(
    app: &App,
    config: &ContainerConfig,
    hostname: &str,
    tree: Active,
    stdio: Stdio,
) -> Result<Spec, Failure> {
    let root = &tree.root;
    let args = config.command();
    if args.is_empty() {
        return Err(Failure::new("no command: the image names none, so give one").code(OWN_FAILURE));
    }
    let user = resolve_user(root, &config.runtime.user)?;
    let cwd = match config.runtime.working_dir.as_str() {
        "" => PathBuf::from("/"),
        dir => Path::new("/").join(dir),
    };
    // docker makes a working directory that is not there.
    root.mkdir_all(&cwd, 0o755, None).doing(|| format!("cannot make {}", cwd.display()))?;
    let env = environment(&config.runtime.env, hostname, &user.home);
    Ok(Spec {
        rootfs: match tree.mount {
            Some(mount) => Rootfs::Mount(mount),
            None => Rootfs::Path(tree.place.upper),
        },
        process: Process {
            args: args.into_iter().map(OsString::from).collect(),
            env,
            cwd,
            user,
            umask: 0o022,
        },
        hostname: hostname.to_owned(),
        network: match config.network {
            NetworkChoice::Host => Network::Host,
            NetworkChoice::None => Network::None,
        },
        mounts: Vec::new(),
        files: provided_files(app, hostname),
        capabilities: CapabilitySet::DOCKER,
        seccomp: Seccomp::Default,
        no_new_privileges: true,
        read_only: false,
        system_paths: SystemPaths::Protected,
        init: false,
        fake_ids: app.has_one_id(),
        stdio,
    })
}

fn stdio(attached: Attached, terminal: Option<&Terminal>) -> Result<Stdio, Failure> {
    if let Some(terminal) = terminal {
        let stream = || terminal.theirs().map(Stream::Terminal);
        return Ok(Stdio { stdin: stream()?, stdout: stream()?, stderr: stream()? });
    }
    Ok(Stdio {
        stdin: if attached.input { Stream::Inherit } else { Stream::Null },
        stdout: Stream::Inherit,
        stderr: Stream::Inherit,
    })
}

/// The files of the machine that a container sees in place of the image's.
pub(crate) fn provided_files(app: &App, hostname: &str) -> Vec<ProvidedFile> {
    let file = |path: &str, content: Vec<u8>| ProvidedFile {
        path: PathBuf::from(path),
        content: FileContent::text(content),
        read_only: false,
    };
    let mut hosts = app.machine.hosts();
    if !hosts.is_empty() && !hosts.ends_with(b"\n") {
        hosts.push(b'\n');
    }
    hosts.extend(format!("127.0.1.1\t{hostname}\n").into_bytes());
    vec![
        file("/etc/resolv.conf", app.machine.resolv_conf()),
        file("/etc/hosts", hosts),
        file("/etc/hostname", format!("{hostname}\n").into_bytes()),
    ]
}

/// The largest `/etc/passwd` or `/etc/group` that is read, in bytes.
const MAX_ACCOUNTS: u64 = 8 << 20;

fn resolve_user(root: &Root, spec: &str) -> Result<user::User, Failure> {
    // An image without the file has nobody but numbers.
    let read = |path: &str| {
        let mut bytes = Vec::new();
        let file = root.open_file(path).map_err(io::Error::other);
        file.and_then(|file| file.take(MAX_ACCOUNTS).read_to_end(&mut bytes)).map(|_| bytes)
    };
    let read = |path: &str| read(path).unwrap_or_default();
    let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
    let accounts = user::Accounts { passwd: &passwd, group: &group };
    user::resolve(spec, accounts, user::Numeric::LookUp)
        .doing(|| format!("cannot run as user `{spec}`"))
}

/// The image's environment with what every process may count on.
fn environment(image: &[String], hostname: &str, home: &Path) -> Vec<OsString> {
    let has = |name: &str| image.iter().any(|pair| pair.split('=').next() == Some(name));
    let mut env: Vec<OsString> = image.iter().map(OsString::from).collect();
    if !has("PATH") {
        env.push(format!("PATH={}", oci::DEFAULT_PATH).into());
    }
    if !has("HOSTNAME") {
        env.push(format!("HOSTNAME={hostname}").into());
    }
    if !has("HOME") {
        let mut home_pair = OsString::from("HOME=");
        home_pair.push(home);
        env.push(home_pair);
    }
    env
}

/// `Up 3 minutes`, `Exited (0) 2 hours ago`, as `docker ps` words it.
pub(crate) fn status(container: &Container, now: Timestamp) -> String {
    let since = |second: i64| crate::ui::human::duration(now.as_second() - second);
    match container.state {
        ContainerState::Created => "Created".into(),
        ContainerState::Running { since: start, .. } => format!("Up {}", since(start)),
        ContainerState::Exited { code, at } => {
            let mut text = format!("Exited ({code})");
            if let Some(at) = at {
                let _ = write!(text, " {} ago", since(at));
            }
            text
        }
    }
}
