//! The ends of a copy.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use layerfs::{Lease, StoreDestination, StoreOrigin};
use oci::archive::ArchiveFormat;
use oci::transfer::{
    ArchiveDestination, ArchiveName, ArchiveOrigin, Destination, DirDestination, DirOrigin,
    LayoutDestination, Origin,
};
use registry_client::blocking::{RepositoryDestination, RepositoryOrigin};

use super::Location;
use crate::app::App;
use crate::clients::{self, ConnectionArgs};
use crate::error::{Doing, Failure};
use crate::pulling;
use crate::staged_file::StagedFile;

/// What a place has.
pub(crate) fn origin(
    app: &App,
    lease: &Lease,
    from: &Location,
    connection: &ConnectionArgs,
) -> Result<Box<dyn Origin>, Failure> {
    let archive = |path: &Path, name: &Option<String>| -> Result<Box<dyn Origin>, Failure> {
        let staging = lease.scratch_dir("archive")?;
        let opened = ArchiveOrigin::open(path, &staging, name.as_deref());
        Ok(Box::new(opened.doing(|| format!("cannot read {}", path.display()))?))
    };
    match from {
        Location::Registry(name) => {
            let client = clients::client(app, connection, name.registry());
            let handle = app.network()?.handle().clone();
            Ok(Box::new(RepositoryOrigin::new(client, handle, name.clone())))
        }
        Location::Untagged(_) => {
            Err(Failure::new("a repository is no image: name a tag or digest"))
        }
        Location::Store(name) => {
            let store = app.store()?;
            let image = store.manifest(lease, &store.resolve(name)?, None)?;
            let blobs = pulling::anywhere(app, connection, oci::DEFAULT_REGISTRY)?;
            Ok(Box::new(StoreOrigin::new(image, blobs)))
        }
        Location::Layout(path, name)
        | Location::OciArchive(path, name)
        | Location::DockerArchive(path, name) => archive(path, name),
        Location::Dir(path) => Ok(Box::new(DirOrigin::new(path))),
    }
}

/// Where a copy goes, and the file that gets its name when the copy is complete.
pub(crate) struct End<'a> {
    pub(crate) destination: Box<dyn Destination + 'a>,
    file: Option<(StagedFile, PathBuf)>,
}

impl End<'_> {
    /// Gives the file its name, after the copy.
    pub(crate) fn complete(self) -> Result<(), Failure> {
        let End { destination, file } = self;
        drop(destination);
        let Some((staged, path)) = file else { return Ok(()) };
        staged.persist(&path).doing(|| format!("cannot write {}", path.display()))
    }
}

/// The destination that a place is.
pub(crate) fn destination<'a>(
    app: &App,
    lease: &'a Lease,
    to: &Location,
    connection: &ConnectionArgs,
) -> Result<End<'a>, Failure> {
    let destination: Box<dyn Destination + 'a> = match to {
        Location::Registry(name) => {
            let client = clients::client(app, connection, name.registry());
            let handle = app.network()?.handle().clone();
            Box::new(RepositoryDestination::new(client, handle, name.clone()))
        }
        Location::Untagged(name) => {
            let client = clients::client(app, connection, name.registry());
            let handle = app.network()?.handle().clone();
            Box::new(RepositoryDestination::untagged(client, handle, name.clone()))
        }
        Location::Store(name) => Box::new(StoreDestination::new(lease, name.parse()?)),
        Location::Layout(path, name) => Box::new(LayoutDestination::create(path, name.clone())?),
        Location::Dir(path) => Box::new(DirDestination::create(path)?),
        Location::OciArchive(path, name) => {
            let name = match name {
                Some(word) => ArchiveName::Word(word.clone()),
                None => ArchiveName::Images(Vec::new()),
            };
            return archive(ArchiveFormat::Oci, name, path);
        }
        Location::DockerArchive(path, name) => {
            let names = name.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
            return archive(ArchiveFormat::Docker, ArchiveName::Images(names), path);
        }
    };
    Ok(End { destination, file: None })
}

/// An archive as a stream.
pub(crate) fn stream<'a>(
    format: ArchiveFormat,
    name: ArchiveName,
    output: impl Write + Send + 'a,
) -> End<'a> {
    let output = BufWriter::with_capacity(1 << 20, output);
    End { destination: Box::new(ArchiveDestination::new(format, name, output)), file: None }
}

/// An archive in a file.
pub(crate) fn archive<'a>(
    format: ArchiveFormat,
    name: ArchiveName,
    path: &Path,
) -> Result<End<'a>, Failure> {
    let staged = StagedFile::beside(path).doing(|| format!("cannot write {}", path.display()))?;
    let file: File = staged.file().try_clone()?;
    let output = BufWriter::with_capacity(1 << 20, file);
    let destination = Box::new(ArchiveDestination::new(format, name, output));
    Ok(End { destination, file: Some((staged, path.to_owned())) })
}
