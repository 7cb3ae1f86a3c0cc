//! The way out of a bridge: to where the machine itself can reach, under the machine's address.
//!
//! Each bridge has a table of rules of its own, which goes with it. The machine may have to pass
//! packets on, which it may not do otherwise: then it is told to for the interfaces that lead out,
//! a further table drops what comes in there and is for no bridge, and what was told is written
//! down below `/run`, so that whoever removes the last bridge takes it back, whoever made it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Interface;
use super::netlink::{Netlink, Request};
use super::rules::{Expression, Hook, Is, Rule};
use crate::error::Error;

/// How the names of all bridges begin that have a way out.
pub const BRIDGES: &str = "tc-";

/// The table for what is no bridge's.
const CLOSED: &str = "tierce-closed";

/// Opens the way out of a bridge of this network, whose name begins with [`BRIDGES`]. Answers
/// whether the machine has an interface that leads out.
///
/// # Errors
/// When the kernel has no packet filter for us, or its settings cannot be changed.
pub fn open(bridge: &str, network: Interface) -> Result<bool, Error> {
    let failed = |errno| Error::setup(format!("open the way out of the bridge {bridge}"), errno);
    let ways = ways_out().map_err(|error| Error::setup("read the machine's routes", error))?;
    let Some(record) = Record::lock(true)? else { return Ok(false) };
    let mut told = record.read()?;
    if let Err(errno) = replace(bridge, &rules_of(bridge, network)) {
        // A kernel without a packet filter: no record means that there is nothing to close.
        if told.is_empty() {
            record.remove()?;
        }
        return Err(failed(errno));
    }
    forward(bridge, true).map_err(|error| {
        Error::setup(format!("have the machine pass on what comes from {bridge}"), error)
    })?;
    for way in &ways {
        if !told.contains(way) && !is_forwarding(way) {
            told.push(way.clone());
        }
    }
    if !told.is_empty() {
        record.write(&told)?;
        replace(CLOSED, &closing(&told)).map_err(failed)?;
        for way in &told {
            forward(way, true).map_err(|e| {
                Error::setup(format!("have the machine pass on what comes by {way}"), e)
            })?;
        }
    }
    Ok(!ways.is_empty())
}

/// The same in a network namespace that has nothing but bridges and their way out, and needs no
/// record: all goes with it.
///
/// # Errors
/// As [`open`].
pub fn open_in_own_namespace(bridge: &str, network: Interface) -> Result<bool, Error> {
    let failed = |errno| Error::setup(format!("open the way out of the bridge {bridge}"), errno);
    let ways = ways_out().map_err(|error| Error::setup("read the routes", error))?;
    replace(bridge, &rules_of(bridge, network)).map_err(failed)?;
    for interface in ways.iter().map(String::as_str).chain([bridge]) {
        forward(interface, true)
            .map_err(|e| Error::setup(format!("pass on what comes by {interface}"), e))?;
    }
    Ok(!ways.is_empty())
}

/// Closes the way out of a bridge, if it is open; after that of the last one the machine is as it
/// was.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn close(bridge: &str) -> Result<(), Error> {
    let failed = |errno| Error::setup(format!("close the way out of the bridge {bridge}"), errno);
    let Some(record) = Record::lock(false)? else { return Ok(()) };
    remove(bridge).map_err(failed)?;
    let told = record.read()?;
    let others = interfaces().map_err(|e| Error::setup("list the machine's interfaces", e))?;
    if others.iter().any(|name| name.starts_with(BRIDGES) && name != bridge) {
        return Ok(());
    }
    for way in &told {
        // An interface that has gone meanwhile passes nothing on.
        let _ = forward(way, false);
    }
    remove(CLOSED).map_err(failed)?;
    record.remove()
}

/// What a bridge's own table says: its containers are seen as the machine, and nobody reaches
/// them unasked.
fn rules_of(bridge: &str, network: Interface) -> Vec<Rule> {
    let leave = [
        Expression::is_from(network),
        Expression::leaves_by(Is::Other, bridge),
        vec![Expression::masquerade()],
    ];
    let answer = [
        Expression::leaves_by(Is::Equal, bridge),
        Expression::is_known(),
        vec![Expression::accept()],
    ];
    let among = [
        Expression::came_by(Is::Equal, bridge),
        Expression::leaves_by(Is::Equal, bridge),
        vec![Expression::accept()],
    ];
    let reach = [Expression::leaves_by(Is::Equal, bridge), vec![Expression::drop()]];
    vec![
        Rule::chain(bridge, "leaving", Hook::Source),
        Rule::append(bridge, "leaving", &leave.into_iter().flatten().collect::<Vec<_>>()),
        Rule::chain(bridge, "passing", Hook::Forward),
        Rule::append(bridge, "passing", &answer.into_iter().flatten().collect::<Vec<_>>()),
        Rule::append(bridge, "passing", &among.into_iter().flatten().collect::<Vec<_>>()),
        Rule::append(bridge, "passing", &reach.into_iter().flatten().collect::<Vec<_>>()),
    ]
}

/// What the further table says: by these interfaces nothing passes but to a bridge.
fn closing(ways: &[String]) -> Vec<Rule> {
    let mut rules = vec![Rule::chain(CLOSED, "passing", Hook::Forward)];
    for way in ways {
        let mut expressions = Expression::came_by(Is::Equal, way);
        expressions.extend(Expression::leaves_by_one_of(Is::Other, BRIDGES));
        expressions.push(Expression::drop());
        rules.push(Rule::append(CLOSED, "passing", &expressions));
    }
    rules
}

/// Makes a table anew, at once with what was in it before.
fn replace(table: &str, rules: &[Rule]) -> Result<(), Errno> {
    // What is to be removed must be there.
    let before = [Rule::begin(), Rule::table(table), Rule::remove_table(table), Rule::table(table)];
    send(before.iter().chain(rules).chain([&Rule::end()]))
}

/// Removes a table, if it is there.
fn remove(table: &str) -> Result<(), Errno> {
    send([Rule::begin(), Rule::table(table), Rule::remove_table(table), Rule::end()].iter())
}

fn send<'a>(batch: impl Iterator<Item = &'a Rule>) -> Result<(), Errno> {
    let batch: Vec<&dyn Request> = batch.map(|rule| rule as &dyn Request).collect();
    Netlink::open_filter()?.ask_batch(&batch)
}

/// The interfaces by which the machine reaches what it has no other route to.
fn ways_out() -> io::Result<Vec<String>> {
    let mut ways: Vec<String> = Vec::new();
    for line in fs::read_to_string("/proc/thread-self/net/route")?.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [way, "00000000", _, _, _, _, _, "00000000", ..] = fields[..]
            && !ways.iter().any(|known| known == way)
        {
            ways.push(way.to_owned());
        }
    }
    Ok(ways)
}

/// The names of all interfaces.
fn interfaces() -> io::Result<Vec<String>> {
    let list = fs::read_to_string("/proc/thread-self/net/dev")?;
    let names = list.lines().filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
}

/// The setting by which an interface's packets are passed on.
fn setting(interface: &str) -> PathBuf {
    Path::new("/proc/sys/net/ipv4/conf").join(interface).join("forwarding")
}

fn is_forwarding(interface: &str) -> bool {
    fs::read(setting(interface)).is_ok_and(|value| value.starts_with(b"1"))
}

fn forward(interface: &str, on: bool) -> io::Result<()> {
    fs::write(setting(interface), if on { "1" } else { "0" })
}

/// What this machine was told since it started, a name a line; locked.
struct Record {
    path: PathBuf,
    _lock: File,
}

impl Record {
    /// The record, if there is one or one is to be made.
    fn lock(create: bool) -> Result<Option<Record>, Error> {
        match Record::open(create) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::setup("open what the machine was told to pass on", error)),
            Ok(record) => Ok(Some(record)),
        }
    }

    fn open(create: bool) -> io::Result<Record> {
        // Containers of containers may share the directory, and not the interfaces.
        let namespace = fs::metadata("/proc/thread-self/ns/net")?.ino();
        let path = PathBuf::from(format!("/run/tierce-forwarding-{namespace}"));
        loop {
            let lock = File::options().create(create).append(true).open(&path)?;
            flock(&lock, FlockOperation::LockExclusive)?;
            // Whoever had it before may have removed it.
            if fs::metadata(&path)
                .is_ok_and(|there| there.ino() == lock.metadata().map_or(0, |m| m.ino()))
            {
                return Ok(Record { path, _lock: lock });
            }
        }
    }

    fn read(&self) -> Result<Vec<String>, Error> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::setup(format!("read {}", self.path.display()), error)),
        }
    }

    fn remove(self) -> Result<(), Error> {
        fs::remove_file(&self.path)
            .map_err(|error| Error::setup(format!("remove {}", self.path.display()), error))
    }

    /// In place: the lock is on this very file.
    fn write(&self, ways: &[String]) -> Result<(), Error> {
        let text: String = ways.iter().map(|way| format!("{way}\n")).collect();
        fs::write(&self.path, text)
            .map_err(|error| Error::setup(format!("write {}", self.path.display()), error))
    }
}
