//! Artifacts that refer to an image (image-spec, "Guidelines for Artifact Usage").

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use oci::transfer::{Destination, Standing, Supply};
use oci::{
    BlobRead, Descriptor, Digest, Document, Error, Manifest, MediaType, Platform, Raw, Reference,
    Verified,
};
use registry_client::blocking::RepositoryDestination;

use super::Asker;
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::{Doing, Failure, Outcome};
use crate::ui::say;

/// The whole of a configuration that says nothing.
const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const TITLE: &str = "org.opencontainers.image.title";
const CREATED: &str = "org.opencontainers.image.created";

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// What the artifact is: application/spdx+json, …
    #[arg(long, value_name = "MEDIA TYPE")]
    artifact_type: String,
    /// A note for the artifact
    #[arg(short, long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// Which image of an index is meant; the index itself if nothing is said
    #[arg(long)]
    platform: Option<Platform>,
    /// The image
    image: Reference,
    /// The files, with their types: sbom.json:application/json
    #[arg(value_name = "FILE[:MEDIA TYPE]")]
    files: Vec<String>,
}

/// Puts the artifact; prints its digest.
pub(super) fn attach(args: &Args, app: &App) -> Outcome {
    let asker = Asker::of(app, &args.connection, &args.image)?;
    let subject = asker.document(&args.image, args.platform.as_ref())?.descriptor();
    let mut supply = Files::default();
    let nothing = Descriptor::new(MediaType::new(EMPTY_TYPE), Digest::sha256(EMPTY), 2);
    supply.0.insert(nothing.digest.clone(), Content::Empty);
    let mut layers = Vec::new();
    for file in &args.files {
        layers.push(supply.add(file)?);
    }
    // An artifact without files has the empty blob as its only layer, too.
    let layers = if layers.is_empty() { vec![nothing.clone()] } else { layers };
    let mut manifest = Manifest::oci(nothing, layers);
    manifest.artifact_type = Some(args.artifact_type.clone());
    manifest.subject = Some(subject);
    for note in &args.annotation {
        let (name, value) = note.split_once('=').ok_or_else(|| {
            Failure::new(format!("invalid annotation `{note}`: write it as NAME=VALUE"))
        })?;
        manifest.annotations.insert(name.to_owned(), value.to_owned());
    }
    if !manifest.annotations.contains_key(CREATED) {
        let now = crate::commands::commit::created(app)?;
        manifest.annotations.insert(CREATED.to_owned(), now);
    }
    let handle = asker.network.handle().clone();
    let registry = RepositoryDestination::new(asker.client.clone(), handle, args.image.clone());
    let doing = || format!("cannot attach to {}", args.image.familiar());
    let blobs = manifest.layers.iter().chain([&manifest.config]);
    let mut put = std::collections::HashSet::new();
    for blob in blobs.filter(|blob| put.insert(blob.digest.clone())) {
        registry.put_blob(blob, &supply, &|_| {}).doing(doing)?;
    }
    let document = Document::Manifest(Raw::write(manifest));
    registry.put_document(&document, Standing::Referrer, &supply).doing(doing)?;
    say!("{}", document.digest());
    Ok(0)
}

/// The blobs of an artifact.
#[derive(Default)]
struct Files(HashMap<Digest, Content>);

enum Content {
    Empty,
    File(PathBuf, u64),
}

impl Files {
    /// Takes a file in, and describes it.
    fn add(&mut self, text: &str) -> Result<Descriptor, Failure> {
        let (path, media_type) = match text.rsplit_once(':') {
            Some((path, kind)) if kind.contains('/') => (path, kind),
            _ => (text, "application/octet-stream"),
        };
        let path = PathBuf::from(path);
        let doing = || format!("cannot read {}", path.display());
        let mut file = File::open(&path).doing(doing)?;
        let mut hasher = oci::Algorithm::Sha256.hasher();
        let size = io::copy(&mut file, &mut hasher).doing(doing)?;
        let mut blob = Descriptor::new(MediaType::new(media_type), hasher.finish(), size);
        if let Some(name) = path.file_name() {
            blob.annotations.insert(TITLE.to_owned(), name.to_string_lossy().into_owned());
        }
        self.0.insert(blob.digest.clone(), Content::File(path, size));
        Ok(blob)
    }
}

impl BlobRead for Files {
    fn size(&self, digest: &Digest) -> oci::Result<Option<u64>> {
        Ok(self.0.get(digest).map(|content| match content {
            Content::Empty => EMPTY.len() as u64,
            Content::File(_, size) => *size,
        }))
    }

    fn open(&self, blob: &Descriptor) -> oci::Result<Verified<Box<dyn Read + Send + '_>>> {
        let reader: Box<dyn Read + Send> = match self.0.get(&blob.digest) {
            Some(Content::Empty) => Box::new(EMPTY),
            Some(Content::File(path, _)) => Box::new(File::open(path).map_err(|source| {
                let object = path.display().to_string();
                Error::Io { operation: "open", object, source }
            })?),
            None => return Err(Error::BlobNotFound { digest: blob.digest.clone() }),
        };
        Ok(Verified::new(reader, blob))
    }
}

impl Supply for Files {
    fn repository(&self, _: &Digest) -> Option<&Reference> {
        None
    }
}
