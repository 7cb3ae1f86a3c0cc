//! `tierce cp`: files into containers, and out of them.

mod place;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use layerfs::{
    ExtractOptions, IdMode, Lease, LinkAtTop, Root, Store, copy_tree, extract_archive,
    write_tree_from,
};
use oci::compress::open_archive;

use self::place::{Source, target_of};
use crate::app::App;
use crate::containers::events::note;
use crate::containers::files::{Access, Found, find, follow_last};
use crate::error::{Doing, Failure, Outcome};

// What `tierce cp` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Keep owners and groups also where files are copied out of a container
    #[arg(short, long)]
    archive: bool,
    /// Follow the link that the source is
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Do not say what was copied
    #[arg(short, long)]
    quiet: bool,
    /// A path, CONTAINER:PATH, or - for a tar on standard input
    source: String,
    /// A path, CONTAINER:PATH, or - for a tar on standard output
    target: String,
}

/// One side of a copy.
#[derive(Debug, PartialEq, Eq)]
enum Side<'a> {
    Container { name: &'a str, path: &'a str },
    Path(&'a str),
    Stream,
}

impl<'a> Side<'a> {
    /// As docker reads it: what begins like a path is one, colons or not.
    fn read(text: &'a str) -> Side<'a> {
        match text.split_once(':') {
            _ if text == "-" => Side::Stream,
            _ if text.starts_with('/') => Side::Path(text),
            Some((name, path)) if !name.starts_with('.') && !name.is_empty() => {
                Side::Container { name, path }
            }
            _ => Side::Path(text),
        }
    }
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let work = Work { args, store, lease: &lease };
    match (Side::read(&args.source), Side::read(&args.target)) {
        (Side::Container { .. }, Side::Container { .. }) => {
            return Err(Failure::new("copying between containers is not supported")
                .hint("copy through a directory, or pipe: `tierce cp A:/x - | tierce cp - B:/y`"));
        }
        (Side::Container { name, path }, Side::Stream) => work.to_stream(name, path)?,
        (Side::Container { name, path }, Side::Path(target)) => {
            work.copy_out(name, path, target)?;
        }
        (Side::Stream, Side::Container { name, path }) => work.unpack_stream(name, path)?,
        (Side::Path(source), Side::Container { name, path }) => work.copy_in(source, name, path)?,
        _ => return Err(Failure::new("one of source and target must be a container's")),
    }
    if !args.quiet && app.machine.watches_stderr() {
        anstream::eprintln!("Successfully copied to {}", args.target);
    }
    Ok(0)
}

struct Work<'a> {
    args: &'a Args,
    store: &'a Store,
    lease: &'a Lease,
}

impl Work<'_> {
    fn find(&self, name: &str, path: &str, access: Access) -> Result<Found, Failure> {
        let container = self.store.container(name)?;
        let action = if access == Access::Write { "extract-to-dir" } else { "archive-path" };
        note(self.store, &container, action, &[]);
        let found = find(self.store, self.lease, &container, Path::new(path), access)?;
        if found.read_only && access == Access::Write {
            return Err(Failure::new(format!("{path} of container {name} is marked read-only")));
        }
        Ok(found)
    }

    /// What is to be read, links followed if that is wanted.
    fn source(&self, root: &Root, path: &Path, text: &str) -> Result<Source, Failure> {
        let path = match self.args.follow_link {
            true => follow_last(root, path)?,
            false => path.to_owned(),
        };
        Source::look(root, path, text)
    }

    /// From where it is read. A link that a container puts there once links have been followed
    /// would be made on the machine, and lead its next copy astray.
    fn from<'s>(&self, source: &'s Source) -> (&'s Path, LinkAtTop) {
        let link = if self.args.follow_link { LinkAtTop::Refused } else { LinkAtTop::Kept };
        (&source.path, link)
    }

    fn copy_in(&self, source: &str, name: &str, path: &str) -> Result<(), Failure> {
        let (machine, source_path) = machine(source)?;
        let from = self.source(&machine, &source_path, source)?;
        let found = self.find(name, path, Access::Write)?;
        let target = target_of(&found.root, &found.path, path, &from)?;
        let options = ExtractOptions { ids: self.store.ids(), owner: None, strip: 0 };
        let place = (&found.root, target.directory.as_path());
        Ok(copy_tree(&machine, self.from(&from), &target.name, place, &options)?)
    }

    fn copy_out(&self, name: &str, path: &str, target_text: &str) -> Result<(), Failure> {
        let found = self.find(name, path, Access::Read)?;
        let from = self.source(&found.root, &found.path, path)?;
        let (machine, target_path) = machine(target_text)?;
        let target = target_of(&machine, &target_path, target_text, &from)?;
        // What leaves a container is ours, unless its owners are asked for.
        let owner = (!self.args.archive)
            .then(|| (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()));
        let ids = if self.args.archive { self.store.ids() } else { IdMode::Full };
        let place = (&machine, target.directory.as_path());
        Ok(copy_tree(
            &found.root,
            self.from(&from),
            &target.name,
            place,
            &ExtractOptions { ids, owner, strip: 0 },
        )?)
    }

    fn to_stream(&self, name: &str, path: &str) -> Result<(), Failure> {
        let found = self.find(name, path, Access::Read)?;
        let from = self.source(&found.root, &found.path, path)?;
        let mut output = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
        write_tree_from(&found.root, self.from(&from), &from.name, &mut output)?;
        Ok(output.flush()?)
    }

    fn unpack_stream(&self, name: &str, path: &str) -> Result<(), Failure> {
        let found = self.find(name, path, Access::Write)?;
        let is_directory = found.root.stat_followed(&found.path)?;
        if is_directory.is_none_or(|found| found.kind != layerfs::FileKind::Dir) {
            return Err(Failure::new(format!("{path} is no directory of container {name}")));
        }
        let tar = open_archive(Box::new(std::io::stdin()));
        let (_, mut tar) = tar.doing(|| "cannot read the archive".into())?;
        let options = ExtractOptions { ids: self.store.ids(), owner: None, strip: 0 };
        Ok(extract_archive(&mut tar, &found.root, &found.path, &options)?)
    }
}

/// A path of the machine, in the tree of all its files.
fn machine(text: &str) -> Result<(Root, PathBuf), Failure> {
    // `absolute` keeps `..`, as the kernel wants it where links are on the way.
    let path = std::path::absolute(if text.is_empty() { "." } else { text })?;
    Ok((Root::open(Path::new("/"))?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_path_is_one() {
        for (text, side) in [
            ("web:/etc", Side::Container { name: "web", path: "/etc" }),
            ("web:", Side::Container { name: "web", path: "" }),
            ("/a:b", Side::Path("/a:b")),
            ("./a:b", Side::Path("./a:b")),
            ("a", Side::Path("a")),
            ("-", Side::Stream),
        ] {
            assert_eq!(Side::read(text), side, "{text}");
        }
    }
}
