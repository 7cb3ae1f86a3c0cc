//! `--mount KEY=VALUE,…`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::tmpfs_flag::parse_mode;
use super::{PropagationChoice, TmpfsConfig};
use crate::ui::quantity::parse_size;

/// A value of `--mount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountFlag {
    pub(super) target: PathBuf,
    pub(super) read_only: bool,
    pub(super) content: Content,
}

/// What a `--mount` mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Bind {
        source: PathBuf,
        propagation: PropagationChoice,
        no_submounts: bool,
        create: bool,
    },
    Volume {
        name: Option<String>,
        subpath: PathBuf,
        no_copy: bool,
        labels: BTreeMap<String, String>,
    },
    Tmpfs(TmpfsConfig),
}

impl FromStr for MountFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<MountFlag, String> {
        let mut keys = Keys::read(text)?;
        let kind = keys.take(&["type"]).unwrap_or_else(|| "volume".into());
        let target_text = keys.take(&["target", "destination", "dst"]);
        let target = target(&target_text.ok_or("a target is needed: target=/PATH")?)?;
        let read_only = keys.flag(&["readonly", "ro"])?;
        let source = keys.take(&["source", "src"]);
        // A hint for other systems.
        keys.take(&["consistency"]);
        let content = match kind.as_str() {
            "bind" => keys.bind(source)?,
            "volume" => keys.volume(source)?,
            "tmpfs" if source.is_some() => return Err("a tmpfs has no source".into()),
            "tmpfs" => keys.tmpfs()?,
            other => return Err(format!("unknown type `{other}`: bind, volume or tmpfs")),
        };
        keys.none_left(&kind)?;
        Ok(MountFlag { target, read_only, content })
    }
}

/// Files below /proc that may be replaced, as runc has them.
const IN_PROC: [&str; 9] = [
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "net/dev",
    "slabinfo",
    "stat",
    "swaps",
    "uptime",
];

/// An absolute path that is not the root, without what changes nothing.
pub(super) fn target(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(format!("the target `{text}` is no absolute path"));
    }
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    if let Ok(below) = clean.strip_prefix("/proc")
        && below != Path::new("")
        && !IN_PROC.iter().any(|file| below == Path::new(file))
    {
        return Err(format!("`{text}` is in /proc, where nothing can be mounted"));
    }
    match clean.parent() {
        Some(_) => Ok(clean),
        None => Err("the target is the container's root".into()),
    }
}

/// What stands in a `--mount`, each word once but for labels.
struct Keys(Vec<(String, Option<String>)>);

impl Keys {
    fn read(text: &str) -> Result<Keys, String> {
        let mut keys: Vec<(String, Option<String>)> = Vec::new();
        for field in fields(text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value.to_owned())),
                None => (field.to_lowercase(), None),
            };
            if key != "volume-label" && keys.iter().any(|(known, _)| *known == key) {
                return Err(format!("`{key}` is said twice"));
            }
            keys.push((key, value));
        }
        Ok(Keys(keys))
    }

    /// The value of the first of these names.
    fn take(&mut self, names: &[&str]) -> Option<String> {
        let has_value = |(key, value): &(String, Option<String>)| {
            names.contains(&key.as_str()) && value.is_some()
        };
        let place = self.0.iter().position(has_value)?;
        self.0.remove(place).1
    }

    /// Whether a word is there, alone or as true.
    fn flag(&mut self, names: &[&str]) -> Result<bool, String> {
        let Some(place) = self.0.iter().position(|(key, _)| names.contains(&key.as_str())) else {
            return Ok(false);
        };
        match self.0.remove(place) {
            (_, None) => Ok(true),
            (key, Some(value)) => match value.to_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(format!("`{key}` is true or false, and not `{value}`")),
            },
        }
    }

    fn bind(&mut self, source: Option<String>) -> Result<Content, String> {
        let propagation = match self.take(&["bind-propagation"]) {
            None => PropagationChoice::default(),
            Some(word) => PropagationChoice::named(&word)
                .ok_or_else(|| format!("unknown propagation `{word}`"))?,
        };
        let recursive = match self.take(&["bind-recursive"]).as_deref() {
            None | Some("enabled" | "writable" | "readonly") => true,
            Some("disabled") => false,
            Some(other) => return Err(format!("unknown bind-recursive `{other}`")),
        };
        Ok(Content::Bind {
            source: source.ok_or("a bind mount needs a source: source=/PATH")?.into(),
            propagation,
            no_submounts: self.flag(&["bind-nonrecursive"])? || !recursive,
            create: self.flag(&["bind-create-src"])?,
        })
    }

    fn volume(&mut self, source: Option<String>) -> Result<Content, String> {
        if let Some(driver) = self.take(&["volume-driver"]).filter(|driver| driver != "local") {
            return Err(format!("there is no volume driver `{driver}`: only local"));
        }
        let subpath = PathBuf::from(self.take(&["volume-subpath"]).unwrap_or_default());
        if !subpath.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err("volume-subpath is a path inside the volume, without `..`".into());
        }
        let mut labels = BTreeMap::new();
        while let Some(label) = self.take(&["volume-label"]) {
            let (name, value) = label.split_once('=').unwrap_or((&label, ""));
            labels.insert(name.to_owned(), value.to_owned());
        }
        let no_copy = self.flag(&["volume-nocopy"])?;
        Ok(Content::Volume {
            name: source.filter(|name| !name.is_empty()),
            subpath,
            no_copy,
            labels,
        })
    }

    fn tmpfs(&mut self) -> Result<Content, String> {
        let mut options = TmpfsConfig::default();
        if let Some(size) = self.take(&["tmpfs-size"]) {
            options.size = Some(parse_size(&size)?);
        }
        if let Some(mode) = self.take(&["tmpfs-mode"]) {
            options.mode = parse_mode(&mode)?;
        }
        Ok(Content::Tmpfs(options))
    }

    fn none_left(&self, kind: &str) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => Err(format!("`{key}` is nothing that a mount of type {kind} has")),
        }
    }
}

/// The fields of a line of comma-separated values; one in quotes may have commas.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match (c, fields.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => fields.push(String::new()),
            (c, Some(field)) => field.push(c),
            (_, None) => {}
        }
    }
    if quoted { Err("a quote is not closed".into()) } else { Ok(fields) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_dockers_other_names() {
        let a: MountFlag = "type=bind,source=/a,target=/b,readonly".parse().unwrap();
        let b: MountFlag = "dst=/b,type=bind,src=/a,ro=true".parse().unwrap();
        assert_eq!(a, b);
        assert!(a.read_only);
    }

    #[test]
    fn a_mount_without_a_type_is_a_volume() {
        let flag: MountFlag =
            "source=v,target=/b,volume-subpath=x/y,\"volume-label=a=1,2\"".parse().unwrap();
        let labels = BTreeMap::from([("a".to_owned(), "1,2".to_owned())]);
        let (name, subpath) = (Some("v".into()), "x/y".into());
        assert_eq!(flag.content, Content::Volume { name, subpath, no_copy: false, labels });
    }

    #[test]
    fn what_a_type_does_not_have_is_refused() {
        for text in [
            "type=bind,target=/b",
            "type=tmpfs,source=a,target=/b",
            "type=tmpfs,target=/b,volume-nocopy",
            "type=npipe,target=/b",
            "type=volume,source=v",
            "target=/b,target=/c",
            "target=b",
            "target=/b,ro=perhaps",
            "target=/b,volume-subpath=../x",
            "target=/b,volume-driver=nfs",
            "target=\"/b",
        ] {
            assert!(text.parse::<MountFlag>().is_err(), "{text}");
        }
    }
}
