//! What runs when a container does: its process, in its surroundings.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use layerfs::{Active, Root};
use runtime::{
    CapabilitySet, FileContent, Network, Process, ProvidedFile, Rootfs, Seccomp, Spec, Stdio,
    SystemPaths, user,
};

use super::{ContainerConfig, NetworkChoice, OWN_FAILURE, mounts};
use crate::app::App;
use crate::error::{Doing, Failure};

/// The process of a container, in its surroundings.
pub(crate) fn spec(
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
    let mut spec = Spec {
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
        limits: config.limits.to_limits(),
        fake_ids: app.has_one_id(),
        stdio,
    };
    mounts::add(app.store()?, config, &mut spec)?;
    Ok(spec)
}

/// The files of the machine that a container sees in place of the image's.
fn provided_files(app: &App, hostname: &str) -> Vec<ProvidedFile> {
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
