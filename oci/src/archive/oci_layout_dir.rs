//! An OCI image layout in a directory, to be written to.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::names::{self, name_of};
use super::writer::LAYOUT_FILE;
use super::{MAX_LIST, invalid};
use crate::blob::DirBlobs;
use crate::{
    BlobRead, BlobStore, Descriptor, Digest, Error, Image, ImageSink, Index, MediaType, Raw,
    Reference, Result, copy_missing_blobs,
};

/// A directory with an OCI image layout that takes images; [`Archive`](super::Archive) reads it.
///
/// Files appear by renames, `index.json` after all that it tells of. Who changes that one holds
/// a lock on the file `oci-layout`, so that processes of ours lose nothing of each other's.
#[derive(Debug)]
pub struct OciLayoutDir {
    root: PathBuf,
    blobs: DirBlobs,
    index: Mutex<()>,
}

impl OciLayoutDir {
    /// Opens the layout in `root`, or begins one; the directory is made if it is missing.
    ///
    /// # Errors
    /// If it cannot be made, or holds something else than a layout.
    pub fn create(root: impl Into<PathBuf>) -> Result<OciLayoutDir> {
        let root = root.into();
        let blobs = root.join("blobs");
        let layout =
            OciLayoutDir { blobs: DirBlobs::new(&blobs, &blobs), root, index: Mutex::new(()) };
        let file = layout.root.join("oci-layout");
        if !file.try_exists().map_err(|e| at("read", &file, e))? {
            layout.begin()?;
        }
        Ok(layout)
    }

    fn begin(&self) -> Result<()> {
        let blobs = self.root.join("blobs");
        fs::create_dir_all(&self.root).map_err(|e| at("create", &self.root, e))?;
        let mut entries = fs::read_dir(&self.root).map_err(|e| at("read", &self.root, e))?;
        if entries.next().is_some() {
            let root = self.root.display();
            return Err(invalid(format!(
                "the directory {root} is neither empty nor an OCI layout"
            )));
        }
        fs::create_dir(&blobs).map_err(|e| at("create", &blobs, e))?;
        self.replace("index.json", Raw::write(Index::oci(Vec::new())).bytes())?;
        self.replace("oci-layout", LAYOUT_FILE)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.root.join(name);
        let failed = |e| at("write", &path, e);
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(&self.root)
            .map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }

    pub(crate) fn read_index(&self) -> Result<Raw<Index>> {
        let path = self.root.join("index.json");
        let size = fs::metadata(&path).map_err(|e| at("read", &path, e))?.len();
        if size > MAX_LIST {
            return Err(invalid(format!("`{}` has {size} bytes", path.display())));
        }
        Raw::parse(fs::read(&path).map_err(|e| at("read", &path, e))?, "image index")
    }

    /// The blobs of the layout.
    pub(crate) fn blobs(&self) -> &DirBlobs {
        &self.blobs
    }

    /// Puts an entry into `index.json`, in the place of those that `replaces`.
    pub(crate) fn list(
        &self,
        entry: Descriptor,
        replaces: impl Fn(&Descriptor) -> bool,
    ) -> Result<()> {
        let path = self.root.join("oci-layout");
        let _one_thread = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let one_process = File::open(&path).map_err(|e| at("open", &path, e))?;
        one_process.lock().map_err(|e| at("lock", &path, e))?;
        let mut index: Index = Index::clone(&*self.read_index()?);
        index.manifests.retain(|other| !replaces(other));
        index.manifests.push(entry);
        self.replace("index.json", Raw::write(index).bytes())
    }

    pub(crate) fn ingest(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        if self.blobs.size(digest)?.is_some() {
            return Ok(());
        }
        let mut ingest = self.blobs.ingest()?;
        ingest.write_all(bytes).map_err(|e| at("write to", &self.root, e))?;
        ingest.commit(Some(digest)).map(drop)
    }
}

impl ImageSink for OciLayoutDir {
    fn put(&self, name: &Reference, image: &Image, blobs: &dyn BlobRead) -> Result<Digest> {
        let manifest = &image.manifest;
        copy_missing_blobs(blobs, &self.blobs, &manifest.layers)?;
        self.ingest(&manifest.config.digest, image.config.bytes())?;
        self.ingest(manifest.digest(), manifest.bytes())?;

        let media_type = manifest.media_type.clone().unwrap_or(MediaType::OCI_MANIFEST);
        let digest = manifest.digest().clone();
        let mut root = Descriptor::new(media_type, digest.clone(), manifest.size());
        root.platform = Some(image.config.platform());
        root.annotations = names::annotations(name);

        let name = name.clone().with_default_tag();
        self.list(root, |other| name_of(other).as_ref() == Some(&name))?;
        Ok(digest)
    }
}

fn at(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::io(operation, path.display().to_string(), source)
}
