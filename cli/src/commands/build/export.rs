//! What becomes of what was built, carried out.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use layerfs::{
    ExtractOptions, ImageRecord, Lease, Root, Store, StoreOrigin, extract_archive, write_tree,
};
use oci::transfer::{ArchiveName, CopyOptions, Joined, Origin, Platforms, Recompression};
use oci::{Descriptor, DiffId, Digest, Platform, Reference};
use serde_json::{Value, json};

use super::Args;
use super::output::{Kind, Output, Packing, To};
use crate::app::App;
use crate::commands::push::push;
use crate::copying::{self, End, Location};
use crate::error::{Doing, Failure};
use crate::pulling;
use crate::staged_file::StagedFile;

/// What was built for one platform.
pub(super) struct Made {
    pub(super) platform: Platform,
    pub(super) id: Digest,
    pub(super) layers: Vec<DiffId>,
}

impl Made {
    /// The image in the store.
    fn record(&self, store: &Store) -> Result<ImageRecord, Failure> {
        Ok(store.resolve(&self.id.to_string())?)
    }
}

/// Carries out what becomes of a build.
pub(super) struct Export<'a> {
    pub(super) args: &'a Args,
    pub(super) app: &'a App,
    pub(super) lease: &'a Lease,
    pub(super) made: &'a [Made],
}

impl Export<'_> {
    /// One output. Answers with what is there now, if it is an image that others may ask for.
    pub(super) fn carry_out(&self, output: &Output) -> Result<Option<Descriptor>, Failure> {
        match &output.kind {
            Kind::Store { names } => self.name(names).map(|()| None),
            Kind::Registry { names, by_digest } => {
                let names = if names.is_empty() { &self.args.tag } else { names };
                let mut pushed = None;
                for name in names {
                    pushed = Some(self.push(name, *by_digest, &output.packing)?);
                }
                Ok(pushed)
            }
            Kind::Layout { names, directory } => {
                let name = self.names(names).first().map(ToString::to_string);
                let place = Location::Layout(directory.clone(), name);
                self.copy(&place, &output.packing).map(Some)
            }
            Kind::Archive { format, names, to } => {
                let names = self.names(names);
                let end = match to {
                    To::Stdout => copying::stream(*format, ArchiveName::Images(names), stdout()?),
                    To::File(path) => copying::archive(*format, ArchiveName::Images(names), path)?,
                };
                self.copy_to(end, &output.packing).map(Some)
            }
            Kind::Local { directory } => self.files_into(directory).map(|()| None),
            Kind::Tar { to: To::Stdout } => self.files(stdout()?).map(|()| None),
            Kind::Tar { to: To::File(path) } => {
                let cannot = || format!("cannot write {}", path.display());
                let staged = StagedFile::beside(path).doing(cannot)?;
                self.files(staged.file())?;
                staged.persist(path).doing(cannot).map(|()| None)
            }
        }
    }

    /// The names of an output, or those of the command line.
    fn names(&self, own: &[Reference]) -> Vec<Reference> {
        let names = if own.is_empty() { &self.args.tag } else { own };
        names.iter().map(|name| name.clone().with_default_tag()).collect()
    }

    /// Gives the image further names; those of the command line it has already.
    fn name(&self, names: &[Reference]) -> Result<(), Failure> {
        let store = self.app.store()?;
        for made in self.made.iter().filter(|_| !names.is_empty()) {
            let record = made.record(store)?;
            for name in names {
                store.tag(&record, name)?;
            }
        }
        Ok(())
    }

    fn push(
        &self,
        name: &Reference,
        by_digest: bool,
        packing: &Packing,
    ) -> Result<Descriptor, Failure> {
        let Args { connection, quiet, .. } = self.args;
        if let ([made], true, false) = (self.made, packing.is_plain(), by_digest) {
            let store = self.app.store()?;
            let record = made.record(store)?;
            push(self.app, self.lease, &record, name, connection, *quiet)?;
            let image = store.manifest(self.lease, &record, None)?;
            return Ok(oci::Document::Manifest(image.manifest).descriptor());
        }
        let place = match by_digest {
            true => Location::Untagged(name.clone()),
            false => Location::Registry(name.clone()),
        };
        self.copy(&place, packing).doing(|| format!("cannot push {}", name.familiar()))
    }

    fn copy(&self, place: &Location, packing: &Packing) -> Result<Descriptor, Failure> {
        let end = copying::destination(self.app, self.lease, place, &self.args.connection)?;
        self.copy_to(end, packing)
    }

    fn copy_to(&self, end: End<'_>, packing: &Packing) -> Result<Descriptor, Failure> {
        let origin = self.origin()?;
        let mut options = CopyOptions {
            platforms: Platforms::All,
            format: packing.format,
            edits: vec![Box::new(packing.annotate())],
            ..CopyOptions::default()
        };
        if let Some(compression) = packing.compression {
            let (force, threads) = (packing.force_compression, self.app.threads());
            let scratch = self.lease.scratch_dir("compressed")?;
            let recompression = Recompression::new(compression, force, threads, &scratch)?;
            options.edits.push(Box::new(recompression));
        }
        let copied = copying::carry(self.app, &*origin, end, &options, self.args.quiet)?;
        Ok(copied.root)
    }

    /// The image; an index where there are several.
    fn origin(&self) -> Result<Box<dyn Origin>, Failure> {
        let store = self.app.store()?;
        let mut origins: Vec<(Platform, Box<dyn Origin>)> = Vec::new();
        for made in self.made {
            let image = store.manifest(self.lease, &made.record(store)?, None)?;
            let connection = &self.args.connection;
            let blobs = pulling::anywhere(self.app, connection, oci::DEFAULT_REGISTRY)?;
            origins.push((made.platform.clone(), Box::new(StoreOrigin::new(image, blobs))));
        }
        match origins.len() {
            1 => Ok(origins.remove(0).1),
            _ => Ok(Box::new(Joined::new(origins)?)),
        }
    }

    /// The trees of all platforms, and where each stands in what is written: below a directory
    /// with the platform's name if there are several.
    fn trees(&self) -> Result<Vec<(PathBuf, layerfs::View)>, Failure> {
        let store = self.app.store()?;
        let view = |made: &Made| {
            let below = match self.made.len() {
                1 => PathBuf::new(),
                _ => made.platform.to_string().replace('/', "_").into(),
            };
            Ok((below, store.view(self.lease, &made.layers)?))
        };
        self.made.iter().map(view).collect()
    }

    fn files(&self, output: impl Write) -> Result<(), Failure> {
        let mut output = BufWriter::with_capacity(1 << 20, output);
        for (below, view) in self.trees()? {
            write_tree(&view.root, Path::new("/"), &below, &mut output)?;
        }
        Ok(output.flush()?)
    }

    /// Puts the files into a directory, over what is there, as whoever asked for them: as docker
    /// does it.
    fn files_into(&self, directory: &Path) -> Result<(), Failure> {
        for (below, view) in self.trees()? {
            let to = directory.join(below);
            let cannot = || format!("cannot write the files to {}", to.display());
            std::fs::create_dir_all(&to).doing(cannot)?;
            let owner = (rustix::process::geteuid(), rustix::process::getegid());
            let options = ExtractOptions {
                ids: self.app.ids(),
                owner: Some((owner.0.as_raw(), owner.1.as_raw())),
                strip: 0,
            };
            let target = Root::open(&to).doing(cannot)?;
            copy_files(&view.root, &target, &options).doing(cannot)?;
        }
        Ok(())
    }
}

/// Copies a tree by way of a tar.
fn copy_files(from: &Root, to: &Root, options: &ExtractOptions) -> Result<(), Failure> {
    let (mut reader, writer) = std::io::pipe()?;
    std::thread::scope(|scope| {
        let written = scope.spawn(move || {
            let mut writer = BufWriter::with_capacity(1 << 18, writer);
            write_tree(from, Path::new("/"), Path::new(""), &mut writer)?;
            Ok::<_, Failure>(writer.flush()?)
        });
        let read = extract_archive(&mut reader, to, Path::new("/"), options);
        // Whoever still writes finds nobody who reads.
        drop(reader);
        let written = written.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        read?;
        written
    })
}

fn stdout() -> Result<std::io::Stdout, Failure> {
    let stdout = std::io::stdout();
    if stdout.is_terminal() {
        return Err(Failure::new("an archive is nothing for a terminal")
            .hint("name a file with `dest=`, or redirect standard output"));
    }
    Ok(stdout)
}

/// What `--metadata-file` holds, with the names that docker gives it.
pub(super) fn metadata(args: &Args, made: &[Made], pushed: Option<&Descriptor>) -> Value {
    let mut all = serde_json::Map::new();
    if let [one] = made {
        all.insert("containerimage.config.digest".into(), json!(one.id));
        all.insert("containerimage.digest".into(), json!(one.id));
    }
    if let Some(pushed) = pushed {
        all.insert("containerimage.descriptor".into(), json!(pushed));
        all.insert("containerimage.digest".into(), json!(pushed.digest));
    }
    if !args.tag.is_empty() {
        let names: Vec<String> =
            args.tag.iter().map(|name| name.clone().with_default_tag().to_string()).collect();
        all.insert("image.name".into(), json!(names.join(",")));
    }
    Value::Object(all)
}
