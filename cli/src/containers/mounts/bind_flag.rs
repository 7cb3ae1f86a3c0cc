//! `-v [SOURCE:]TARGET[:OPTIONS]`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::PropagationChoice;
use super::mount_flag::target;

/// A value of `-v`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BindFlag {
    pub(super) source: BindSource,
    pub(super) target: PathBuf,
    pub(super) read_only: bool,
    pub(super) no_copy: bool,
    pub(super) propagation: PropagationChoice,
}

/// What a `-v` mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BindSource {
    /// A volume that nobody names.
    Anonymous,
    /// The volume of this name.
    Volume(String),
    /// A path of the machine, perhaps relative to where we are.
    Path(PathBuf),
}

impl FromStr for BindFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<BindFlag, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target_text, options) = match parts[..] {
            [target] => ("", target, ""),
            [source, target] if target.starts_with('/') => (source, target, ""),
            [target, options] if target.starts_with('/') => ("", target, options),
            [source, target, options] => (source, target, options),
            _ => return Err("write it as [SOURCE:]TARGET[:OPTIONS]".into()),
        };
        let source = match source {
            "" if text.starts_with(':') => return Err("the source is empty".into()),
            "" => BindSource::Anonymous,
            path if path.starts_with(['/', '.', '~']) => BindSource::Path(Path::new(path).into()),
            name => BindSource::Volume(name.to_owned()),
        };
        let mut flag = BindFlag {
            source,
            target: target(target_text)?,
            read_only: false,
            no_copy: false,
            propagation: PropagationChoice::default(),
        };
        for word in options.split(',').filter(|word| !word.is_empty()) {
            flag.set(word)?;
        }
        Ok(flag)
    }
}

impl BindFlag {
    /// Whether a volume is wanted at this place, whichever it is.
    pub(super) fn is_any_volume_at(&self, place: &Path) -> bool {
        self.source == BindSource::Anonymous && self.target == place
    }

    fn set(&mut self, word: &str) -> Result<(), String> {
        match word {
            "ro" | "readonly" => self.read_only = true,
            "rw" => self.read_only = false,
            "nocopy" if !matches!(self.source, BindSource::Path(_)) => self.no_copy = true,
            // Labels of SELinux, and hints for other systems: without meaning here.
            // Every bind mount takes along what is mounted below.
            "z" | "Z" | "consistent" | "cached" | "delegated" | "rbind" => {}
            word => match PropagationChoice::named(word) {
                Some(choice) if matches!(self.source, BindSource::Path(_)) => {
                    self.propagation = choice;
                }
                Some(_) => return Err(format!("`{word}` is for paths of the machine")),
                None => return Err(format!("unknown option `{word}`")),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_with_a_slash_is_a_path_and_any_other_a_volume() {
        for (text, source, target) in [
            ("/data", BindSource::Anonymous, "/data"),
            ("/data:ro", BindSource::Anonymous, "/data"),
            ("logs:/data", BindSource::Volume("logs".into()), "/data"),
            ("/a/b:/data:ro,z", BindSource::Path("/a/b".into()), "/data"),
            ("./a:/data/", BindSource::Path("./a".into()), "/data"),
        ] {
            let flag: BindFlag = text.parse().unwrap();
            assert_eq!((flag.source, flag.target), (source, target.into()), "{text}");
        }
        let flag: BindFlag = "logs:/d:ro,nocopy".parse().unwrap();
        assert!(flag.read_only && flag.no_copy);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["", "data", "a:b:c:d", "a:b", "/a:/b:fast", ":/b", "a:/", "v:/d:rshared"] {
            assert!(text.parse::<BindFlag>().is_err(), "{text}");
        }
    }
}
