//! How a layer says that something of the layers below is gone, in a directory and in a tar; and
//! the marks of ours that a layer's directory carries.
//!
//! In a directory a whiteout is a character device 0:0 and an opaque directory has the extended
//! attribute `user.overlay.opaque`, as overlayfs mounted with `userxattr` reads them. On an overlay,
//! where no such device can be made, and which can be no layer of another either, a whiteout is a
//! socket that nobody may use: no layer has sockets. In a tar they are entries named `.wh.NAME` and `.wh..wh..opq` (OCI image-spec, layer, "Whiteouts").
//!
//! Our own marks are of two kinds. What belongs to one layer only is below `user.overlay.`, which
//! overlayfs keeps to itself: a container neither sees it nor copies it up. What must travel with
//! a file when it is copied up is below `user.tierce.`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::{Errno, Result};

use crate::root::{Dir, FileKind, Metadata};

/// What a tar's whiteout entries begin with.
pub(crate) const PREFIX: &[u8] = b".wh.";
/// What the names begin with that AUFS keeps for itself.
pub(crate) const META_PREFIX: &[u8] = b".wh..wh.";
/// The tar entry that hides all that the directory has in lower layers.
pub(crate) const OPAQUE_NAME: &[u8] = b".wh..wh..opq";

const OPAQUE: &str = "user.overlay.opaque";
/// On a directory that the layer's tar does not name.
const IMPLICIT: &str = "user.overlay.tierce.implicit";
/// What a file or directory should be where the system could not make it so.
const INTENDED: &str = "user.tierce.stat";

/// Whether an entry of a layer's directory is a whiteout.
pub(crate) fn is_whiteout(metadata: &Metadata) -> bool {
    match metadata.kind {
        FileKind::CharDevice => metadata.rdev == (0, 0),
        FileKind::Socket => metadata.mode == 0,
        _ => false,
    }
}

/// Whether an entry of this kind can be a whiteout.
pub(crate) fn may_be_whiteout(kind: FileKind) -> bool {
    matches!(kind, FileKind::CharDevice | FileKind::Socket)
}

/// Makes the whiteout of `name` in a layer's directory.
pub(crate) fn make_whiteout(dir: &Dir, name: &OsStr) -> Result<()> {
    match dir.mknod(name, FileKind::CharDevice, 0, (0, 0)) {
        Err(Errno::PERM) => make_socket_whiteout(dir, name),
        answer => answer,
    }
}

fn make_socket_whiteout(dir: &Dir, name: &OsStr) -> Result<()> {
    dir.mknod(name, FileKind::Socket, 0, (0, 0))
}

/// Whether the directory `name` hides what lower layers have in it. `.` is `dir` itself.
pub(crate) fn is_opaque(dir: &Dir, name: &OsStr) -> Result<bool> {
    Ok(dir.xattr(name, OsStr::new(OPAQUE))?.is_some_and(|value| value == b"y"))
}

/// Whether the layer in the directory `tree` hides all that is below it.
pub(crate) fn is_opaque_layer(tree: &Path) -> Result<bool> {
    // By its path: stacks are deep, and this is one call a layer.
    let mut value = [0; 8];
    match rustix::fs::getxattr(tree, OPAQUE, &mut value) {
        Ok(length) => Ok(value[..length] == *b"y"),
        // A longer value is not ours.
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Makes the directory `name` hide what lower layers have in it.
pub(crate) fn make_opaque(dir: &Dir, name: &OsStr) -> Result<()> {
    dir.set_xattr(name, OsStr::new(OPAQUE), b"y")
}

/// Takes back [`make_opaque`].
pub(crate) fn clear_opaque(dir: &Dir, name: &OsStr) -> Result<()> {
    dir.remove_xattr(name, OsStr::new(OPAQUE))
}

/// Whether the directory `name` is there only because something below it is.
pub(crate) fn is_implicit(dir: &Dir, name: &OsStr) -> Result<bool> {
    Ok(dir.xattr(name, OsStr::new(IMPLICIT))?.is_some())
}

/// Marks the directory `name` as there only because something below it is.
pub(crate) fn mark_implicit(dir: &Dir, name: &OsStr) -> Result<()> {
    dir.set_xattr(name, OsStr::new(IMPLICIT), b"y")
}

/// Takes back [`mark_implicit`].
pub(crate) fn clear_implicit(dir: &Dir, name: &OsStr) -> Result<()> {
    dir.remove_xattr(name, OsStr::new(IMPLICIT))
}

/// Whether an extended attribute is how a layer's directory is kept, and no part of the layer.
pub(crate) fn is_private(key: &OsStr) -> bool {
    let key = key.as_bytes();
    [&b"user.overlay."[..], b"trusted.overlay.", b"user.tierce."]
        .iter()
        .any(|prefix| key.starts_with(prefix))
}

/// Whether an extended attribute is of the machine and not of the image: labels and signatures
/// that mean nothing elsewhere.
pub(crate) fn is_of_the_machine(key: &OsStr) -> bool {
    let machine = ["security.selinux", "security.ima", "security.evm", "system.nfs4_acl"];
    machine.iter().any(|name| key == *name)
}

/// The owner and the device that an entry should have, where this process may not give it them:
/// in a user namespace with a single id nothing belongs to anybody else, and in none are there
/// device nodes. A device is then an empty file with no permissions.
///
/// Processes in a container can write the attribute too, to files that they may write to. So it
/// is believed only of files that belong to root, and that it is a device only of files that
/// nobody else may write to: whoever could say it falsely could make it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intended {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) device: Option<IntendedDevice>,
}

/// The device that an empty file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IntendedDevice {
    pub(crate) kind: FileKind,
    pub(crate) rdev: (u32, u32),
    pub(crate) mode: u32,
}

impl Intended {
    /// The attribute's name.
    pub(crate) fn key() -> &'static OsStr {
        OsStr::new(INTENDED)
    }

    /// `UID:GID`, and for a device `:c:MAJOR:MINOR:MODE` or `:b:MAJOR:MINOR:MODE`, all decimal.
    pub(crate) fn to_value(self) -> Vec<u8> {
        let owner = format!("{}:{}", self.uid, self.gid);
        match self.device {
            Some(IntendedDevice { kind, rdev: (major, minor), mode }) => {
                let letter = if kind == FileKind::BlockDevice { 'b' } else { 'c' };
                format!("{owner}:{letter}:{major}:{minor}:{mode}")
            }
            None => owner,
        }
        .into_bytes()
    }

    /// Reads what [`to_value`](Intended::to_value) wrote; `None` for anything else.
    pub(crate) fn from_value(value: &[u8]) -> Option<Intended> {
        let text = std::str::from_utf8(value).ok()?;
        let mut parts = text.split(':');
        let number = |parts: &mut std::str::Split<'_, char>| parts.next()?.parse().ok();
        let (uid, gid) = (number(&mut parts)?, number(&mut parts)?);
        let kind = match parts.next() {
            None => return Some(Intended { uid, gid, device: None }),
            Some("c") => FileKind::CharDevice,
            Some("b") => FileKind::BlockDevice,
            Some(_) => return None,
        };
        let rdev = (number(&mut parts)?, number(&mut parts)?);
        let mode = number(&mut parts)?;
        let device = Some(IntendedDevice { kind, rdev, mode });
        parts.next().is_none().then_some(Intended { uid, gid, device })
    }

    /// `metadata` as it should be, if this can be believed of it.
    pub(crate) fn correct(self, metadata: &mut Metadata) {
        if (metadata.uid, metadata.gid) != (0, 0) {
            return;
        }
        match self.device {
            None => (metadata.uid, metadata.gid) = (self.uid, self.gid),
            Some(device)
                if metadata.kind == FileKind::File && metadata.size == 0 && metadata.mode == 0 =>
            {
                (metadata.uid, metadata.gid) = (self.uid, self.gid);
                metadata.kind = device.kind;
                metadata.rdev = device.rdev;
                metadata.mode = device.mode & 0o7777;
            }
            Some(_) => {}
        }
    }
}

/// Whether a device is one that every container has. Whoever may open another one in a container
/// that runs as the machine's root has the machine's disks and memory: such a device is kept as if
/// this process could not make it, and becomes one again in tars.
pub(crate) fn is_harmless(kind: FileKind, rdev: (u32, u32)) -> bool {
    // A whiteout of overlayfs; null, zero, full, random, urandom, tty, ptmx.
    let harmless = [(0, 0), (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)];
    kind == FileKind::CharDevice && harmless.contains(&rdev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_should_be_reads_back() {
        let device = |kind, rdev| Some(IntendedDevice { kind, rdev, mode: 0o660 });
        for device in
            [None, device(FileKind::CharDevice, (1, 3)), device(FileKind::BlockDevice, (8, 0))]
        {
            let intended = Intended { uid: 1000, gid: 4_000_000_000, device };
            assert_eq!(Intended::from_value(&intended.to_value()), Some(intended));
        }
        for value in ["", "1", "1:x", "1:2:p", "1:2:c:1", "1:2:c:1:3", "1:2:c:1:3:4:5", "-1:0"] {
            assert_eq!(Intended::from_value(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_whiteout_of_either_kind_is_one() {
        let scratch = tempfile::tempdir().unwrap();
        let root = crate::Root::open(scratch.path()).unwrap();
        make_whiteout(root.top(), OsStr::new("device")).unwrap();
        make_socket_whiteout(root.top(), OsStr::new("socket")).unwrap();
        std::os::unix::net::UnixListener::bind(scratch.path().join("live")).unwrap();
        let is = |name: &str| is_whiteout(&root.stat(name).unwrap().unwrap());
        assert_eq!([is("device"), is("socket"), is("live")], [true, true, false]);
    }

    #[test]
    fn nobody_but_root_is_believed() {
        let zero = crate::root::Timestamp::at(0);
        let file = Metadata {
            kind: FileKind::File,
            mode: 0o4755,
            uid: 1000,
            gid: 1000,
            size: 0,
            rdev: (0, 0),
            mtime: zero,
            ctime: zero,
            dev: 0,
            ino: 0,
            nlink: 1,
        };
        let corrected = |intended: &str, mut metadata: Metadata| {
            Intended::from_value(intended.as_bytes()).unwrap().correct(&mut metadata);
            metadata
        };
        assert_eq!(corrected("0:0", file), file);
        assert_eq!(corrected("0:0:b:8:0:438", file), file);
        let roots = Metadata { uid: 0, gid: 0, mode: 0o666, ..file };
        assert_eq!(corrected("5:6", roots), Metadata { uid: 5, gid: 6, ..roots });
        assert_eq!(corrected("0:0:b:8:0:438", roots), roots);
        let closed = Metadata { mode: 0, ..roots };
        let made = corrected("0:6:b:8:0:432", closed);
        assert_eq!((made.kind, made.rdev), (FileKind::BlockDevice, (8, 0)));
        assert_eq!((made.mode, made.gid), (0o660, 6));
    }
}
