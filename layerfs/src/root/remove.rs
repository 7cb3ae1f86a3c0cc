//! Removal of whole trees, however deep.

use std::ffi::{OsStr, OsString};

use rustix::io::{Errno, Result};

use super::{Dir, FileKind};

/// How many directories are held open at once. What lies deeper is moved up first.
const MAX_OPEN: usize = 64;

impl Dir {
    /// Removes `name` and, if it is a directory, all below it. Nothing being there is no error.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn remove_tree(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        match self.unlink(name) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(e) => return Err(e),
        }
        let top = self.open_dir(name)?;
        top.clear()?;
        drop(top);
        self.rmdir(name)
    }

    /// Removes all that is in this directory.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn clear(&self) -> Result<()> {
        let mut moved = 0_u64;
        let mut open: Vec<Level> = vec![Level::of(self.try_clone()?, OsString::new())?];
        while let Some(level) = open.last_mut() {
            let Some((name, kind)) = level.todo.pop() else {
                let done = open.pop().map(|level| level.name);
                if let (Some(above), Some(name)) = (open.last(), done) {
                    above.dir.rmdir(&name)?;
                }
                continue;
            };
            if kind != FileKind::Dir {
                level.dir.unlink(&name)?;
            } else if level.dir.rmdir(&name).is_err() {
                if open.len() < MAX_OPEN {
                    let below = open[open.len() - 1].dir.open_dir(&name)?;
                    open.push(Level::of(below, name)?);
                } else {
                    let below = &open[open.len() - 1].dir;
                    let aside = loop {
                        let aside = OsString::from(format!(".tierce-removed-{moved}"));
                        moved += 1;
                        match below.rename_noreplace(&name, self, &aside) {
                            Ok(()) => break aside,
                            Err(Errno::EXIST) => {}
                            Err(e) => return Err(e),
                        }
                    };
                    open[0].todo.push((aside, FileKind::Dir));
                }
            }
        }
        Ok(())
    }
}

/// A directory being emptied.
struct Level {
    dir: Dir,
    name: OsString,
    todo: Vec<(OsString, FileKind)>,
}

impl Level {
    fn of(dir: Dir, name: OsString) -> Result<Level> {
        let todo = dir.read()?;
        Ok(Level { dir, name, todo })
    }
}
