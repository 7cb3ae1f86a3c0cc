//! Mounts where nothing can be mounted: a volume is lent to one container at a time, and what is
//! only read is a copy.

use std::fs;
use std::path::Path;

use layerfs::{ExtractOptions, Lease, LinkAtTop, Root, Store, copy_tree};
use runtime::{Mount, MountSource};

use super::{MountConfig, MountContent};
use crate::error::{Doing, Failure};

/// What a copy is called in the directory that it is made in.
const COPY: &str = "copy";

/// The mount of a container that is about to start.
pub(super) fn to_mount(
    store: &Store,
    lease: &Lease,
    mount: &MountConfig,
) -> Result<Mount, Failure> {
    let source = match &mount.content {
        MountContent::Tmpfs(_) => return super::to_mount(store, mount),
        MountContent::Volume { name, subpath } if mount.read_only => {
            copy(store, lease, &lendable(store, name)?.join(subpath))?
        }
        MountContent::Volume { name, subpath } if subpath.as_os_str().is_empty() => {
            MountSource::Lend(lendable(store, name)?)
        }
        MountContent::Bind { source, .. } if mount.read_only => copy(store, lease, source)?,
        MountContent::Volume { .. } => return Err(refused(mount, "a part of a volume")),
        MountContent::Bind { .. } => return Err(refused(mount, "a directory of the machine")),
    };
    Ok(Mount { target: mount.target.clone(), source, read_only: mount.read_only })
}

fn refused(mount: &MountConfig, what: &str) -> Failure {
    let target = mount.target.display();
    Failure::new(format!(
        "the mount on {target}: {what} that can be written to needs namespaces and mounts, which \
         cannot be made here"
    ))
    .hint("read-only (`:ro`) it is given as a copy; a whole volume can be written to; `tierce cp` copies")
}

/// The directory of a volume that nobody else has at the moment.
fn lendable(store: &Store, name: &str) -> Result<std::path::PathBuf, Failure> {
    let volume = store.volume(name)?;
    if let Some(place) = &volume.place {
        let message = format!("volume {name} is {}, a directory of the machine", place.display());
        return Err(Failure::new(message + ": it needs mounts, which cannot be made here"));
    }
    if volume.data.exists() {
        return Ok(volume.data);
    }
    let runs = |id: &&String| store.container(id).is_ok_and(|found| found.state.is_running());
    let user = volume.users.iter().find(runs).map_or("another container", |id| &id[..12]);
    Err(Failure::new(format!(
        "volume {name} is with {user}: where nothing can be mounted, one container at a time has it"
    )))
}

/// A copy of a file or directory, which goes with the lease.
fn copy(store: &Store, lease: &Lease, source: &Path) -> Result<MountSource, Failure> {
    let failed = || format!("cannot copy {}", source.display());
    let source = fs::canonicalize(source).doing(failed)?;
    let kind = fs::metadata(&source).doing(failed)?.file_type();
    if !kind.is_dir() && !kind.is_file() {
        return Err(Failure::new(format!("{} is no file and no directory", source.display())));
    }
    if store.root().starts_with(&source) {
        return Err(Failure::new(format!("{} holds the store itself", source.display())));
    }
    let made = lease.scratch_dir("mount")?;
    let options = ExtractOptions { ids: store.ids(), owner: None, strip: 0 };
    let target = Root::open(&made)?;
    let place = (&target, Path::new(""));
    copy_tree(
        &Root::open(Path::new("/"))?,
        (&source, LinkAtTop::Kept),
        Path::new(COPY),
        place,
        &options,
    )
    .doing(failed)?;
    Ok(MountSource::Lend(made.join(COPY)))
}
