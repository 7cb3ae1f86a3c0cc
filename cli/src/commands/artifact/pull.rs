//! The files of an artifact.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use layerfs::{ExtractOptions, Root, extract_archive};
use oci::compress::decoder;
use oci::{BlobRead, Descriptor, Document, LayerCompression, Manifest, Platform, Reference};
use registry_client::blocking::Source;

use crate::app::App;
use crate::artifacts::{TITLE, UNPACK};
use crate::clients::{self, ConnectionArgs};
use crate::error::{Doing, Failure, Outcome};
use crate::ui::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Put the files into this directory
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
    /// Which artifact of an index
    #[arg(long)]
    platform: Option<Platform>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The artifact: a name, by tag or by digest
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    name: Reference,
}

/// Gets them; prints their names. Each is there whole and verified, or not at all.
pub(super) fn pull(args: &Args, app: &App) -> Outcome {
    let network = app.network()?;
    let client = clients::client(app, &args.connection, args.name.registry());
    let doing = || format!("cannot pull {}", args.name.familiar());
    let manifest =
        match (network.block_on(client.manifest(&args.name)).doing(doing)?, &args.platform) {
            (Document::Manifest(manifest), _) => manifest,
            (Document::Index(_), Some(platform)) => {
                network.block_on(client.image(&args.name, platform)).doing(doing)?.manifest
            }
            (Document::Index(_), None) => {
                let name = args.name.familiar();
                return Err(Failure::new(format!("{name} is an index of several"))
                    .hint("say which one with --platform, or name it by its digest"));
            }
        };
    let files = files(&manifest)?;
    let repository = args.name.clone();
    let source = Source::of_repository(client, network.handle().clone(), repository);
    let cannot = || format!("cannot write to {}", args.output.display());
    std::fs::create_dir_all(&args.output).doing(cannot)?;
    let tree = Root::open(&args.output)?;
    for (path, blob) in files {
        let got = get(&source, blob, &args.output).doing(doing)?;
        match blob.annotations.get(UNPACK).is_some_and(|unpack| unpack == "true") {
            true => unpack(got, &tree).doing(|| format!("cannot unpack {}", path.display()))?,
            false => place(got, &tree, &path)?,
        }
        if !args.quiet {
            say!("{}", path.display());
        }
    }
    Ok(0)
}

/// The blobs that are files, and where they go.
fn files(manifest: &Manifest) -> Result<Vec<(PathBuf, &Descriptor)>, Failure> {
    let titled = |blob| {
        let blob: &Descriptor = blob;
        let title = blob.annotations.get(TITLE)?;
        let path = Path::new(title);
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        Some(match plain && !title.is_empty() {
            true => Ok((path.to_owned(), blob)),
            false => {
                Err(Failure::new(format!("a file is called `{title}`, which leads elsewhere")))
            }
        })
    };
    let files: Vec<_> = manifest.layers.iter().filter_map(titled).collect::<Result<_, _>>()?;
    if files.is_empty() {
        return Err(Failure::new("the artifact has no blob with the name of a file")
            .hint("`tierce registry manifest` shows its blobs, `tierce registry blob` gets one"));
    }
    Ok(files)
}

/// A blob as a file without a name, verified.
fn get(source: &Source, blob: &Descriptor, dir: &Path) -> oci::Result<File> {
    let failed = |source| {
        let object = dir.display().to_string();
        oci::Error::Io { operation: "write to", object, source }
    };
    let mut file = tempfile::tempfile_in(dir).map_err(failed)?;
    let mut blob = source.open(blob)?;
    io::copy(&mut blob, &mut file).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(file)
}

fn place(mut from: File, tree: &Root, path: &Path) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        tree.mkdir_all(parent, 0o755, None)?;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let mut file = tree.create_file(&part, 0o644)?;
    let written = io::copy(&mut from, &mut file);
    written.doing(|| format!("cannot write {}", path.display()))?;
    Ok(tree.rename(&part, path)?)
}

/// Makes a directory of the tar of one.
fn unpack(packed: File, tree: &Root) -> Result<(), Failure> {
    let mut tar: Box<dyn Read + Send> = decoder(LayerCompression::Gzip, Box::new(packed))?;
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let options =
        ExtractOptions { owner: Some((uid.as_raw(), gid.as_raw())), ..ExtractOptions::default() };
    Ok(extract_archive(&mut tar, tree, Path::new(""), &options)?)
}
