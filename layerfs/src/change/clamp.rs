//! A latest time (`SOURCE_DATE_EPOCH`) for what a process or an archive made.

use crate::root::{Dir, FileKind, Root, Timestamp};

/// Sets every time in `layer` that is later than `latest` to that.
pub(crate) fn clamp(layer: &Root, latest: Timestamp) -> rustix::io::Result<()> {
    directory(layer.top(), latest)
}

fn directory(dir: &Dir, latest: Timestamp) -> rustix::io::Result<()> {
    for (name, kind) in dir.read()? {
        if kind == FileKind::Dir {
            directory(&dir.open_dir(&name)?, latest)?;
        } else if let Some(metadata) = dir.stat(&name)?
            && metadata.mtime > latest
        {
            dir.set_mtime(&name, latest)?;
        }
    }
    // Last, since nothing in it changes any more.
    if dir.metadata()?.mtime > latest {
        dir.set_mtime(".", latest)?;
    }
    Ok(())
}
