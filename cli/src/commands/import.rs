//! `tierce import`: an image of one layer from a tar of files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use builder::Remotes;
use layerfs::{DirectoryTimes, ExtractOptions, NewImage, extract_archive};
use oci::compress::open_archive;
use oci::{History, ImageConfig, Platform, Raw, Reference};

use super::commit::changed;
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::containers::events::note_image;
use crate::error::{Doing, Failure, Outcome};
use crate::remotes::Network;
use crate::ui::say;

// What `tierce import` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// An instruction for the image: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, WORKDIR, …
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// What the image says of itself
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// What it runs on
    #[arg(long)]
    platform: Option<Platform>,
    /// A tar, compressed or not: a file, a URL, or - for standard input
    source: String,
    /// The name of the image
    name: Option<Reference>,
}

/// Carries it out; prints the image's id.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let snapshot = store.prepare(&lease, &[])?;
    let from = || format!("cannot import {}", args.source);
    let (_, mut tar) = open_archive(open(args, app)?).doing(from)?;
    let options = ExtractOptions { ids: store.ids(), owner: None, strip: 0 };
    extract_archive(&mut tar, &snapshot.active.root, Path::new(""), &options).doing(from)?;
    let layer = store.commit(&lease, snapshot, DirectoryTimes::Keep, None)?;
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let mut config = changed(ImageConfig::empty(&platform), &args.change)?;
    let now = app.machine.created()?;
    config.created = Some(now.clone());
    config.rootfs.diff_ids.push(layer.layer.diff_id);
    config.history.push(History {
        created: Some(now),
        created_by: None,
        author: None,
        comment: Some(
            args.message.clone().unwrap_or_else(|| format!("Imported from {}", args.source)),
        ),
        empty_layer: false,
    });
    let config = Raw::write(config);
    let names: Vec<Reference> = args.name.iter().cloned().collect();
    let image = store.put_image(
        &lease,
        &NewImage { config: &config, names: &names, manifest: None, index: None, base: &[] },
    )?;
    let id = image.id.to_string();
    note_image(store, "import", &id, &id);
    say!("{id}");
    Ok(0)
}

fn open(args: &Args, app: &App) -> Result<Box<dyn Read + Send>, Failure> {
    let source = args.source.as_str();
    if source == "-" {
        return Ok(Box::new(std::io::stdin()));
    }
    if source.starts_with("http://") || source.starts_with("https://") {
        let network = Network::new(app, &ConnectionArgs::default())?;
        return Ok(network.file(source)?.body);
    }
    Ok(Box::new(File::open(source).doing(|| format!("cannot open {source}"))?))
}
