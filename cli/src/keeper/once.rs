//! One run of a container under a keeper: its process, and the pipes or the terminal it has.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::OwnedFd;

use layerfs::{Container, Durability, Lease, Store};
use runtime::{Mount, MountSource, Stdio, Stream};

use super::log::Channel;
use super::outputs::Outputs;
use super::wire::Size;
use crate::app::App;
use crate::containers::{ContainerConfig, hostname_seen, spec, start_failure};
use crate::error::Failure;
use crate::networks::join::{Joined, join};
use crate::terminal::Terminal;

/// A container that was started.
pub(super) struct Started {
    pub(super) process: runtime::Container,
    /// What it says.
    pub(super) outputs: Vec<(Channel, File)>,
    /// Where what it reads is written to.
    pub(super) input: Option<File>,
    /// Our side of its terminal.
    pub(super) terminal: Option<File>,
    /// Its place on its network, given back when this is dropped.
    pub(super) joined: Joined,
}

/// The two sides of a container's streams.
struct Streams {
    theirs: Stdio,
    outputs: Vec<(Channel, File)>,
    input: Option<File>,
    terminal: Option<File>,
    console: Option<Mount>,
}

/// Starts the container, whose state says already that it runs.
pub(super) fn start(
    app: &App,
    lease: &Lease,
    store: &Store,
    container: &Container,
    config: &ContainerConfig,
    size: Option<Size>,
) -> Result<Started, Failure> {
    let durability = if config.auto_remove { Durability::Volatile } else { Durability::Durable };
    let tree = store.prepare_container(lease, container, durability)?;
    let streams = if config.terminal { of_terminal(config, size)? } else { of_pipes(config)? };
    let mut joined = join(app, store, container, config)?;
    let hostname = hostname_seen(store, container, config);
    let mut spec = spec((app, lease), config, &hostname, tree, streams.theirs, &mut joined)?;
    spec.mounts.extend(streams.console);
    let process = runtime::spawn(spec).map_err(start_failure)?;
    let Streams { outputs, input, terminal, .. } = streams;
    Ok(Started { process, outputs, input, terminal, joined })
}

fn of_terminal(config: &ContainerConfig, size: Option<Size>) -> Result<Streams, Failure> {
    let terminal = Terminal::open()?;
    if let Some(size) = size {
        terminal.resize(size);
    }
    let stream = || terminal.theirs().map(Stream::Terminal);
    let theirs = Stdio { stdin: stream()?, stdout: stream()?, stderr: stream()? };
    // Programs that look for their terminal's name find it there.
    let console = Some(Mount {
        target: "/dev/console".into(),
        source: MountSource::Bind(terminal.device.clone()),
        read_only: false,
    });
    let input = config.open_stdin.then(|| terminal.ours()).transpose()?;
    let sizes = Some(terminal.ours()?);
    let outputs = vec![(Channel::Stdout, terminal.into_ours())];
    Ok(Streams { theirs, outputs, input, terminal: sizes, console })
}

fn of_pipes(config: &ContainerConfig) -> io::Result<Streams> {
    let output = || -> io::Result<(File, Stream)> {
        let (reader, writer): (PipeReader, PipeWriter) = io::pipe()?;
        Ok((File::from(OwnedFd::from(reader)), Stream::Fd(writer.into())))
    };
    let ((out, stdout), (err, stderr)) = (output()?, output()?);
    let (stdin, input) = if config.open_stdin {
        let (reader, writer) = io::pipe()?;
        (Stream::Fd(reader.into()), Some(File::from(OwnedFd::from(writer))))
    } else {
        (Stream::Null, None)
    };
    let outputs = vec![(Channel::Stdout, out), (Channel::Stderr, err)];
    let theirs = Stdio { stdin, stdout, stderr };
    Ok(Streams { theirs, outputs, input, terminal: None, console: None })
}

/// Passes on what comes until there is no more.
pub(super) fn pump(mut from: File, channel: Channel, to: &Outputs) {
    let mut buffer = vec![0; 32 << 10];
    loop {
        match from.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // A terminal whose other side is closed answers with an error.
            Ok(0) | Err(_) => break,
            Ok(count) => to.write(channel, &buffer[..count]),
        }
    }
    to.end_line(channel);
}
