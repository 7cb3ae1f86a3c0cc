//! What becomes of what was built, carried out.

mod statements;

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use layerfs::{
    ExtractOptions, ImageRecord, Lease, Planted, Root, Store, StoreOrigin, extract_archive,
    write_tree, write_trees,
};
use oci::edit::{Attest, Claim};
use oci::transfer::{ArchiveName, CopyOptions, Joined, Origin, Platforms, Recompression};
use oci::{Descriptor, DiffId, Digest, Platform, Reference};
use serde_json::{Value, json};

use super::Args;
use super::attest::{ProvenanceOptions, Said};
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
    /// What is said about it.
    pub(super) said: Said,
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
            Kind::Nothing => Ok(None),
            Kind::Store { names } => self.name(names).map(|()| None),
            Kind::Registry { names, by_digest } => {
                let all = if names.is_empty() { &self.args.tag } else { names };
                let mut pushed = None;
                for name in all {
                    pushed = Some(self.push(name, names, *by_digest, &output.packing)?);
                }
                Ok(pushed)
            }
            Kind::Layout { names, directory } => {
                let name = self.names(names).first().map(ToString::to_string);
                let place = Location::Layout(directory.clone(), name);
                self.copy(&place, names, &output.packing).map(Some)
            }
            Kind::Archive { format, names: own, to } => {
                let names = self.names(own);
                let end = match to {
                    To::Stdout => copying::stream(*format, ArchiveName::Images(names), stdout()?),
                    To::File(path) => copying::archive(*format, ArchiveName::Images(names), path)?,
                };
                self.copy_to(end, own, &output.packing).map(Some)
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
        names: &[Reference],
        by_digest: bool,
        packing: &Packing,
    ) -> Result<Descriptor, Failure> {
        let Args { connection, quiet, .. } = self.args;
        let is_plain = packing.is_plain() && !self.is_attested();
        if let ([made], true, false) = (self.made, is_plain, by_digest) {
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
        self.copy(&place, names, packing).doing(|| format!("cannot push {}", name.familiar()))
    }

    fn copy(
        &self,
        place: &Location,
        names: &[Reference],
        packing: &Packing,
    ) -> Result<Descriptor, Failure> {
        let end = copying::destination(self.app, self.lease, place, &self.args.connection)?;
        self.copy_to(end, names, packing)
    }

    /// Whether something is said about the images.
    fn is_attested(&self) -> bool {
        self.made.iter().any(|made| !made.said.predicates.is_empty())
    }

    /// What is said about the images, under the names of an output.
    fn claims(&self, own: &[Reference]) -> Attest {
        let claim = |made: &Made| Claim {
            platform: made.platform.clone(),
            names: self.names(own),
            predicates: made.said.predicates.clone(),
        };
        Attest::new(self.made.iter().map(claim).collect())
    }

    fn copy_to(
        &self,
        end: End<'_>,
        names: &[Reference],
        packing: &Packing,
    ) -> Result<Descriptor, Failure> {
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
        if self.is_attested() {
            options.edits.push(Box::new(self.claims(names)));
        }
        let copied = copying::carry(self.app, &*origin, end, &options, self.args.quiet)?;
        Ok(copied.root)
    }

    /// The image; an index where there are several, or something stands beside it.
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
            1 if !self.is_attested() => Ok(origins.remove(0).1),
            _ => Ok(Box::new(Joined::new(origins)?)),
        }
    }

    /// The trees of all platforms, and where each stands in what is written: below a directory
    /// with the platform's name if there are several.
    fn trees(&self) -> Result<Vec<Tree>, Failure> {
        let store = self.app.store()?;
        let options = self.args.attest.provenance().filter(|options| !options.inline_only);
        let tree = |made: &Made| {
            let below = match self.made.len() {
                1 => PathBuf::new(),
                _ => made.platform.to_string().replace('/', "_").into(),
            };
            let view = store.view(self.lease, &made.layers)?;
            let statement = match (options, made.said.predicates.first()) {
                (Some(ProvenanceOptions { filename, .. }), Some(predicate)) => {
                    Some((filename.clone(), statements::about_files(&view.root, predicate)?))
                }
                _ => None,
            };
            Ok(Tree { below, view, statement })
        };
        self.made.iter().map(tree).collect()
    }

    fn files(&self, output: impl Write) -> Result<(), Failure> {
        let mut output = BufWriter::with_capacity(1 << 20, output);
        let trees = self.trees()?;
        let mut beside = Vec::new();
        for tree in &trees {
            beside.push(tree.statement.as_ref().map(|text| self.beside(text)).transpose()?);
        }
        let mut planted = Vec::new();
        for (Tree { below, view, .. }, beside) in trees.iter().zip(&beside) {
            planted.push(Planted { tree: &view.root, name: below, with_top: true });
            let beside = beside.iter();
            planted.extend(beside.map(|tree| Planted { tree, name: below, with_top: false }));
        }
        write_trees(&planted, &mut output)?;
        Ok(output.flush()?)
    }

    /// A tree that holds a statement alone.
    fn beside(&self, (name, text): &(String, Vec<u8>)) -> Result<Root, Failure> {
        let tree = Root::open(&self.lease.scratch_dir("statement")?)?;
        statements::write(&tree, name, text)?;
        if let Some(time) = self.app.machine.source_date_epoch().and_then(|time| time.parse().ok())
        {
            tree.set_mtime(name, layerfs::Timestamp::at(time))?;
        }
        Ok(tree)
    }

    /// Puts the files into a directory, over what is there, as whoever asked for them: as docker
    /// does it.
    fn files_into(&self, directory: &Path) -> Result<(), Failure> {
        for Tree { below, view, statement } in self.trees()? {
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
            if let Some((name, text)) = &statement {
                statements::write(&target, name, text).doing(cannot)?;
            }
        }
        Ok(())
    }
}

/// A tree of files that is written somewhere.
struct Tree {
    /// Where.
    below: PathBuf,
    view: layerfs::View,
    /// What is said about it, and the file that holds it.
    statement: Option<(String, Vec<u8>)>,
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
    let made_for_one = made.len() == 1;
    if let [one] = made {
        all.insert("containerimage.config.digest".into(), json!(one.id));
        all.insert("containerimage.digest".into(), json!(one.id));
    }
    if let Some(pushed) = pushed {
        all.insert("containerimage.descriptor".into(), json!(pushed));
        all.insert("containerimage.digest".into(), json!(pushed.digest));
    }
    for made in made {
        let key = match made_for_one {
            true => "buildx.build.provenance".to_owned(),
            false => format!("buildx.build.provenance/{}", made.platform),
        };
        all.extend(made.said.summary.clone().map(|summary| (key, summary)));
    }
    if !args.tag.is_empty() {
        let names: Vec<String> =
            args.tag.iter().map(|name| name.clone().with_default_tag().to_string()).collect();
        all.insert("image.name".into(), json!(names.join(",")));
    }
    Value::Object(all)
}
