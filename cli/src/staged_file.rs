//! A file that appears under its name when it is complete, and of which nothing is left when the
//! program ends before, however it ends.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
use rustix::io::Errno;

/// The mode of a new file, before the umask.
const MODE: u32 = 0o644;

/// A file on its way to its name.
pub(crate) enum StagedFile {
    /// It has no name yet (`O_TMPFILE`): the kernel removes it with us.
    Nameless { file: File, dir: PathBuf },
    /// The file system cannot do that; it has another name until then.
    Named(tempfile::NamedTempFile),
}

impl StagedFile {
    /// A new file in the directory where `path` will be.
    pub(crate) fn beside(path: &Path) -> io::Result<StagedFile> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new(".")).to_owned();
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match open(&dir, flags, Mode::from_raw_mode(MODE)) {
            Ok(file) => Ok(StagedFile::Nameless { file: file.into(), dir }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                Ok(StagedFile::Named(named(&dir)?))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// The file, to be written.
    pub(crate) fn file(&self) -> &File {
        match self {
            StagedFile::Nameless { file, .. } => file,
            StagedFile::Named(file) => file.as_file(),
        }
    }

    /// Gives it its name, in place of what had that before.
    pub(crate) fn persist(self, path: &Path) -> io::Result<()> {
        match self {
            StagedFile::Named(file) => file.persist(path).map(drop).map_err(|e| e.error),
            StagedFile::Nameless { file, dir } => {
                let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
                let link = |to: &Path| linkat(CWD, &unnamed, CWD, to, AtFlags::SYMLINK_FOLLOW);
                match link(path) {
                    Ok(()) => Ok(()),
                    // A link replaces nothing; a rename does, and needs a name for that moment.
                    Err(Errno::EXIST) => {
                        let between = named(&dir)?.into_temp_path();
                        fs::remove_file(&between)?;
                        link(&between)?;
                        between.persist(path).map_err(|e| e.error)
                    }
                    Err(e) => Err(e.into()),
                }
            }
        }
    }
}

fn named(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".tierce-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(MODE))
        .tempfile_in(dir)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by it")]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn it_has_its_name_only_when_it_is_complete_and_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for content in ["first", "second"] {
            let before = names(dir.path());
            for persist in [false, true] {
                let staged = StagedFile::beside(&path).unwrap();
                staged.file().write_all(content.as_bytes()).unwrap();
                assert_eq!(names(dir.path()), before);
                if persist {
                    staged.persist(&path).unwrap();
                }
            }
            assert_eq!(names(dir.path()), ["file"]);
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert!(mode & !MODE == 0 && mode & 0o600 == 0o600, "{mode:o}");
        }
    }

    #[test]
    fn where_it_must_have_a_name_that_one_goes_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let staged = StagedFile::Named(named(dir.path()).unwrap());
        staged.file().write_all(b"text").unwrap();
        staged.persist(&path).unwrap();
        assert_eq!(names(dir.path()), ["file"]);
        drop(StagedFile::Named(named(dir.path()).unwrap()));
        assert_eq!(names(dir.path()), ["file"]);
    }
}
