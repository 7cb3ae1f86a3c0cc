//! `build --volume`: what every RUN sees of the machine's files.

use std::path::PathBuf;
use std::str::FromStr;

use builder::Volume;

use crate::error::Failure;

/// `DIRECTORY:PLACE[:ro]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VolumeArg {
    source: PathBuf,
    target: String,
    read_only: bool,
}

impl FromStr for VolumeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<VolumeArg, String> {
        let mut parts = text.split(':');
        let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
            return Err("it is written as DIRECTORY:PLACE".to_owned());
        };
        let options = parts.next().unwrap_or_default();
        if parts.next().is_some() {
            return Err("it is written as DIRECTORY:PLACE:OPTIONS".to_owned());
        }
        if !source.starts_with(['/', '.']) {
            return Err(format!(
                "`{source}` is no path: RUN --mount=type=cache keeps files by name"
            ));
        }
        let is_clean = |path: &str| !path.split('/').any(|part| part == "..");
        if !target.starts_with('/') || !is_clean(target) || target.trim_matches('/').is_empty() {
            return Err(format!("`{target}` is no absolute path below the root"));
        }
        let mut read_only = false;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => read_only = true,
                "rw" => read_only = false,
                // Nothing here goes by the labels that these set.
                "z" | "Z" => {}
                other => return Err(format!("a volume has no option `{other}` here")),
            }
        }
        let parts: Vec<&str> =
            target.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        Ok(VolumeArg { source: source.into(), target: format!("/{}", parts.join("/")), read_only })
    }
}

impl VolumeArg {
    /// What RUN sees.
    pub(super) fn volume(&self) -> Result<Volume, Failure> {
        let cannot = |error| {
            Failure::new(format!("cannot use the volume {}: {error}", self.source.display()))
        };
        let source = self.source.canonicalize().map_err(cannot)?;
        Ok(Volume { source, target: self.target.clone(), read_only: self.read_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_written_as_with_podman() {
        let parse = |text: &str| text.parse::<VolumeArg>();
        let volume = parse("/a:/b//c/:ro,Z").unwrap();
        assert_eq!((volume.target.as_str(), volume.read_only), ("/b/c", true));
        for wrong in ["/a", "name:/b", "/a:b", "/a:/", "/a:/b/../c", "/a:/b:U", "/a:/b:ro:x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
