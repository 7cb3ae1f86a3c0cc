//! Copies out of and into a flat directory, as skopeo's `dir:` has it: `manifest.json`,
//! `<hex>.manifest.json` for what an index lists, `version`, and blobs by their hex digits.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::layout::Counted;
use super::{Arrival, Destination, Origin, Standing, Supply};
use crate::archive::{MAX_DOCUMENT, invalid};
use crate::{BlobRead, Descriptor, Digest, Document, Error, Result, Verified};

const VERSION: &[u8] = b"Directory Transport Version: 1.1\n";

/// A directory that something was copied to.
#[derive(Debug)]
pub struct DirOrigin {
    root: PathBuf,
}

impl DirOrigin {
    /// The copy in `root`; nothing is read yet.
    pub fn new(root: impl Into<PathBuf>) -> DirOrigin {
        DirOrigin { root: root.into() }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.root.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(at("open", &path, e)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes).map_err(|e| at("read", &path, e))?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(invalid(format!("`{}` is too large", path.display())));
        }
        Ok(Some(bytes))
    }
}

impl BlobRead for DirOrigin {
    fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let path = self.root.join(digest.hex());
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(at("read", &path, e)),
        }
    }

    fn open(&self, blob: &Descriptor) -> Result<Verified<Box<dyn Read + Send + '_>>> {
        let path = self.root.join(blob.digest.hex());
        match File::open(&path) {
            Ok(file) => Ok(Verified::new(Box::new(file), blob)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(Error::BlobNotFound { digest: blob.digest.clone() })
            }
            Err(e) => Err(at("open", &path, e)),
        }
    }
}

impl Origin for DirOrigin {
    fn root(&self) -> Result<Document> {
        let name = self.root.join("manifest.json").display().to_string();
        let bytes = self.read("manifest.json")?.ok_or(Error::ImageNotFound { name })?;
        Document::parse(bytes, None, None)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        let hex = descriptor.digest.hex();
        let found = match self.read(&format!("{hex}.manifest.json"))? {
            Some(found) => Some(found),
            None => self
                .read("manifest.json")?
                .filter(|bytes| descriptor.digest.algorithm().digest(bytes) == descriptor.digest),
        };
        let missing = || Error::BlobNotFound { digest: descriptor.digest.clone() };
        let bytes = found.ok_or_else(missing)?;
        Document::parse(bytes, Some(&descriptor.media_type), Some(&descriptor.digest))
    }

    /// The form has no place for any.
    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>> {
        Ok(Vec::new())
    }
}

/// A directory to copy to.
#[derive(Debug)]
pub struct DirDestination {
    root: PathBuf,
}

impl DirDestination {
    /// Begins a copy in `root`, a directory that is made if it is missing. What another copy left
    /// there is overwritten; a directory with other things in it is refused.
    ///
    /// # Errors
    /// If it cannot be made or is of another kind.
    pub fn create(root: impl Into<PathBuf>) -> Result<DirDestination> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(|e| at("create", &root, e))?;
        let mut entries = fs::read_dir(&root).map_err(|e| at("read", &root, e))?;
        let is_copy = root.join("version").is_file() || root.join("manifest.json").is_file();
        if entries.next().is_some() && !is_copy {
            let root = root.display();
            return Err(invalid(format!("the directory {root} is neither empty nor such a copy")));
        }
        let destination = DirDestination { root };
        destination.write("version", VERSION)?;
        Ok(destination)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.staged()?;
        file.write_all(bytes).map_err(|e| at("write", &self.root, e))?;
        self.name(file, name)
    }

    fn staged(&self) -> Result<tempfile::NamedTempFile> {
        tempfile::Builder::new()
            .prefix(".new-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(&self.root)
            .map_err(|e| at("create a file in", &self.root, e))
    }

    fn name(&self, file: tempfile::NamedTempFile, name: &str) -> Result<()> {
        let path = self.root.join(name);
        file.persist(&path).map(drop).map_err(|e| at("rename to", &path, e.error))
    }
}

impl Destination for DirDestination {
    fn is_there(&self, _: &Descriptor, _: &[&Descriptor]) -> Result<bool> {
        Ok(false)
    }

    fn put_blob(
        &self,
        blob: &Descriptor,
        supply: &dyn Supply,
        moved: &(dyn Fn(u64) + Sync),
    ) -> Result<Arrival> {
        if DirOrigin::new(&self.root).size(&blob.digest)? == Some(blob.size) {
            return Ok(Arrival::Present);
        }
        let mut file = self.staged()?;
        let mut counted = Counted { inner: supply.open(blob)?, bytes: 0, moved };
        io::copy(&mut counted, &mut file)
            .map_err(|e| Error::io("copy", format!("blob {}", blob.digest), e))?;
        self.name(file, blob.digest.hex())?;
        Ok(Arrival::Taken)
    }

    fn put_document(&self, document: &Document, standing: Standing, _: &dyn Supply) -> Result<()> {
        match standing {
            Standing::Root => self.write("manifest.json", document.bytes()),
            Standing::Part => {
                let name = format!("{}.manifest.json", document.digest().hex());
                self.write(&name, document.bytes())
            }
            Standing::Referrer => {
                Err(invalid("the form of `dir:` has no place for what refers to an image"))
            }
        }
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}

fn at(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::io(operation, path.display().to_string(), source)
}
