//! What RUN sees of the machine by the user's choice: `--add-host`, `--shm-size`, `--ulimit`.

use std::net::IpAddr;

use builder::RunSettings;

use crate::containers::options::{Ulimit, host};
use crate::ui::quantity::parse_size;

// The options.
#[derive(clap::Args)]
pub(super) struct SettingsArgs {
    /// Let RUN know a host by name
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = host)]
    add_host: Vec<(String, IpAddr)>,
    /// How large /dev/shm of RUN may be
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    shm_size: Option<u64>,
    /// What each process of RUN may use
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<Ulimit>,
}

impl SettingsArgs {
    /// All of it; a size of zero is that of always, as with docker.
    pub(super) fn settings(&self) -> RunSettings {
        RunSettings {
            hosts: self.add_host.clone(),
            shm_size: self.shm_size.filter(|size| *size > 0),
            limits: self.ulimit.iter().map(Ulimit::limit).collect(),
        }
    }
}
