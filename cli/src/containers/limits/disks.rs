//! How fast a container may use disks: `--device-read-bps /dev/sda:1mb` and its kin.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use runtime::{DiskLimit, DiskRate};
use rustix::fs::{major, minor};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Failure};
use crate::ui::quantity::parse_size;

// What `run` and `create` take about disks.
#[derive(Debug, clap::Args)]
pub(crate) struct DiskArgs {
    /// Its part of the disks when they are busy, from 10 to 1000; others have 500
    #[arg(long, value_name = "NUMBER", value_parser = weight)]
    pub(super) blkio_weight: Option<u16>,
    /// The same of one disk: DEVICE:NUMBER
    #[arg(long, value_name = "DEVICE:NUMBER", value_parser = of_weight)]
    blkio_weight_device: Vec<DiskConfig>,
    /// The most bytes that it may read from a disk in a second: DEVICE:SIZE
    #[arg(long, value_name = "DEVICE:SIZE", value_parser = of_read_bytes)]
    device_read_bps: Vec<DiskConfig>,
    /// The most bytes that it may write to a disk in a second: DEVICE:SIZE
    #[arg(long, value_name = "DEVICE:SIZE", value_parser = of_written_bytes)]
    device_write_bps: Vec<DiskConfig>,
    /// How often it may read from a disk in a second: DEVICE:NUMBER
    #[arg(long, value_name = "DEVICE:NUMBER", value_parser = of_reads)]
    device_read_iops: Vec<DiskConfig>,
    /// How often it may write to a disk in a second: DEVICE:NUMBER
    #[arg(long, value_name = "DEVICE:NUMBER", value_parser = of_writes)]
    device_write_iops: Vec<DiskConfig>,
}

impl DiskArgs {
    /// What is said of single disks.
    pub(super) fn chosen(&self) -> Result<Vec<DiskConfig>, Failure> {
        let all = [
            &self.blkio_weight_device,
            &self.device_read_bps,
            &self.device_write_bps,
            &self.device_read_iops,
            &self.device_write_iops,
        ];
        let all: Vec<DiskConfig> = all.into_iter().flatten().cloned().collect();
        // Before anything is made.
        all.iter().try_for_each(|disk| disk.to_limit().map(drop))?;
        Ok(all)
    }
}

/// What is kept of a limit for a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiskConfig {
    pub(crate) device: PathBuf,
    pub(crate) rate: Rate,
    pub(crate) most: u64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rate {
    ReadBytes,
    WrittenBytes,
    Reads,
    Writes,
    Weight,
}

impl DiskConfig {
    /// As the runtime takes it: what the device is now.
    pub(super) fn to_limit(&self) -> Result<DiskLimit, Failure> {
        let device = self.device.display();
        let found =
            fs::metadata(&self.device).doing(|| format!("cannot find the disk {device}"))?;
        if !found.file_type().is_block_device() {
            return Err(Failure::new(format!("{device} is no disk")));
        }
        let rate = match self.rate {
            Rate::ReadBytes => DiskRate::ReadBytes,
            Rate::WrittenBytes => DiskRate::WrittenBytes,
            Rate::Reads => DiskRate::Reads,
            Rate::Writes => DiskRate::Writes,
            Rate::Weight => DiskRate::Weight,
        };
        let device = (major(found.rdev()), minor(found.rdev()));
        Ok(DiskLimit { device, rate, most: self.most })
    }
}

fn weight(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(weight) if weight == 0 || (10..=1000).contains(&weight) => Ok(weight),
        _ => Err(format!("`{text}` is no number from 10 to 1000")),
    }
}

fn of_weight(text: &str) -> Result<DiskConfig, String> {
    read(text, Rate::Weight, |number| weight(number).map(u64::from))
}

fn of_read_bytes(text: &str) -> Result<DiskConfig, String> {
    read(text, Rate::ReadBytes, parse_size)
}

fn of_written_bytes(text: &str) -> Result<DiskConfig, String> {
    read(text, Rate::WrittenBytes, parse_size)
}

fn of_reads(text: &str) -> Result<DiskConfig, String> {
    read(text, Rate::Reads, number)
}

fn of_writes(text: &str) -> Result<DiskConfig, String> {
    read(text, Rate::Writes, number)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn read(
    text: &str,
    rate: Rate,
    value: impl FnOnce(&str) -> Result<u64, String>,
) -> Result<DiskConfig, String> {
    match text.rsplit_once(':') {
        Some((device, most)) if device.starts_with("/dev/") => {
            Ok(DiskConfig { device: device.into(), rate, most: value(most)? })
        }
        _ => Err(format!("`{text}` is not written as /dev/DISK:VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_and_their_limits_are_read() {
        let disk = of_read_bytes("/dev/sda:1mb").unwrap();
        assert_eq!((disk.device.to_str(), disk.most), (Some("/dev/sda"), 1 << 20));
        assert_eq!(of_writes("/dev/sda:7").unwrap().most, 7);
        assert!(of_writes("/dev/sda:7k").is_err() && of_weight("/dev/sda:5").is_err());
        for text in ["x", "/dev/sda", "sda:1"] {
            assert!(of_reads(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_disk_has_no_limit() {
        for device in ["/dev/null", "/dev/nothing"] {
            let disk = DiskConfig { device: device.into(), rate: Rate::Reads, most: 1 };
            assert!(disk.to_limit().is_err(), "{device}");
        }
    }
}
