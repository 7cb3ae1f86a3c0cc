//! `--tmpfs TARGET[:OPTIONS]`.

use std::path::PathBuf;
use std::str::FromStr;

use super::TmpfsConfig;
use super::mount_flag::target;
use crate::ui::quantity::parse_size;

/// A value of `--tmpfs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TmpfsFlag {
    pub(super) target: PathBuf,
    pub(super) read_only: bool,
    pub(super) options: TmpfsConfig,
}

impl FromStr for TmpfsFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<TmpfsFlag, String> {
        let (path, options) = text.split_once(':').unwrap_or((text, ""));
        let mut flag =
            TmpfsFlag { target: target(path)?, read_only: false, options: TmpfsConfig::default() };
        for word in options.split(',').filter(|word| !word.is_empty()) {
            flag.set(word)?;
        }
        Ok(flag)
    }
}

impl TmpfsFlag {
    fn set(&mut self, word: &str) -> Result<(), String> {
        let number =
            |value: &str| value.parse().map_err(|_| format!("`{value}` in `{word}` is no number"));
        let options = &mut self.options;
        match word.split_once('=').unwrap_or((word, "")) {
            ("ro", "") => self.read_only = true,
            ("rw", "") => self.read_only = false,
            ("exec", "") => options.exec = true,
            ("noexec", "") => options.exec = false,
            ("suid", "") => options.suid = true,
            ("nosuid", "") => options.suid = false,
            ("dev", "") => options.dev = true,
            ("nodev", "") => options.dev = false,
            ("size", size) => options.size = Some(parse_size(size)?),
            ("nr_inodes", count) => options.inodes = Some(parse_size(count)?),
            ("mode", mode) => options.mode = parse_mode(mode)?,
            ("uid", id) => options.owner.0 = number(id)?,
            ("gid", id) => options.owner.1 = number(id)?,
            _ => return Err(format!("unknown option `{word}`")),
        }
        Ok(())
    }
}

/// Permission bits in octal.
pub(super) fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| format!("`{text}` is no mode, such as 1777"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_mount() {
        let flag: TmpfsFlag = "/run:rw,size=64k,mode=700,exec,uid=5".parse().unwrap();
        assert_eq!(flag.options.size, Some(64 << 10));
        assert_eq!((flag.options.mode, flag.options.owner), (0o700, (5, 0)));
        assert!(flag.options.exec && !flag.options.suid && !flag.read_only);
        for text in ["run", "/", "/run:size=big", "/run:mode=9", "/run:fast", "/run:ro=1"] {
            assert!(text.parse::<TmpfsFlag>().is_err(), "{text}");
        }
    }
}
