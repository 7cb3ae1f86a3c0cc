//! `build --output`, `--push`, `--load`: what becomes of what was built.

use std::path::PathBuf;
use std::str::FromStr;

use builder::instruction::csv_fields;
use oci::archive::ArchiveFormat;
use oci::compress::Compression;
use oci::edit::Annotate;
use oci::{Reference, transfer::ManifestFormat};

use super::Args;
use super::podman::Format;
use crate::error::Failure;

// The options.
#[derive(clap::Args)]
pub(super) struct OutputArgs {
    /// What becomes of the build: a directory (for its files), or type=local, tar, oci, docker,
    /// image or registry with dest=, name=, push=, compression= and more; may be given several
    /// times
    #[arg(short, long, value_name = "TYPE=…,KEY=VALUE")]
    output: Vec<Output>,
    /// Push the image under all its names
    #[arg(long)]
    push: bool,
    /// Put the image into the store, which is what happens without outputs
    #[arg(long)]
    load: bool,
    /// A note on the image: [index,manifest,manifest-descriptor:]NAME=VALUE
    #[arg(long, value_name = "[KIND:]NAME=VALUE")]
    annotation: Vec<String>,
    /// Write what was built and pushed to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) metadata_file: Option<PathBuf>,
}

/// One thing that becomes of a build.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Output {
    pub(super) kind: Kind,
    pub(super) packing: Packing,
}

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Into the store, under names beside those of the command line.
    Store { names: Vec<Reference> },
    /// To registries, under names or those of the command line.
    Registry { names: Vec<Reference>, by_digest: bool },
    /// Into an archive.
    Archive { format: ArchiveFormat, names: Vec<Reference>, to: To },
    /// Into an OCI layout.
    Layout { names: Vec<Reference>, directory: PathBuf },
    /// The files alone, in a directory.
    Local { directory: PathBuf },
    /// The files alone, as a tar.
    Tar { to: To },
    /// Nowhere: what the steps came to is kept in any case.
    Nothing,
}

impl Kind {
    /// Whether it is written to standard output, where nothing else may then be.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Kind::Archive { to: To::Stdout, .. } | Kind::Tar { to: To::Stdout })
    }
}

/// A stream of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    Stdout,
    File(PathBuf),
}

/// How an image is written down.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Packing {
    pub(super) compression: Option<Compression>,
    pub(super) force_compression: bool,
    pub(super) format: Option<ManifestFormat>,
    pub(super) annotations: Vec<(Kinds, String, String)>,
}

impl Packing {
    /// Whether an image is written as it is.
    pub(super) fn is_plain(&self) -> bool {
        *self == Packing::default()
    }

    /// The notes.
    pub(super) fn annotate(&self) -> Annotate {
        let mut annotate = Annotate::default();
        for (kinds, name, value) in &self.annotations {
            let note = |wanted, notes: &mut oci::edit::Annotations| {
                if wanted {
                    notes.push((name.clone(), Some(value.clone())));
                }
            };
            note(kinds.manifests, &mut annotate.manifests);
            note(kinds.indexes, &mut annotate.indexes);
            note(kinds.entries, &mut annotate.entries);
        }
        annotate
    }
}

/// What a note is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    manifests: bool,
    indexes: bool,
    entries: bool,
}

impl Kinds {
    /// Reads `index,manifest`, as buildx writes it.
    fn parse(text: &str) -> Result<Kinds, String> {
        let mut kinds = Kinds::default();
        for word in text.split(',') {
            match word {
                "manifest" => kinds.manifests = true,
                "index" => kinds.indexes = true,
                "manifest-descriptor" => kinds.entries = true,
                other => {
                    return Err(format!(
                        "notes on `{other}` are not made: these are: manifest, index, \
                         manifest-descriptor"
                    ));
                }
            }
        }
        Ok(kinds)
    }
}

impl OutputArgs {
    /// All that becomes of the build.
    pub(super) fn outputs(&self, args: &Args) -> Result<Vec<Output>, Failure> {
        let several = args.platform.len() > 1;
        let mut outputs = self.output.clone();
        let plain = |kind| Output { kind, packing: Packing::default() };
        if self.load || (self.output.is_empty() && !(several && self.push)) {
            outputs.push(plain(Kind::Store { names: Vec::new() }));
        }
        if self.push {
            outputs.push(plain(Kind::Registry { names: Vec::new(), by_digest: false }));
        }
        if let Some(format) = args.podman.format {
            let format = match format {
                Format::Oci => ManifestFormat::Oci,
                Format::Docker => ManifestFormat::Docker,
            };
            // What the store and files hold has no media types.
            let has_types = |kind: &Kind| {
                matches!(kind, Kind::Registry { .. } | Kind::Archive { .. } | Kind::Layout { .. })
            };
            for output in outputs.iter_mut().filter(|output| has_types(&output.kind)) {
                output.packing.format.get_or_insert(format);
            }
        }
        for text in &self.annotation {
            let (kinds, note) = match text.split_once('=').map(|(name, _)| name.split_once(':')) {
                Some(Some((kinds, _))) => (kinds, &text[kinds.len() + 1..]),
                _ => ("manifest", text.as_str()),
            };
            let (name, value) = note.split_once('=').ok_or_else(|| {
                Failure::new(format!("invalid annotation `{text}`: write it as NAME=VALUE"))
            })?;
            let kinds = Kinds::parse(kinds).map_err(Failure::new)?;
            // The store keeps no notes: beside a push it has the image alone.
            let has_notes = |kind: &Kind| !(self.push && matches!(kind, Kind::Store { .. }));
            for output in outputs.iter_mut().filter(|output| has_notes(&output.kind)) {
                let note = (kinds, name.to_owned(), value.to_owned());
                output.packing.annotations.push(note);
            }
        }
        if args.attest.provenance().is_some() {
            check_attested(&outputs)?;
        }
        for output in &outputs {
            output.check(args, several)?;
        }
        Ok(outputs)
    }
}

/// Refuses what has no place for attestations. The store has none, but may be one place among
/// others: it has the image alone.
fn check_attested(outputs: &[Output]) -> Result<(), Failure> {
    let is_docker = |output: &Output| {
        matches!(output.kind, Kind::Archive { format: ArchiveFormat::Docker, .. })
    };
    if outputs.iter().any(is_docker) {
        return Err(Failure::new("an archive of docker's holds no attestations")
            .hint("write an OCI archive, with `--output type=oci`"));
    }
    if outputs.iter().all(|output| matches!(output.kind, Kind::Store { .. })) {
        return Err(Failure::new("the store holds images alone, and no attestations")
            .hint("push the image with `--push`, or name another `--output`"));
    }
    if outputs.iter().any(|output| output.packing.format == Some(ManifestFormat::Docker)) {
        return Err(Failure::new("docker's media types have no attestations"));
    }
    Ok(())
}

impl Output {
    /// Refuses what cannot be before anything is built.
    fn check(&self, args: &Args, several: bool) -> Result<(), Failure> {
        match &self.kind {
            Kind::Store { .. } if several => Err(Failure::new(
                "the store holds images of one platform each, and no index of several",
            )
            .hint("push them with `--push`, or name another `--output`")),
            Kind::Store { .. } if !self.packing.is_plain() => {
                Err(Failure::new("the store keeps no notes, types and compression of a manifest")
                    .hint("push the image with `--push`, or name another `--output`"))
            }
            _ if self.packing.format == Some(ManifestFormat::Docker)
                && !self.packing.annotations.is_empty() =>
            {
                Err(Failure::new("docker's media types have no notes"))
            }
            Kind::Registry { names, .. } if names.is_empty() && args.tag.is_empty() => {
                Err(Failure::new("there is no name to push to").hint("give one with `--tag`"))
            }
            Kind::Archive { format: ArchiveFormat::Docker, .. } if several => {
                Err(Failure::new("an archive of docker's holds images of one platform each")
                    .hint("write an OCI archive, with `--output type=oci`"))
            }
            Kind::Local { .. } | Kind::Tar { .. } if !self.packing.is_plain() => {
                Err(Failure::new("files alone have no notes, types and compression"))
            }
            _ => Ok(()),
        }
    }
}

/// The fields of an output, as they are written.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    dest: Option<String>,
    names: Vec<Reference>,
    push: bool,
    by_digest: bool,
    tar: Option<bool>,
    packing: Packing,
    level: Option<u32>,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Output, String> {
        if !text.contains('=') {
            let kind = match text {
                "-" => Kind::Tar { to: To::Stdout },
                path => Kind::Local { directory: path.into() },
            };
            return Ok(Output { kind, packing: Packing::default() });
        }
        let mut fields = Fields::default();
        for field in csv_fields(text).map_err(|error| error.message)? {
            let (key, value) =
                field.split_once('=').ok_or_else(|| format!("`{field}` is not KEY=VALUE"))?;
            fields.take(key, value)?;
        }
        fields.output()
    }
}

impl Fields {
    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        let truth = || match value {
            "" | "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(format!("`{key}={value}` is neither true nor false")),
        };
        match key {
            "type" => self.kind = Some(value.to_owned()),
            "dest" => self.dest = Some(value.to_owned()),
            "name" => {
                for name in value.split(',').filter(|name| !name.is_empty()) {
                    self.names.push(name.parse().map_err(|error: oci::Error| error.to_string())?);
                }
            }
            "push" => self.push = truth()?,
            "push-by-digest" => self.by_digest = truth()?,
            // Every image is also known by its digest.
            "name-canonical" => drop(truth()?),
            // So it is with our store.
            "unpack" | "store" if truth()? => {}
            "tar" => self.tar = Some(truth()?),
            "oci-mediatypes" => {
                let format = if truth()? { ManifestFormat::Oci } else { ManifestFormat::Docker };
                self.packing.format = Some(format);
            }
            "compression" => {
                self.packing.compression = Some(match value {
                    "gzip" => Compression::GZIP,
                    "zstd" => Compression::ZSTD,
                    "uncompressed" => Compression::None,
                    _ => return Err(format!("layers are not compressed by `{value}`")),
                });
            }
            "compression-level" => {
                let level = value.parse().map_err(|_| format!("`{value}` is no level"))?;
                self.level = Some(level);
            }
            "force-compression" => self.packing.force_compression = truth()?,
            key if key.starts_with("annotation") => {
                let (kinds, name) = match key["annotation".len()..].split_once('.') {
                    Some(("", name)) => ("manifest", name),
                    Some((kinds, name)) if kinds.starts_with('-') => (&kinds[1..], name),
                    _ => return Err(format!("`{key}` is no annotation")),
                };
                let note = (Kinds::parse(kinds)?, name.to_owned(), value.to_owned());
                self.packing.annotations.push(note);
            }
            _ => return Err(format!("outputs have no `{key}` here")),
        }
        Ok(())
    }

    fn output(mut self) -> Result<Output, String> {
        if let Some(level) = self.level {
            let wrong = || format!("the layers cannot be compressed at level {level}");
            let known = |most: u8| u8::try_from(level).ok().filter(|l| (1..=most).contains(l));
            self.packing.compression = Some(match self.packing.compression {
                None | Some(Compression::Gzip { .. }) => {
                    Compression::Gzip { level: known(9).ok_or_else(wrong)? }
                }
                Some(Compression::Zstd { .. }) => {
                    Compression::Zstd { level: known(19).ok_or_else(wrong)? }
                }
                Some(Compression::None) => {
                    return Err("what is not compressed has no level".to_owned());
                }
            });
        }
        let to = match self.dest.as_deref() {
            None | Some("-") => To::Stdout,
            Some(path) => To::File(path.into()),
        };
        let pushes = matches!(self.kind.as_deref(), Some("image" | "registry"));
        let has_names = !matches!(self.kind.as_deref(), Some("local" | "tar" | "cacheonly"));
        for (given, goes, key) in [
            (self.push, pushes, "push"),
            (self.by_digest, pushes, "push-by-digest"),
            (self.tar.is_some(), self.kind.as_deref() == Some("oci"), "tar"),
            (!self.names.is_empty(), has_names, "name"),
        ] {
            if given && !goes {
                let kind = self.kind.unwrap_or_default();
                return Err(format!("an output of type `{kind}` has no `{key}`"));
            }
        }
        let names = self.names;
        let kind = match (self.kind.as_deref(), self.dest) {
            (Some("local"), Some(path)) => Kind::Local { directory: path.into() },
            (Some("local"), None) => return Err("type=local needs dest=DIRECTORY".to_owned()),
            (Some("tar"), _) => Kind::Tar { to },
            (Some("oci"), Some(path)) if self.tar == Some(false) => {
                Kind::Layout { names, directory: path.into() }
            }
            (Some("oci"), _) if self.tar == Some(false) => {
                return Err("a layout needs dest=DIRECTORY".to_owned());
            }
            (Some("oci"), _) => Kind::Archive { format: ArchiveFormat::Oci, names, to },
            (Some("docker"), Some(_)) => Kind::Archive { format: ArchiveFormat::Docker, names, to },
            (Some("registry"), None) => Kind::Registry { names, by_digest: self.by_digest },
            (Some("image"), None) if self.push || self.by_digest => {
                Kind::Registry { names, by_digest: self.by_digest }
            }
            (Some("image" | "docker"), None) => Kind::Store { names },
            (Some(kind @ ("image" | "registry" | "cacheonly")), Some(_)) => {
                return Err(format!("type={kind} has no dest"));
            }
            (Some("cacheonly"), None) => Kind::Nothing,
            (Some(other), _) => return Err(format!("there is no output of type `{other}`")),
            (None, _) => return Err("an output needs a type".to_owned()),
        };
        Ok(Output { kind, packing: self.packing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_written_as_buildx_writes_them() {
        let name = || vec!["r.io/a:1".parse::<Reference>().unwrap()];
        let two = || vec!["a".parse::<Reference>().unwrap(), "b".parse().unwrap()];
        for (text, expected) in [
            ("out", Kind::Local { directory: "out".into() }),
            ("-", Kind::Tar { to: To::Stdout }),
            ("type=local,dest=out", Kind::Local { directory: "out".into() }),
            ("type=tar,dest=a.tar", Kind::Tar { to: To::File("a.tar".into()) }),
            ("type=tar", Kind::Tar { to: To::Stdout }),
            (
                "type=oci,dest=-,name=r.io/a:1",
                Kind::Archive { format: ArchiveFormat::Oci, names: name(), to: To::Stdout },
            ),
            (
                "type=oci,tar=false,dest=d",
                Kind::Layout { names: Vec::new(), directory: "d".into() },
            ),
            ("type=docker", Kind::Store { names: Vec::new() }),
            ("type=image,\"name=a,b\"", Kind::Store { names: two() }),
            (
                "type=image,name=r.io/a:1,push=true",
                Kind::Registry { names: name(), by_digest: false },
            ),
            (
                "type=image,name=r.io/a:1,push-by-digest=true,name-canonical=true,push=true",
                Kind::Registry { names: name(), by_digest: true },
            ),
        ] {
            let read = text.parse::<Output>().map(|output| output.kind);
            assert_eq!(read, Ok(expected), "{text}");
        }
        for text in [
            "type=local",
            "type=nothing",
            "dest=x",
            "type=oci,tar=false",
            "type=tar,color=red",
            "type=oci,push=perhaps",
            "type=oci,compression=estargz",
            "type=oci,compression=uncompressed,compression-level=1",
            "type=oci,compression-level=10",
            "type=registry,dest=x",
            "type=oci,push=true",
            "type=docker,tar=true",
            "type=local,dest=d,name=x",
            "type=oci,annotation-index-descriptor.a=b",
        ] {
            assert!(text.parse::<Output>().is_err(), "{text}");
        }
    }

    #[test]
    fn notes_and_packing_are_read() {
        let text = "type=registry,compression=zstd,compression-level=3,oci-mediatypes=false,\
                    annotation.a=1,annotation-index.b=2";
        let packing = text.parse::<Output>().unwrap().packing;
        assert_eq!(packing.compression, Some(Compression::Zstd { level: 3 }));
        assert_eq!(packing.format, Some(ManifestFormat::Docker));
        let notes = packing.annotate();
        assert_eq!(notes.manifests, [("a".to_owned(), Some("1".to_owned()))]);
        assert_eq!(notes.indexes, [("b".to_owned(), Some("2".to_owned()))]);
    }
}
