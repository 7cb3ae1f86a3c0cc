//! Directories made where they are missing.
//!
//! The kernel resolves paths that exist. Where something is missing, a path is walked component by
//! component, and a symlink that leads to nothing leads to what is made.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Dir, FileKind, Metadata, Root, components};
use crate::{Error, Result};

/// How many symlinks one path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// Makes a directory where [`Root::ensure_dir`] found none: the directory it is missing in, its
/// name, what stands there instead, and its path from the root.
pub(crate) type MakeDir<'a> =
    dyn FnMut(&Dir, &OsStr, Option<&Metadata>, &Path) -> rustix::io::Result<()> + 'a;

impl Root {
    /// Creates the directory `path` and those above it that are missing, each with the permission
    /// bits `mode` and the owner `(uid, gid)` if there is one, and returns what was created,
    /// outermost first. Symlinks are followed; where one leads to nothing, that is created.
    ///
    /// # Errors
    /// If something on the way is no directory, or cannot be created.
    pub fn mkdir_all(
        &self,
        path: impl AsRef<Path>,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<Vec<PathBuf>> {
        let mut created = Vec::new();
        self.ensure_dir(path.as_ref(), &mut |dir, name, there, at| {
            if there.is_some() {
                return Err(Errno::NOTDIR);
            }
            dir.mkdir(name, mode)?;
            dir.chmod(name, mode)?;
            if let Some((uid, gid)) = owner {
                dir.chown(name, uid, gid)?;
            }
            created.push(at.to_owned());
            Ok(())
        })?;
        Ok(created)
    }

    /// Opens the directory `path`; where a component is missing or no directory, `make` gets the
    /// directory, the component's name, what is there, and the component's path with symlinks
    /// resolved, and must leave a directory there.
    pub(crate) fn ensure_dir(&self, path: &Path, make: &mut MakeDir<'_>) -> Result<Dir> {
        let failed = |e: Errno| Error::tree("create the directory", path, e);
        match self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) {
            Ok(fd) => return Ok(Dir::from_fd(fd)),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(e) => return Err(failed(e)),
        }
        let mut above: Vec<(Dir, OsString)> = Vec::new();
        let mut here = self.0.try_clone().map_err(failed)?;
        let mut todo: Vec<OsString> = components(path).rev().map(OsStr::to_owned).collect();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                if let Some((dir, _)) = above.pop() {
                    here = dir;
                }
                continue;
            }
            let there = here.stat(&name).map_err(failed)?;
            match there.map(|m| m.kind) {
                Some(FileKind::Dir) => {}
                Some(FileKind::Symlink) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(failed(Errno::LOOP));
                    }
                    let target = here.read_link(&name).map_err(failed)?;
                    if target.is_absolute() && !above.is_empty() {
                        here = above.swap_remove(0).0;
                        above.clear();
                    }
                    todo.extend(components(&target).rev().map(OsStr::to_owned));
                    continue;
                }
                _ => {
                    let at: PathBuf = above.iter().map(|(_, name)| name).chain([&name]).collect();
                    make(&here, &name, there.as_ref(), &at).map_err(failed)?;
                }
            }
            let next = here.open_dir(&name).map_err(failed)?;
            above.push((std::mem::replace(&mut here, next), name));
        }
        Ok(here)
    }
}
