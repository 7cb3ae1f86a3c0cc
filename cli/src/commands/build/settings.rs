//! What RUN sees of the machine by the user's choice: `--add-host`, `--dns`, `--shm-size`,
//! `--ulimit`, `--cap-add`, `--volume`.

use builder::{RunSettings, Volume};

use super::volume::VolumeArg;
use crate::containers::options::Ulimit;
use crate::containers::options::isolation::capabilities;
use crate::containers::options::names::Names;
use crate::error::Failure;
use crate::ui::quantity::parse_size;

// The options.
#[derive(clap::Args)]
pub(super) struct SettingsArgs {
    #[command(flatten)]
    names: Names,
    /// How large /dev/shm of RUN may be
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    shm_size: Option<u64>,
    /// What each process of RUN may use
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<Ulimit>,
    /// Give RUN a capability, or ALL
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_add: Vec<String>,
    /// Take a capability from RUN, or ALL
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_drop: Vec<String>,
    /// Let RUN see a directory of this machine, which is no part of the image
    #[arg(short, long, value_name = "DIRECTORY:PLACE[:ro]")]
    volume: Vec<VolumeArg>,
}

impl SettingsArgs {
    /// All of it; a size of zero is that of always, as with docker.
    pub(super) fn settings(&self) -> Result<RunSettings, Failure> {
        let has_capabilities = !self.cap_add.is_empty() || !self.cap_drop.is_empty();
        let capabilities =
            has_capabilities.then(|| capabilities(&self.cap_add, &self.cap_drop)).transpose()?;
        Ok(RunSettings {
            hosts: self.names.add_host.clone(),
            shm_size: self.shm_size.filter(|size| *size > 0),
            limits: self.ulimit.iter().map(Ulimit::limit).collect(),
            capabilities,
        })
    }

    /// `/etc/resolv.conf`, made from the machine's.
    pub(super) fn resolv_conf(&self, machine: Vec<u8>) -> Vec<u8> {
        self.names.resolv_conf(machine)
    }

    /// What RUN sees of the machine's files.
    pub(super) fn volumes(&self) -> Result<Vec<Volume>, Failure> {
        self.volume.iter().map(VolumeArg::volume).collect()
    }
}
