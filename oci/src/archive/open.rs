//! Archives of whichever format.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::docker_archive::DockerArchive;
use super::files::Files;
use super::invalid;
use super::oci_layout::OciLayout;
use super::tar_index::TarIndex;
use crate::compress::{Format, open_archive, sniff};
use crate::{
    BlobRead, Descriptor, Digest, Document, Error, Image, ImageSource, Platform, Reference, Result,
    Verified,
};

/// The images of an archive: what `docker save`, `podman save` and `skopeo copy` write, and
/// directories with an OCI image layout.
#[derive(Debug)]
pub struct Archive {
    content: Content,
    images: Vec<ArchivedImage>,
}

#[derive(Debug)]
enum Content {
    Oci(OciLayout),
    Docker(DockerArchive),
}

/// One image of an [`Archive`].
#[derive(Debug, Clone)]
pub struct ArchivedImage {
    /// What the archive calls it; there may be none. Each has a tag.
    pub names: Vec<Reference>,
    /// The tags that it has, those without a name included.
    pub(super) tags: Vec<String>,
    /// Its position in the archive's list.
    pub(super) position: usize,
}

impl ArchivedImage {
    /// Whether the archive gives it this tag, with a name or without.
    pub fn has_tag(&self, tag: &str) -> bool {
        let named = self.names.iter().any(|name| name.tag() == Some(tag));
        named || self.tags.iter().any(|own| own == tag)
    }
}

impl Archive {
    /// Opens an archive: a tar, compressed or not, or the directory of an OCI layout. What is
    /// compressed, or cannot be read at any place, is spooled to an unnamed file in `staging`.
    ///
    /// # Errors
    /// [`Error::InvalidArchive`] if it is not such an archive, and I/O errors.
    pub fn open(path: &Path, staging: &Path) -> Result<Archive> {
        let failed = |e| Error::io("open", path.display().to_string(), e);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Archive::of(Files::Dir(path.to_owned()));
        }
        let mut first = [0; 512];
        if metadata.is_file()
            && file.read_exact_at(&mut first, 0).is_ok()
            && sniff(&first) == Some(Format::Tar)
        {
            return Archive::of(Files::Tar(TarIndex::read(file)?));
        }
        Archive::read(Box::new(file), staging)
    }

    /// Reads an archive from a stream by way of an unnamed file in `staging`, a directory that
    /// is made if it is missing.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn read(input: Box<dyn Read + Send + '_>, staging: &Path) -> Result<Archive> {
        let (format, reader) = open_archive(input)?;
        if format.is_none() {
            return Err(invalid("it is no tar, neither plain nor compressed"));
        }
        Archive::of(Files::Tar(TarIndex::read(spool(reader, staging)?)?))
    }

    fn of(files: Files) -> Result<Archive> {
        // Docker's later archives are both; the layout has the true manifests.
        let files = match OciLayout::open(files)? {
            Ok((layout, images)) => return Ok(Archive { content: Content::Oci(layout), images }),
            Err(files) => files,
        };
        if let Files::Tar(_) = &files
            && let Ok((archive, images)) = DockerArchive::open(files)?
        {
            return Ok(Archive { content: Content::Docker(archive), images });
        }
        Err(invalid("it has no `index.json` of an OCI layout and no `manifest.json` of docker's"))
    }

    /// The images, in the archive's order.
    pub fn images(&self) -> &[ArchivedImage] {
        &self.images
    }

    /// The documents of one of [`images`](Archive::images); of an index, the image for
    /// `platform`.
    ///
    /// An image from `docker save`'s older format gets an OCI manifest over the layers as they
    /// lie in the archive, mostly uncompressed.
    ///
    /// # Errors
    /// [`Error::PlatformNotFound`] if an index has none; errors about missing or broken documents.
    pub fn load(&self, image: &ArchivedImage, platform: &Platform) -> Result<Image> {
        self.at(image.position, platform)
    }

    /// The image that the archive's list knows by `digest`; of an index, the
    /// image for `platform`.
    ///
    /// # Errors
    /// As [`Archive::load`], and [`Error::ImageNotFound`] if there is none.
    pub fn by_digest(&self, digest: &Digest, platform: &Platform) -> Result<Image> {
        let position = match &self.content {
            Content::Oci(layout) => layout.position_of(digest),
            Content::Docker(archive) => archive.position_of(digest),
        };
        let missing = || Error::ImageNotFound { name: digest.to_string() };
        self.at(position.ok_or_else(missing)?, platform)
    }

    /// What the archive lists: images, indexes and artifacts, with their annotations. The entries
    /// of docker's older format are named by an annotation each.
    pub fn entries(&self) -> Vec<Descriptor> {
        let Content::Docker(archive) = &self.content else {
            let Content::Oci(layout) = &self.content else { return Vec::new() };
            return layout.entries().to_vec();
        };
        let mut entries = Vec::new();
        for listed in &self.images {
            let Ok(image) = archive.image(listed.position) else { continue };
            let entry = Document::Manifest(image.manifest).descriptor();
            if listed.names.is_empty() {
                entries.push(entry.clone());
            }
            for name in &listed.names {
                let annotations = super::names::annotations(name);
                entries.push(Descriptor { annotations, ..entry.clone() });
            }
        }
        entries
    }

    /// A document of the archive.
    ///
    /// # Errors
    /// [`Error::BlobNotFound`] if it is not there; errors about broken documents.
    pub fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        match &self.content {
            Content::Oci(layout) => layout.document(descriptor),
            Content::Docker(archive) => match archive.position_of(&descriptor.digest) {
                Some(position) => Ok(Document::Manifest(archive.image(position)?.manifest)),
                None => Err(Error::BlobNotFound { digest: descriptor.digest.clone() }),
            },
        }
    }

    fn at(&self, position: usize, platform: &Platform) -> Result<Image> {
        match &self.content {
            Content::Oci(layout) => layout.image(position, platform),
            Content::Docker(archive) => archive.image(position),
        }
    }
}

impl BlobRead for Archive {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        match &self.content {
            Content::Oci(layout) => layout.size(digest),
            Content::Docker(archive) => archive.size(digest),
        }
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        match &self.content {
            Content::Oci(layout) => layout.blob(blob),
            Content::Docker(archive) => archive.blob(blob),
        }
    }
}

impl ImageSource for Archive {
    /// A digest decides over a tag, and names the image or index itself.
    fn image(&self, name: &Reference, platform: &Platform) -> Result<Image> {
        let missing = || Error::ImageNotFound { name: name.familiar() };
        if let Some(digest) = name.digest() {
            return self.by_digest(digest, platform);
        }
        let tagged = name.clone().with_default_tag();
        let image = self.images.iter().find(|image| image.names.contains(&tagged));
        self.at(image.ok_or_else(missing)?.position, platform)
    }
}

/// Copies a stream to a file that vanishes when it is closed.
fn spool(mut input: Box<dyn Read + Send + '_>, staging: &Path) -> Result<File> {
    let failed = |operation| move |e| Error::io(operation, format!("{}", staging.display()), e);
    fs::create_dir_all(staging).map_err(failed("create"))?;
    let mut file = tempfile::tempfile_in(staging).map_err(failed("create a file in"))?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => file.write_all(&buffer[..count]).map_err(failed("write to"))?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("read", "image archive", e)),
        }
    }
    file.rewind().map_err(failed("rewind a file in"))?;
    Ok(file)
}
