//! `RUN`.

mod csv;
mod device;
mod mount;

use super::flag::{Flag, Flags};
use super::{CommandLine, Directive};
use crate::diagnostic::Diagnostic;
use crate::syntax::{Line, Word};

pub use csv::csv_fields;
pub use device::Device;
pub use mount::{Field, Key, Mount, MountSpec, Ownership, Sharing};

/// `RUN [flags] command`: runs a command and keeps what it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command. In the shell form it holds the words that begin here-documents, whose bodies
    /// the statement has.
    pub command: CommandLine,
    /// `--mount`, in order.
    pub mounts: Vec<Flag<Mount>>,
    /// `--network`.
    pub network: Option<Flag<Network>>,
    /// `--security`.
    pub security: Option<Flag<Security>>,
    /// `--device`, in order.
    pub devices: Vec<Flag<Device>>,
}

/// The network that a command sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// What the build was told.
    Default,
    /// None but loopback.
    None,
    /// The host's.
    Host,
}

/// How a command is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// As a container is by default.
    Sandbox,
    /// With all privileges that the build has been granted.
    Insecure,
}

impl Directive for Run {
    const KEYWORD: &'static str = "RUN";
    const HEREDOCS: bool = true;

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        let mut flags = Flags::of(line);
        let mounts = flags.words("mount")?;
        let network = flags.word("network")?;
        let security = flags.word("security")?;
        let devices = flags.words("device")?;
        flags.finish()?;
        Ok(Self {
            command: CommandLine::parse(line.rest)?,
            mounts: each(mounts, |word| Mount::parse(&word))?,
            network: network.map(|flag| flag.try_map(|word| Network::parse(&word))).transpose()?,
            security: security
                .map(|flag| flag.try_map(|word| Security::parse(&word)))
                .transpose()?,
            devices: each(devices, |word| Device::parse(&word))?,
        })
    }
}

fn each<T>(
    flags: Vec<Flag<Word>>,
    read: impl Fn(Word) -> Result<T, Diagnostic>,
) -> Result<Vec<Flag<T>>, Diagnostic> {
    flags.into_iter().map(|flag| flag.try_map(&read)).collect()
}

impl Network {
    fn parse(word: &Word) -> Result<Self, Diagnostic> {
        match word.text.as_str() {
            "default" => Ok(Self::Default),
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            other => Err(Diagnostic::error(word.span, format!("`{other}` is no network mode"))
                .did_you_mean(other, ["default", "none", "host"])
                .note("the modes are default, none and host")),
        }
    }
}

impl Security {
    fn parse(word: &Word) -> Result<Self, Diagnostic> {
        match word.text.as_str() {
            "sandbox" => Ok(Self::Sandbox),
            "insecure" => Ok(Self::Insecure),
            other => Err(Diagnostic::error(word.span, format!("`{other}` is no security mode"))
                .did_you_mean(other, ["sandbox", "insecure"])
                .note("the modes are sandbox and insecure")),
        }
    }
}
