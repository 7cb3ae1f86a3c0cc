//! What runs when a container does: its process, in its surroundings.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use layerfs::{Active, COVERED, Lease, Root};
use runtime::{Chroot, FileContent, Mount, Process, ProvidedFile, Rootfs, Spec, Stdio, user};

use super::options::sharing::{device, devices_below};
use super::{ContainerConfig, OWN_FAILURE, mounts};
use crate::app::App;
use crate::error::{Doing, Failure};
use crate::networks::join::Joined;
use crate::networks::{self, NAMES, NetworkChoice};

/// The process of a container, in its surroundings.
pub(crate) fn spec(
    (app, lease): (&App, &Lease),
    config: &ContainerConfig,
    hostname: &str,
    tree: Active,
    stdio: Stdio,
    joined: &mut Joined,
) -> Result<Spec, Failure> {
    let root = &tree.root;
    let args = config.command();
    if args.is_empty() {
        return Err(
            Failure::new("no command specified, and the image names none").code(OWN_FAILURE)
        );
    }
    let sharing = &config.sharing;
    let user = resolve_user(root, &config.runtime.user, &sharing.group_add)?;
    let cwd = match config.runtime.working_dir.as_str() {
        "" => PathBuf::from("/"),
        dir => Path::new("/").join(dir),
    };
    // docker makes a working directory that is not there.
    root.mkdir_all(&cwd, 0o755, None).doing(|| format!("cannot make {}", cwd.display()))?;
    let env = environment(&config.runtime.env, hostname, &user.home, config.terminal);
    let isolation = &config.isolation;
    let privileges = isolation.privileges(false)?;
    let mut spec = Spec {
        rootfs: match tree.mount {
            Some(mount) => Rootfs::Mount(mount),
            None if app.is_chroot_only() => Rootfs::Chroot(confined(&tree)?),
            None => Rootfs::Path(tree.direct),
        },
        process: Process {
            args: args.into_iter().map(OsString::from).collect(),
            env,
            cwd,
            user,
            umask: config.umask(),
            limits: isolation.limits(),
        },
        hostname: hostname.to_owned(),
        domain: config.domain.clone(),
        namespaces: sharing.namespaces(app.store()?)?,
        sysctls: sharing.sysctl.clone(),
        oom_score_adj: sharing.oom_score_adj,
        network: joined.take_network(),
        mounts: if isolation.privileged { devices() } else { Vec::new() },
        files: provided_files(app, config, hostname, joined),
        capabilities: privileges.capabilities,
        seccomp: privileges.seccomp,
        no_new_privileges: privileges.no_new_privileges,
        read_only: isolation.read_only,
        system_paths: isolation.system_paths(),
        init: isolation.init,
        limits: config.limits.to_limits()?,
        fake_ids: app.has_one_id(),
        stdio,
    };
    for device in sharing.device_mounts()? {
        spec.mounts.retain(|mount| mount.target != device.target);
        spec.mounts.push(device);
    }
    mounts::add(app.store()?, lease, config, &mut spec)?;
    Ok(spec)
}

/// The tree of a snapshot that is no mount.
fn confined(tree: &Active) -> Result<Chroot, Failure> {
    let directory = tree.root.try_clone()?.into_fd();
    Ok(Chroot { directory, aside: tree.place.work.join(COVERED) })
}

/// The machine's devices, beside those that every container has.
fn devices() -> Vec<Mount> {
    let every_containers = [
        "pts", "shm", "mqueue", "console", "ptmx", "null", "zero", "full", "random", "urandom",
        "tty",
    ];
    let is_every_containers = |path: &Path| {
        every_containers.iter().any(|name| path.starts_with(Path::new("/dev").join(name)))
    };
    let found = devices_below(Path::new("/dev"));
    let others = found.into_iter().filter(|path| !is_every_containers(path));
    others.map(|path| device(path.clone(), path)).collect()
}

/// The files of the machine that a container sees in place of the image's.
fn provided_files(
    app: &App,
    config: &ContainerConfig,
    hostname: &str,
    joined: &mut Joined,
) -> Vec<ProvidedFile> {
    // Names belong to the network, whosever that is.
    let host = joined.host.take();
    let owner = host.as_deref().unwrap_or(config);
    let read_only = config.isolation.read_only;
    let file = |path: &str, content: Vec<u8>| ProvidedFile {
        path: PathBuf::from(path),
        content: FileContent::text(content),
        read_only,
    };
    let mut hosts = app.machine.hosts();
    if !hosts.is_empty() && !hosts.ends_with(b"\n") {
        hosts.push(b'\n');
    }
    hosts.extend(owner.names.hosts().into_bytes());
    hosts.extend(format!("127.0.1.1\t{}\n", owner.host_names(hostname)).into_bytes());
    let hosts = match joined.hosts.take() {
        None => file("/etc/hosts", hosts),
        Some(path) => ProvidedFile {
            path: PathBuf::from("/etc/hosts"),
            content: FileContent::Host(path),
            read_only,
        },
    };
    let resolv_conf = match &owner.network {
        NetworkChoice::Named(name) if name == networks::DEFAULT => {
            owner.names.resolv_conf(app.machine.resolv_conf_for_others())
        }
        NetworkChoice::Named(_) => owner.names.resolv_conf_for(NAMES, app.machine.resolv_conf()),
        _ => owner.names.resolv_conf(app.machine.resolv_conf()),
    };
    vec![
        file("/etc/resolv.conf", resolv_conf),
        hosts,
        file("/etc/hostname", format!("{hostname}\n").into_bytes()),
    ]
}

/// The largest `/etc/passwd` or `/etc/group` that is read, in bytes.
const MAX_ACCOUNTS: u64 = 8 << 20;

/// A user of a container, with groups beside those that its files say.
pub(crate) fn resolve_user(
    root: &Root,
    spec: &str,
    groups: &[String],
) -> Result<user::User, Failure> {
    // An image without the file has nobody but numbers.
    let read = |path: &str| {
        let mut bytes = Vec::new();
        let file = root.open_file(path).map_err(io::Error::other);
        file.and_then(|file| file.take(MAX_ACCOUNTS).read_to_end(&mut bytes)).map(|_| bytes)
    };
    let read = |path: &str| read(path).unwrap_or_default();
    let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
    let accounts = user::Accounts { passwd: &passwd, group: &group };
    let mut user = user::resolve(spec, accounts, user::Numeric::LookUp)
        .doing(|| format!("cannot run as user `{spec}`"))?;
    for group in groups {
        let gid = user::resolve_group(group, accounts);
        user.additional_gids.push(gid.doing(|| format!("cannot run with group `{group}`"))?);
    }
    Ok(user)
}

/// The image's environment with what every process may count on.
pub(crate) fn environment(
    image: &[String],
    hostname: &str,
    home: &Path,
    terminal: bool,
) -> Vec<OsString> {
    let has = |name: &str| image.iter().any(|pair| pair.split('=').next() == Some(name));
    // A name alone is a variable that is not to be there.
    let set = image.iter().filter(|pair| pair.contains('='));
    let mut env: Vec<OsString> = set.map(OsString::from).collect();
    if !has("PATH") {
        env.push(format!("PATH={}", oci::DEFAULT_PATH).into());
    }
    if !has("HOSTNAME") {
        env.push(format!("HOSTNAME={hostname}").into());
    }
    if terminal && !has("TERM") {
        env.push("TERM=xterm".into());
    }
    let says_home = |pair: &&OsString| pair.len() > "HOME=".len() && is_home(pair);
    if !env.iter().any(|pair| says_home(&pair)) && !image.iter().any(|pair| pair == "HOME") {
        env.retain(|pair| !is_home(pair));
        let mut home_pair = OsString::from("HOME=");
        home_pair.push(home);
        env.push(home_pair);
    }
    env
}

fn is_home(pair: &OsString) -> bool {
    pair.as_bytes().starts_with(b"HOME=")
}

/// Puts `NAME=VALUE` in the place of the variable of that name, or at the end.
pub(crate) fn replace_variable(env: &mut Vec<String>, pair: &str) {
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    match env.iter_mut().find(|old| name(old) == name(pair)) {
        Some(old) => pair.clone_into(old),
        None => env.push(pair.to_owned()),
    }
}
