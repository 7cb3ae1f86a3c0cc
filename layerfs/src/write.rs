//! A layer's directory becomes a tar, the same bytes whenever and wherever it is done.
//!
//! The bytes are the layer's identity, so nothing in them may depend on the machine, the order of
//! a directory's entries, the versions of libraries or the time: entries are sorted by the
//! components of their names, a directory before its content; ids are numbers; times are whole
//! seconds; there are extended headers only for what a plain header cannot hold.

mod header;
mod output;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::root::{Dir, FileKind, Metadata, Root, opened_xattrs};
use crate::whiteout::{self, Intended, OPAQUE_NAME, PREFIX};
use crate::{Error, Result};
use header::{Header, Kind};
use output::{Output, Written};

pub(crate) use output::{BUFFER, Blocks};

/// How deep a tree may be. Each level holds a directory open.
const MAX_DEPTH: usize = 800;

/// Writes the layer in the directory `layer` as a tar.
///
/// Whiteout devices become `.wh.NAME`, opaque directories an entry `.wh..wh..opq` in them. The
/// first name of a file with several is the file, in the order of the archive, the others are
/// hard links. Holes are written as zeros. Sockets are left out, as are directories that are only
/// there because something below them is, overlayfs's and our own extended attributes, and those
/// that belong to the machine.
///
/// # Errors
/// If the tree cannot be read or changes meanwhile, if a file's name is one that means a whiteout
/// in a layer, or if `out` fails.
pub fn write_layer(layer: &Root, out: &mut dyn Write) -> Result<()> {
    write_layer_in_blocks(layer, &mut Written(out))?;
    out.flush().map_err(|source| Error::WriteArchive { source })
}

/// [`write_layer`] in large pieces, of which each is full but the last.
pub(crate) fn write_layer_in_blocks(layer: &Root, out: &mut dyn Blocks) -> Result<()> {
    let mut writer = Writer { out: Output::new(out), links: HashMap::new(), form: Form::Layer };
    let top = layer.top().try_clone().map_err(|e| Error::tree("open", "/", e))?;
    let this = OsStr::new(".");
    let failed = |e| Error::tree("examine", "/", e);
    if !whiteout::is_implicit(&top, this).map_err(failed)? {
        let metadata = top.metadata().map_err(failed)?;
        writer.entry(&top, this, Path::new(""), metadata, None)?;
    }
    writer.content(top, PathBuf::new())?;
    writer.out.finish()
}

/// What to do with a link at the very place that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAtTop {
    /// It is written as the link that it is.
    Kept,
    /// It is an error: all links were followed, and one came later.
    Refused,
}

/// Writes what is at `path` in `tree`, which shows all layers together, as a tar that is no layer:
/// names that mean whiteouts in one are plain names. The last component of `path` is not
/// followed. What is there is called `name` in the archive, and what is in it lies below that; an
/// empty name makes it the archive's root.
///
/// # Errors
/// If there is nothing, if the tree cannot be read or changes meanwhile, or if `out` fails.
pub fn write_tree(tree: &Root, path: &Path, name: &Path, out: &mut dyn Write) -> Result<()> {
    write_tree_from(tree, (path, LinkAtTop::Kept), name, out)
}

/// [`write_tree`] of something that may have become a link.
///
/// # Errors
/// As there.
pub fn write_tree_from(
    tree: &Root,
    (path, link): (&Path, LinkAtTop),
    name: &Path,
    out: &mut dyn Write,
) -> Result<()> {
    let mut sink = Written(out);
    let tar = Output::new(&mut sink);
    let mut writer = Writer { out: tar, links: HashMap::new(), form: Form::Tree };
    let failed = |e| Error::tree("examine", path, e);
    let metadata = tree.stat(path)?.ok_or_else(|| failed(Errno::NOENT))?;
    if metadata.kind == FileKind::Symlink && link == LinkAtTop::Refused {
        return Err(failed(Errno::LOOP));
    }
    if metadata.kind == FileKind::Dir {
        let top = tree.open_dir(path)?;
        writer.entry(&top, OsStr::new("."), name, metadata, None)?;
        writer.content(top, name.to_owned())?;
    } else {
        let (dir, last) = tree.parent(path)?;
        writer.entry(&dir, last, name, metadata, None)?;
    }
    writer.out.finish()?;
    out.flush().map_err(|source| Error::WriteArchive { source })
}

/// A tree that is written into an archive with others.
#[derive(Debug, Clone, Copy)]
pub struct Planted<'a> {
    /// The tree.
    pub tree: &'a Root,
    /// What its top is called in the archive; empty is the archive's root.
    pub name: &'a Path,
    /// Whether there is an entry for the top itself.
    pub with_top: bool,
}

/// Writes several trees, one after the other, as one tar: each as [`write_tree`] does it.
///
/// # Errors
/// As there.
pub fn write_trees(trees: &[Planted<'_>], out: &mut dyn Write) -> Result<()> {
    let mut sink = Written(out);
    let mut writer =
        Writer { out: Output::new(&mut sink), links: HashMap::new(), form: Form::Tree };
    for Planted { tree, name, with_top } in trees {
        writer.links.clear();
        let top = tree.open_dir("/")?;
        if *with_top {
            let metadata = top.metadata().map_err(|e| Error::tree("examine", "/", e))?;
            writer.entry(&top, OsStr::new("."), name, metadata, None)?;
        }
        writer.content(top, name.to_path_buf())?;
    }
    writer.out.finish()?;
    out.flush().map_err(|source| Error::WriteArchive { source })
}

/// What the archive is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A layer, with whiteouts, and without directories that it does not describe.
    Layer,
    /// Files as they are seen.
    Tree,
}

/// A directory being written.
struct Level {
    dir: Dir,
    path: PathBuf,
    /// What is left, last first: names in the archive, and what is there; nothing is where the
    /// name is a marker's.
    todo: Vec<(OsString, Option<FileKind>)>,
}

struct Writer<'w> {
    out: Output<'w>,
    /// The first names of files that have several, by device and inode.
    links: HashMap<(u64, u64), PathBuf>,
    form: Form,
}

impl Writer<'_> {
    /// Writes what is in `top`, which is called `path` in the archive.
    fn content(&mut self, top: Dir, path: PathBuf) -> Result<()> {
        let mut levels = vec![self.enter(top, path)?];
        while let Some(level) = levels.last_mut() {
            let Some((name, kind)) = level.todo.pop() else {
                levels.pop();
                continue;
            };
            let path = level.path.join(&name);
            let failed = |e| Error::tree("examine", &path, e);
            let Some(kind) = kind else {
                self.marker(&path)?;
                continue;
            };
            let (metadata, file) = if kind == FileKind::File {
                let (file, metadata) = level.dir.open_file_with_metadata(&name).map_err(failed)?;
                (metadata, Some(file))
            } else {
                let metadata = level.dir.stat(&name).map_err(failed)?;
                (metadata.ok_or(Errno::NOENT).map_err(failed)?, None)
            };
            let is_dir = metadata.kind == FileKind::Dir;
            let hidden = is_dir
                && self.form == Form::Layer
                && whiteout::is_implicit(&level.dir, &name).map_err(failed)?;
            if !hidden {
                self.entry(&level.dir, &name, &path, metadata, file)?;
            }
            if is_dir {
                if levels.len() >= MAX_DEPTH {
                    return Err(Error::tree("descend into", &path, Errno::NAMETOOLONG));
                }
                let dir = levels[levels.len() - 1].dir.open_dir(&name).map_err(failed)?;
                levels.push(self.enter(dir, path)?);
            }
        }
        Ok(())
    }

    fn enter(&mut self, mut dir: Dir, path: PathBuf) -> Result<Level> {
        let failed = |e| Error::tree("list the directory", &path, e);
        let mut todo = Vec::new();
        for (name, kind) in dir.read_by_itself().map_err(failed)? {
            let of_layer = self.form == Form::Layer;
            if of_layer && name.as_bytes().starts_with(PREFIX) {
                return Err(Error::ReservedName { path: path.join(name) });
            }
            let odd = match whiteout::may_be_whiteout(kind) {
                true => Some(dir.stat(&name).map_err(failed)?),
                false => None,
            };
            // An overlay lists the whiteouts of a directory that one layer alone has, and says
            // that there is nothing.
            if !of_layer && matches!(odd, Some(None)) {
                continue;
            }
            let whiteout = of_layer && odd.flatten().is_some_and(|m| whiteout::is_whiteout(&m));
            if whiteout {
                let tar_name = [PREFIX, name.as_bytes()].concat();
                todo.push((OsString::from_vec(tar_name), None));
            } else if kind != FileKind::Socket {
                todo.push((name, Some(kind)));
            }
        }
        if self.form == Form::Layer && whiteout::is_opaque(&dir, OsStr::new(".")).map_err(failed)? {
            todo.push((OsStr::from_bytes(OPAQUE_NAME).to_owned(), None));
        }
        todo.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        Ok(Level { dir, path, todo })
    }

    /// Writes the empty file that stands for a whiteout.
    fn marker(&mut self, path: &Path) -> Result<()> {
        Header::new(path.as_os_str().as_bytes(), Kind::File).write(&mut self.out)
    }

    /// Writes what is at `name`; `file` is that, opened, if it is a regular file.
    fn entry(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        path: &Path,
        mut metadata: Metadata,
        file: Option<File>,
    ) -> Result<()> {
        let failed = |e| Error::tree("read", path, e);
        let mut xattrs = match &file {
            Some(file) => opened_xattrs(file),
            None => dir.xattrs(name),
        }
        .map_err(failed)?;
        if let Some((_, value)) = xattrs.iter().find(|(key, _)| key == Intended::key())
            && let Some(intended) = Intended::from_value(value)
        {
            intended.correct(&mut metadata);
        }
        xattrs.retain(|(key, _)| is_portable(key));
        let mut tar_path = path.as_os_str().as_bytes().to_vec();
        let mut target = Vec::new();
        let mut content = None;
        let link = (metadata.nlink > 1 && metadata.kind != FileKind::Dir)
            .then_some((metadata.dev, metadata.ino));
        let kind = if let Some(first) = link.and_then(|link| self.links.get(&link)) {
            target = first.as_os_str().as_bytes().to_vec();
            xattrs.clear();
            Kind::HardLink
        } else {
            match metadata.kind {
                FileKind::Dir => {
                    if tar_path.is_empty() {
                        tar_path.push(b'.');
                    }
                    tar_path.push(b'/');
                    Kind::Dir
                }
                FileKind::Symlink => {
                    let to = dir.read_link(name).map_err(failed)?;
                    target = to.into_os_string().into_vec();
                    Kind::Symlink
                }
                FileKind::CharDevice => Kind::CharDevice,
                FileKind::BlockDevice => Kind::BlockDevice,
                FileKind::Fifo => Kind::Fifo,
                FileKind::Socket => return Ok(()),
                FileKind::File => {
                    content = Some(match file {
                        Some(file) => file,
                        None => dir.open_file(name).map_err(failed)?,
                    });
                    Kind::File
                }
            }
        };
        if let Some(link) = link
            && kind != Kind::HardLink
        {
            self.links.insert(link, path.to_owned());
        }
        let size = if content.is_some() { metadata.size } else { 0 };
        let mut header = Header::new(&tar_path, kind);
        header.link = &target;
        header.mode = metadata.mode;
        (header.uid, header.gid) = (metadata.uid, metadata.gid);
        header.mtime = metadata.mtime.seconds;
        header.size = size;
        header.device = metadata.rdev;
        header.xattrs = &xattrs;
        if xattrs.iter().any(|(key, _)| key.as_bytes().contains(&b'=')) {
            // The archive's format has no way to say it.
            return Err(Error::tree("write the extended attributes of", path, Errno::INVAL));
        }
        header.write(&mut self.out)?;
        match content {
            Some(mut file) => self.out.copy(&mut file, size, path),
            None => Ok(()),
        }
    }
}

/// Whether an extended attribute goes with the image wherever it goes.
fn is_portable(key: &OsStr) -> bool {
    !whiteout::is_private(key)
        && !whiteout::is_of_the_machine(key)
        && !key.as_bytes().starts_with(b"trusted.")
}
