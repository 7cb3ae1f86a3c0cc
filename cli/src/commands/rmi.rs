//! `tierce rmi`: removes names, and images with their last name.

use std::collections::BTreeSet;

use layerfs::{ImageRecord, Store};
use oci::Reference;

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::ui::say;

// What `tierce rmi` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids of images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// Remove an image by its id with all its names, and mind none that is not there
    #[arg(short, long)]
    force: bool,
    /// Leave the images that this one was made from; no image has such, so there is nothing to do
    #[arg(long)]
    no_prune: bool,
}

/// Carries it out; what can be removed is removed even if something else cannot.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let mut status = 0;
    for image in &args.images {
        let removed = match store.resolve(image) {
            Err(error @ layerfs::Error::ImageNotFound { .. }) if args.force => {
                anstream::eprintln!("{error}");
                Ok(())
            }
            found => found
                .map_err(Failure::from)
                .and_then(|found| remove(store, image, &found, args.force)),
        };
        if let Err(failure) = removed {
            anstream::eprintln!("{}{failure}", crate::ui::ERROR);
            status = 1;
        }
    }
    // The layers that nobody needs now go at once, as people expect of a removal.
    store.collect()?;
    Ok(status)
}

fn remove(store: &Store, text: &str, image: &ImageRecord, force: bool) -> Result<(), Failure> {
    let by_id = text
        .parse::<Reference>()
        .map_or(true, |name| store.resolve_name(&name).map_or(true, |found| found.id != image.id));
    if by_id {
        // Several tags of one repository go together.
        let repositories = image.names.iter().map(Reference::familiar_repository);
        if repositories.collect::<BTreeSet<_>>().len() > 1 && !force {
            let names: Vec<String> = image.names.iter().map(Reference::familiar).collect();
            return Err(Failure::new(format!(
                "image {} has several names: {}",
                image.id.short(),
                names.join(", ")
            ))
            .hint("remove one of them, or all with `--force`"));
        }
        return remove_whole(store, image, force);
    }
    let name: Reference = text.parse()?;
    // The last name goes with the image, and not at all if a container needs that.
    let last = image.names.len() + image.digests.len() == 1
        || (name.digest().is_none() && image.names.len() == 1);
    if last {
        return remove_whole(store, image, force);
    }
    let gone = store.untag(&name)?;
    untagged(&gone.names)
}

/// Removes an image with all its names; by force also one of containers that do not run.
fn remove_whole(store: &Store, image: &ImageRecord, force: bool) -> Result<(), Failure> {
    match force {
        true => store.remove_image_of_stopped(&image.id)?,
        false => store.remove_image(&image.id)?,
    }
    untagged(image.names.iter().chain(&image.digests))?;
    say!("Deleted: {}", image.id);
    Ok(())
}

fn untagged<'a>(names: impl IntoIterator<Item = &'a Reference>) -> Result<(), Failure> {
    for name in names {
        say!("Untagged: {}", name.familiar());
    }
    Ok(())
}
