//! `tierce info`: the store, the machine and how containers are kept apart on it.

use std::fs;

use layerfs::{ContainerState, SnapshotMode};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::ui::{human, say, say_value};

// What `tierce info` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `json`, or placeholders: '{{.Driver}} {{.DockerRootDir}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let info = described(app)?;
    match &args.format {
        None => tell(&info)?,
        Some(format) => say_value(format, &info)?,
    }
    Ok(0)
}

/// Fields have docker's names where docker has them.
fn described(app: &App) -> Result<Value, Failure> {
    let store = app.store()?;
    let (mut running, mut paused, mut stopped) = (0, 0, 0);
    for container in store.containers()? {
        match container.state {
            ContainerState::Running(run) if run.paused => paused += 1,
            ContainerState::Running(_) => running += 1,
            _ => stopped += 1,
        }
    }
    let system = rustix::system::uname();
    let memory = rustix::system::sysinfo();
    let mut security = vec!["name=seccomp"];
    if !rustix::process::geteuid().is_root() || app.has_one_id() {
        security.push("name=rootless");
    }
    if app.is_chroot_only() {
        security = vec!["name=chroot"];
    }
    let mut info = json!({
        "Containers": running + paused + stopped,
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": stopped,
        "Images": store.images()?.len(),
        "Driver": match store.snapshots() {
            SnapshotMode::Overlay => "overlay",
            SnapshotMode::Copy => "copy",
        },
        "DockerRootDir": store.root().display().to_string(),
        "NCPU": app.threads().get(),
        "MemTotal": u64::from(memory.mem_unit) * memory.totalram as u64,
        "KernelVersion": system.release().to_string_lossy(),
        "Architecture": system.machine().to_string_lossy(),
        "OSType": "linux",
        "Name": system.nodename().to_string_lossy(),
        "ServerVersion": crate::VERSION,
        "SecurityOptions": security,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": if has_only_unified_groups() { "2" } else { "1" },
        "DefaultRuntime": "tierce",
        "Runtimes": { "tierce": { "path": "tierce" } },
        "LoggingDriver": "json-file",
        "IPv4Forwarding": reads("/proc/sys/net/ipv4/ip_forward") == "1",
        "OperatingSystem": operating_system(),
        "SystemTime": jiff::Timestamp::now().to_string(),
        "IndexServerAddress": "https://index.docker.io/v1/",
    });
    for (name, value) in always() {
        info[name] = value;
    }
    Ok(info)
}

/// What docker says of what there is nothing of here.
fn always() -> [(&'static str, Value); 12] {
    [
        ("Debug", json!(false)),
        ("DriverStatus", json!([])),
        ("ExperimentalBuild", json!(false)),
        ("HttpProxy", json!("")),
        ("HttpsProxy", json!("")),
        ("InitBinary", json!("")),
        ("Isolation", json!("")),
        ("Labels", json!([])),
        ("LiveRestoreEnabled", json!(true)),
        ("NoProxy", json!("")),
        ("Swarm", json!({ "LocalNodeState": "inactive", "NodeID": "" })),
        ("Warnings", Value::Null),
    ]
}

/// A text of the kernel's; empty where it says nothing.
fn reads(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Whether all control groups are of version 2.
fn has_only_unified_groups() -> bool {
    reads("/proc/self/cgroup").lines().all(|line| line.starts_with("0::"))
}

/// How the machine's distribution calls itself.
fn operating_system() -> String {
    let text = reads("/etc/os-release");
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map(|name| name.trim_matches('"').to_owned()).unwrap_or_default()
}

fn tell(info: &Value) -> Result<(), Failure> {
    let of = |name: &str| match &info[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    say!(
        "Containers: {}\n Running: {}\n Paused: {}\n Stopped: {}\nImages: {}",
        of("Containers"),
        of("ContainersRunning"),
        of("ContainersPaused"),
        of("ContainersStopped"),
        of("Images")
    );
    say!("Version: {}\nSnapshots: {}", of("ServerVersion"), of("Driver"));
    say!("Store: {}", of("DockerRootDir"));
    say!("Kernel: {} {}", of("KernelVersion"), of("Architecture"));
    say!("CPUs: {}", of("NCPU"));
    say!("Memory: {}", human::size(info["MemTotal"].as_u64().unwrap_or_default()));
    Ok(())
}
