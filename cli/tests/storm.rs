//! A hundred containers started, stopped and removed from ten processes at once, while supervisors,
//! command lines and containers are killed at any point: nothing of them is left.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use runtime::network;
use testutil::{OrdinaryUser, SubordinateIds, Tierce, busybox_in, processes_with, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_tierce");
/// How many work at once, and how many containers each of them starts.
const WORKERS: u32 = 10;
const TURNS: u32 = 10;

/// Numbers that look random, and are the same at each try.
struct Dice(u32);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % limit
    }
}

fn kill(pid: &str) {
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-9", pid]).stderr(Stdio::null()).status();
}

/// The process of a container and that of its keeper, while it runs.
fn processes_of(tierce: &Tierce, name: &str) -> Option<(String, String)> {
    let pid = tierce.run(["inspect", "-f", "{{.State.Pid}}", name]).stdout.trim().to_owned();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let keeper = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.to_owned();
    Some((pid, keeper))
}

/// One container's life: on a network, with a port, and an end that the dice choose.
fn live(tierce: &Tierce, name: &str, dice: &mut Dice) {
    let script = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
    let run = ["run", "-d", "--name", name, "--network", "lan", "-p", "127.0.0.1::80"];
    let run = [&run[..], &["busybox", "sh", "-c", script]].concat();
    let mut command = tierce.command(&run);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let end = dice.below(6);
    if end == 0 {
        // The command line is killed, anywhere on its way.
        let mut started = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(dice.below(120).into()));
        let _ = started.kill();
        started.wait().unwrap();
        return;
    }
    assert!(command.status().unwrap().success(), "{name}");
    match end {
        1 => kill(&processes_of(tierce, name).unwrap().1),
        2 => kill(&processes_of(tierce, name).unwrap().0),
        3 => drop(tierce.ok(["stop", "-t", "5", name])),
        4 => {
            tierce.ok(["restart", "-t", "0", name]);
            kill(&processes_of(tierce, name).unwrap().1);
        }
        _ => drop(tierce.ok(["rm", "-f", name])),
    }
}

/// What is said of each container is so.
fn assert_the_list_is_right(tierce: &Tierce) {
    let settled = || {
        let list = tierce.ok(["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
        list.lines().all(|line| {
            let (name, state) = line.split_once(' ').unwrap();
            match state {
                "running" => processes_of(tierce, name).is_some(),
                "exited" | "created" => processes_of(tierce, name).is_none(),
                _ => false,
            }
        })
    };
    wait_until("the list is right", settled);
}

fn storm(tierce: &Tierce) {
    let base = tierce.scratch().join("base");
    std::fs::create_dir_all(&base).unwrap();
    busybox_in(tierce, Path::new(&base));
    tierce.ok(["network", "create", "lan"]);
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            scope.spawn(move || {
                let mut dice = Dice(worker * 2_654_435 + 1);
                for turn in 0..TURNS {
                    live(tierce, &format!("c{worker}-{turn}"), &mut dice);
                }
            });
        }
    });
    assert_the_list_is_right(tierce);
    let all = tierce.ok(["ps", "-aq"]);
    if !all.is_empty() {
        tierce.ok(["rm", "-f"].into_iter().chain(all.lines()));
    }
    tierce.ok(["network", "rm", "lan"]);
    tierce.ok(["prune", "-f"]);
    let mark = tierce.scratch().path().file_name().unwrap().to_string_lossy().into_owned();
    wait_until("all processes are gone", || processes_with(&mark).is_empty());
    assert!(!std::fs::read_to_string("/proc/self/mounts").unwrap().contains(&mark));
    for dir in ["containers", "leases", "staging"] {
        let left = std::fs::read_dir(tierce.root().join(dir)).unwrap().count();
        assert_eq!(left, 0, "{dir}");
    }
    let networks = std::fs::read_dir(tierce.root().join("networks")).unwrap();
    let left: Vec<_> = networks.flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| name == ".holders"), "{left:?}");
}

/// The interfaces of the calling thread's network, loopback excepted, and the tables of its packet
/// filter.
fn traces() -> (Vec<String>, String) {
    let interfaces = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let names = interfaces.lines().filter_map(|line| line.split_once(':'));
    let names = names.map(|(name, _)| name.trim().to_owned()).filter(|name| name != "lo");
    let tables = Command::new("nft").args(["list", "tables"]).output();
    let tables = tables.map_or(String::new(), |output| String::from_utf8(output.stdout).unwrap());
    (names.collect(), tables)
}

#[test]
fn a_hundred_containers_of_root() {
    let tierce = Tierce::new(BINARY);
    let machine = network::new_namespace().unwrap();
    network::in_namespace(machine.as_fd(), || {
        storm(&tierce);
        // The kernel clears namespaces away after the last process of each has gone.
        wait_until("nothing is left", || traces() == (Vec::new(), String::new()));
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_hundred_containers_of_an_ordinary_user() {
    let user = OrdinaryUser::new(SubordinateIds::Many);
    storm(&user.tierce(BINARY));
}
