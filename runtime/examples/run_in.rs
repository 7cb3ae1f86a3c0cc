//! Runs a command on a directory, as `tierce run` does on a snapshot:
//! `run_in [--single] [--fake-ids] [--init] [--no-network] [--user USER] [--bench N]
//! DIRECTORY COMMAND…`.
//!
//! As an ordinary user it becomes root of a user namespace first, and says on standard error
//! what that namespace is like.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use runtime::user::{Accounts, Numeric, resolve};
use runtime::userns::{Ids, Isolation, Mode, enter};
use runtime::{
    CapabilitySet, FileContent, Limits, Namespaces, Network, Process, ProvidedFile, Rootfs,
    Seccomp, Spec, Stdio, Stream, SystemPaths, spawn,
};

/// What the command line says.
#[derive(Default)]
struct Options {
    single: bool,
    fake_ids: bool,
    no_network: bool,
    init: bool,
    user: String,
    /// How often to run it, with the times printed.
    bench: Option<usize>,
    directory: PathBuf,
    command: Vec<std::ffi::OsString>,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options::default();
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--single") => options.single = true,
            Some("--fake-ids") => options.fake_ids = true,
            Some("--init") => options.init = true,
            Some("--no-network") => options.no_network = true,
            Some("--user") => {
                let user = args.next().and_then(|user| user.into_string().ok());
                options.user = user.ok_or("--user needs a name")?;
            }
            Some("--bench") => {
                let count = args.next().and_then(|count| count.into_string().ok());
                options.bench = Some(count.ok_or("--bench needs a number")?.parse()?);
            }
            _ => {
                options.directory = arg.into();
                options.command = args.collect();
                return Ok(options);
            }
        }
    }
    Err("which directory?".into())
}

fn spec(options: &Options) -> Result<Spec, Box<dyn Error>> {
    let read = |name: &str| fs::read(Path::new(&options.directory).join(name)).unwrap_or_default();
    let (passwd, group) = (read("etc/passwd"), read("etc/group"));
    let accounts = Accounts { passwd: &passwd, group: &group };
    let user = resolve(&options.user, accounts, Numeric::LookUp)?;
    let mut home = std::ffi::OsString::from("HOME=");
    home.push(&user.home);
    Ok(Spec {
        rootfs: Rootfs::Path(options.directory.clone()),
        process: Process {
            args: options.command.clone(),
            env: vec!["PATH=/usr/sbin:/usr/bin:/sbin:/bin".into(), home],
            cwd: "/".into(),
            user,
            umask: 0o022,
            limits: Vec::new(),
        },
        hostname: "example".into(),
        domain: None,
        namespaces: Namespaces::default(),
        sysctls: Vec::new(),
        oom_score_adj: None,
        network: if options.no_network { Network::None } else { Network::Host },
        mounts: Vec::new(),
        files: vec![ProvidedFile {
            path: "/etc/hosts".into(),
            content: FileContent::text("127.0.0.1 localhost\n"),
            read_only: false,
        }],
        capabilities: CapabilitySet::DOCKER,
        seccomp: Seccomp::Default,
        no_new_privileges: true,
        read_only: false,
        system_paths: SystemPaths::Protected,
        init: options.init,
        limits: Limits::default(),
        fake_ids: options.fake_ids,
        stdio: Stdio { stdin: Stream::Inherit, stdout: Stream::Inherit, stderr: Stream::Inherit },
    })
}

fn run() -> Result<i32, Box<dyn Error>> {
    let options = options()?;
    let mode = if options.single { Mode::Single } else { Mode::Auto };
    let entered = enter(mode, Isolation::Namespaces, &[])?;
    match entered.ids {
        Ids::Own => {}
        Ids::Full { uids, gids } => eprintln!("{uids} users, {gids} groups"),
        Ids::Single { reason } => eprintln!("one user: {reason}"),
    }
    let mut starts = Vec::new();
    let mut ends = Vec::new();
    loop {
        let start = Instant::now();
        let mut container = spawn(spec(&options)?)?;
        starts.push(start.elapsed());
        let status = container.wait()?;
        ends.push(start.elapsed());
        if ends.len() >= options.bench.unwrap_or(1) {
            if options.bench.is_some() {
                show("started after", starts);
                show("ended after", ends);
            }
            return Ok(status.shell_code());
        }
    }
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    eprintln!("{what} {:?} at best, {:?} at the median", times[0], times[times.len() / 2]);
}

fn main() -> ExitCode {
    match run() {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX)),
        Err(error) => {
            let mut next: Option<&dyn Error> = Some(error.as_ref());
            while let Some(error) = next {
                eprintln!("run_in: {error}");
                next = error.source();
            }
            ExitCode::from(125)
        }
    }
}
