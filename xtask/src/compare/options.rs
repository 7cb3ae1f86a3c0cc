//! What `cargo xtask compare` is told.

use std::path::PathBuf;

use crate::step::Result;

/// How it is used.
pub(crate) const USAGE: &str = "usage: cargo xtask compare docker|buildah [CASE…] [OPTIONS]

  Builds the cases of testdata/dockerfile with Tierce and with a peer, and compares the images:
  trees, configs, histories. A difference that a case does not list as deliberate fails.

  --via PREFIX    put these words before the peer's command (`--via \"peers run\"`)
  --binary FILE   the `tierce` to compare, in place of one built now
  --record        write what the peer built into the cases' expectations, in place of comparing";

/// Who is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// docker, with BuildKit.
    Docker,
    /// buildah.
    Buildah,
}

/// The arguments, understood.
#[derive(Debug)]
pub(crate) struct Options {
    /// Who is compared with; `None` asks for help.
    pub(crate) peer: Option<Peer>,
    /// The cases asked for; all, if none is named.
    pub(crate) cases: Vec<String>,
    /// The words before the peer's command.
    pub(crate) via: Vec<String>,
    /// The program to compare.
    pub(crate) binary: Option<PathBuf>,
    /// Whether expectations are written.
    pub(crate) record: bool,
}

impl Options {
    /// Understands the arguments.
    pub(crate) fn parse(args: &[String]) -> Result<Options> {
        let mut options =
            Options { peer: None, cases: Vec::new(), via: Vec::new(), binary: None, record: false };
        let mut args = args.iter();
        match args.next().map(String::as_str) {
            Some("docker") => options.peer = Some(Peer::Docker),
            Some("buildah") => options.peer = Some(Peer::Buildah),
            Some("--help") | None => return Ok(options),
            Some(other) => return Err(format!("there is no peer `{other}`\n\n{USAGE}")),
        }
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("`{arg}` wants a value"));
            match arg.as_str() {
                "--via" => options.via = value()?.split_whitespace().map(str::to_owned).collect(),
                "--binary" => options.binary = Some(value()?.into()),
                "--record" => options.record = true,
                flag if flag.starts_with('-') => {
                    return Err(format!("there is no option `{flag}`\n\n{USAGE}"));
                }
                case => options.cases.push(case.to_owned()),
            }
        }
        Ok(options)
    }
}
