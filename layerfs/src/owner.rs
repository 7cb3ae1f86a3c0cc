//! Owners, also where everything belongs to one user.

use std::ffi::OsStr;

use rustix::io::Result;

use crate::IdMode;
use crate::root::{Dir, FileKind, Metadata};
use crate::whiteout::Intended;

/// Gives `name` in `dir`, which is a `kind`, to `uid` and `gid`. Where that cannot be done for
/// real, it is written down for when the tree becomes a tar; for symlinks and special files it
/// cannot, as the kernel allows them no `user.` attributes.
///
/// # Errors
/// If `name` does not exist or the system refuses.
pub fn give(
    dir: &Dir,
    name: &OsStr,
    kind: FileKind,
    (uid, gid): (u32, u32),
    ids: IdMode,
) -> Result<()> {
    match ids {
        IdMode::Full => dir.chown(name, uid, gid),
        IdMode::Single if !matches!(kind, FileKind::File | FileKind::Dir) => Ok(()),
        IdMode::Single if (uid, gid) == (0, 0) => dir.remove_xattr(name, Intended::key()),
        IdMode::Single => {
            let value = Intended { uid, gid, device: None }.to_value();
            dir.set_xattr(name, Intended::key(), &value)
        }
    }
}

/// `metadata` of `name` in `dir` as it would be if it could: with the owner that [`give`] wrote
/// down.
///
/// # Errors
/// If `name` does not exist or the system refuses.
pub fn as_intended(dir: &Dir, name: &OsStr, mut metadata: Metadata) -> Result<Metadata> {
    if matches!(metadata.kind, FileKind::File | FileKind::Dir)
        && let Some(value) = dir.xattr(name, Intended::key())?
        && let Some(intended) = Intended::from_value(&value)
    {
        intended.correct(&mut metadata);
    }
    Ok(metadata)
}
