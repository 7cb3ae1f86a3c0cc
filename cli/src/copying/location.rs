//! Places to copy from and to, as skopeo writes them.

use std::path::PathBuf;

use oci::Reference;

use crate::error::Failure;

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// `docker://NAME`
    Registry(Reference),
    /// `docker://REPOSITORY@@unknown-digest@@`, as skopeo writes it: by digest, without a tag
    Untagged(Reference),
    /// `store:NAME`
    Store(String),
    /// `oci:PATH[:NAME]`
    Layout(PathBuf, Option<String>),
    /// `oci-archive:PATH[:NAME]`
    OciArchive(PathBuf, Option<String>),
    /// `docker-archive:PATH[:NAME]`
    DockerArchive(PathBuf, Option<String>),
    /// `dir:PATH`
    Dir(PathBuf),
}

/// Where from and where to.
pub(crate) struct Pair {
    pub(crate) from: Location,
    pub(crate) to: Location,
}

impl Pair {
    /// Reads both. A bare name beside a place of another kind is the store's; two bare names are
    /// registries'.
    pub(crate) fn parse(from: &str, to: &str) -> Result<Pair, Failure> {
        let (first, second) = (Location::parse(from)?, Location::parse(to)?);
        let both_bare = first.is_none() && second.is_none();
        let bare = |text: &str| -> Result<Location, Failure> {
            Ok(if both_bare {
                Location::Registry(text.parse()?)
            } else {
                Location::Store(text.to_owned())
            })
        };
        let from = first.map_or_else(|| bare(from), Ok)?;
        let to = second.map_or_else(|| bare(to), Ok)?;
        Ok(Pair { from, to })
    }

    /// Whether one of them is the store.
    pub(crate) fn has_store(&self) -> bool {
        [&self.from, &self.to].into_iter().any(Location::is_store)
    }
}

impl Location {
    /// Reads a place. A bare name is one of a registry.
    pub(crate) fn of_registry(text: &str) -> Result<Location, Failure> {
        let written = Location::parse(text)?;
        written.map_or_else(|| Ok(Location::Registry(text.parse()?)), Ok)
    }

    /// Whether files of many owners are made or read there.
    pub(crate) fn is_store(&self) -> bool {
        matches!(self, Location::Store(_))
    }

    /// Reads a place; `None` if it is a bare name.
    fn parse(text: &str) -> Result<Option<Location>, Failure> {
        if let Some(name) = text.strip_prefix("docker://") {
            return Ok(Some(match name.strip_suffix("@@unknown-digest@@") {
                Some(repository) => Location::Untagged(repository.parse()?),
                None => Location::Registry(name.parse()?),
            }));
        }
        let Some((transport, rest)) = text.split_once(':') else { return Ok(None) };
        let of_file = || {
            let (path, name) = match rest.split_once(':') {
                Some((path, name)) => (path, Some(name.to_owned()).filter(|n| !n.is_empty())),
                None => (rest, None),
            };
            if path.is_empty() {
                return Err(Failure::new(format!("`{text}` names no path")));
            }
            Ok((PathBuf::from(path), name))
        };
        Ok(Some(match transport {
            "store" => Location::Store(rest.to_owned()),
            "dir" if !rest.is_empty() => Location::Dir(rest.into()),
            "oci" => of_file().map(|(path, name)| Location::Layout(path, name))?,
            "oci-archive" => of_file().map(|(path, name)| Location::OciArchive(path, name))?,
            "docker-archive" => {
                of_file().map(|(path, name)| Location::DockerArchive(path, name))?
            }
            "docker-daemon" | "containers-storage" | "ostree" | "sif" | "tarball" => {
                return Err(Failure::new(format!(
                    "`{transport}:` is not a place that is known here"
                ))
                .hint("these are: docker://, store:, oci:, oci-archive:, docker-archive:, dir:"));
            }
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_skopeo_writes_them() {
        let layout = |name: Option<&str>| Location::Layout("/a/b".into(), name.map(str::to_owned));
        for (text, expected) in [
            ("docker://busybox:1", Some(Location::Registry("busybox:1".parse().unwrap()))),
            (
                "docker://r.io/x@@unknown-digest@@",
                Some(Location::Untagged("r.io/x".parse().unwrap())),
            ),
            ("oci:/a/b", Some(layout(None))),
            ("oci:/a/b:1.0", Some(layout(Some("1.0")))),
            ("oci:/a/b:r.io/x:1", Some(layout(Some("r.io/x:1")))),
            ("dir:/d", Some(Location::Dir("/d".into()))),
            ("store:x", Some(Location::Store("x".into()))),
            ("localhost:5000/x", None),
            ("busybox:latest", None),
        ] {
            assert_eq!(Location::parse(text).map_err(|f| f.message), Ok(expected), "{text}");
        }
        assert!(Location::parse("oci:").is_err());
        assert!(Location::parse("docker-daemon:x").is_err());
    }

    #[test]
    fn a_bare_name_beside_another_place_is_the_stores() {
        let pair = Pair::parse("x", "oci:/a").map_err(|f| f.message).unwrap();
        assert_eq!(pair.from, Location::Store("x".into()));
        let pair = Pair::parse("x", "r.io/y").map_err(|f| f.message).unwrap();
        assert!(matches!((pair.from, pair.to), (Location::Registry(_), Location::Registry(_))));
    }
}
