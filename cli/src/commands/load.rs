//! `tierce load`: images from an archive.

use std::io::IsTerminal;
use std::path::PathBuf;

use layerfs::NewImage;
use oci::archive::Archive;
use oci::{Descriptor, Image, LayerCompression, Platform, Reference};

use crate::app::App;
use crate::containers::events::note_image;
use crate::error::{Doing, Failure, Outcome};
use crate::ui::say;
use crate::ui::transfer::Transfer;

// What `tierce load` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The archive, compressed or not, or the directory of an OCI layout; standard input if none
    /// is named
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Which image of several
    #[arg(long)]
    platform: Option<Platform>,
    /// Print the names alone
    #[arg(short, long)]
    quiet: bool,
}

/// Carries it out; prints what was loaded in docker's words.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let staging = lease.scratch_dir("archive")?;
    let archive = match &args.input {
        Some(path) => Archive::open(path, &staging),
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::new("requested load from stdin, but stdin is a terminal")
                .hint("name the archive with `--input`"));
        }
        None => Archive::read(Box::new(std::io::stdin()), &staging),
    };
    let from = || match &args.input {
        Some(path) => format!("cannot load {}", path.display()),
        None => "cannot load standard input".to_owned(),
    };
    let archive = archive.doing(from)?;
    if archive.images().is_empty() {
        return Err(Failure::new("the archive has no image"));
    }
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    // As docker does, where nobody watches the names are all that is said.
    let quiet = args.quiet || !app.machine.watches_stderr();
    let transfer = Transfer::new(app.transfers(quiet));
    for archived in archive.images() {
        let image = match archive.load(archived, &platform) {
            Err(oci::Error::UnsupportedMediaType { digest, media_type }) => {
                anstream::eprintln!("passed over {digest}: {media_type} is no image");
                continue;
            }
            image => image.doing(from)?,
        };
        store
            .unpack_image(&lease, &image, &archive, &|blob, bytes| transfer.moved(blob, bytes))
            .doing(from)?;
        image.manifest.layers.iter().for_each(|blob| transfer.ended(blob, "loaded"));
        let record = store.put_image(&lease, &as_shipped(&image, &archived.names))?;
        let id = record.id.to_string();
        for name in &archived.names {
            note_image(store, "load", &id, &name.to_string());
            say!("Loaded image: {}", name.familiar());
        }
        if archived.names.is_empty() {
            note_image(store, "load", &id, &id);
            say!("Loaded image ID: {id}");
        }
    }
    Ok(0)
}

/// The image with its manifest, unless that names plain tars, as archives hold them: what is
/// pushed later is compressed, under a manifest of its own.
fn as_shipped<'a>(image: &'a Image, names: &'a [Reference]) -> NewImage<'a> {
    let whole = NewImage::whole(image, names);
    let is_plain =
        |layer: &Descriptor| layer.media_type.layer_compression() == Some(LayerCompression::None);
    match image.manifest.layers.iter().any(is_plain) {
        true => NewImage { manifest: None, index: None, ..whole },
        false => whole,
    }
}
