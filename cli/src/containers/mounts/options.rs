//! The options of `run` and `create` about mounts.

use super::bind_flag::BindFlag;
use super::mount_flag::MountFlag;
use super::tmpfs_flag::TmpfsFlag;

// What `run` and `create` take about mounts.
#[derive(Debug, clap::Args)]
pub(crate) struct MountArgs {
    /// Mount a volume, or a path of the machine: [SOURCE:]TARGET[:OPTIONS]
    #[arg(short, long, value_name = "SOURCE:TARGET")]
    pub(super) volume: Vec<BindFlag>,
    /// Mount something: type=bind|volume|tmpfs,source=…,target=…
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub(super) mount: Vec<MountFlag>,
    /// Mount a file system in memory: TARGET[:OPTIONS]
    #[arg(long, value_name = "TARGET")]
    pub(super) tmpfs: Vec<TmpfsFlag>,
    /// How large /dev/shm may be
    #[arg(long, value_name = "SIZE", value_parser = crate::ui::quantity::parse_size)]
    pub(super) shm_size: Option<u64>,
    /// Mount the volumes of another container: CONTAINER[:ro|:rw]
    #[arg(long, value_name = "CONTAINER")]
    pub(super) volumes_from: Vec<String>,
}
