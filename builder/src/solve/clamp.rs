//! `SOURCE_DATE_EPOCH` for what a process or an archive made.

use layerfs::{Dir, FileKind, Root, Timestamp};

/// Sets every time in `layer` that is later than `latest`, in seconds since 1970, to that.
pub(super) fn clamp(layer: &Root, latest: i64) -> rustix::io::Result<()> {
    directory(layer.top(), latest)
}

fn directory(dir: &Dir, latest: i64) -> rustix::io::Result<()> {
    for (name, kind) in dir.read()? {
        if kind == FileKind::Dir {
            directory(&dir.open_dir(&name)?, latest)?;
        } else if let Some(metadata) = dir.stat(&name)?
            && is_later(metadata.mtime, latest)
        {
            dir.set_mtime(&name, Timestamp::at(latest))?;
        }
    }
    // Last, since nothing in it changes any more.
    if is_later(dir.metadata()?.mtime, latest) {
        dir.set_mtime(".", Timestamp::at(latest))?;
    }
    Ok(())
}

fn is_later(time: Timestamp, latest: i64) -> bool {
    time.seconds > latest || (time.seconds == latest && time.nanoseconds > 0)
}
