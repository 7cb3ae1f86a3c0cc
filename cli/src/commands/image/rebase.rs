//! `tierce image rebase`: an image put on another base, without building it again.

use oci::edit::Rebase;
use oci::transfer::{Origin, image_for};
use oci::{Digest, Reference};

use crate::app::App;
use crate::copying::Location;
use crate::copying::editing::{self, Editing, Target};
use crate::error::{Failure, Outcome};

// What `tierce image rebase` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The base that the image is on; without this, the one that its annotations name
    #[arg(long = "old_base", visible_alias = "old-base", value_name = "PLACE")]
    old_base: Option<String>,
    /// The base that it is put on; without this, what the name of its base now means
    #[arg(long = "new_base", visible_alias = "new-base", value_name = "PLACE")]
    new_base: Option<String>,
    #[command(flatten)]
    target: Target,
    /// The image
    #[arg(value_name = "IMAGE", required_unless_present = "original")]
    image: Option<String>,
    /// The image, as earlier versions of crane have it
    #[arg(long, hide = true, conflicts_with = "image")]
    original: Option<String>,
}

impl Args {
    /// Whether the store is an end.
    pub(super) fn touches_trees(&self) -> bool {
        let places = [&self.old_base, &self.new_base, &self.image, &self.original];
        self.target.has_store(places.into_iter().flatten())
    }
}

/// Carries it out.
pub(super) fn run(args: &Args, app: &App) -> Outcome {
    let lease = app.store()?.lease()?;
    let image = args.image.as_ref().or(args.original.as_ref());
    let image = image.ok_or_else(|| Failure::new("no image is named"))?;
    let (source, origin) = editing::open(app, &lease, image, &args.target)?;
    let bases = bases(args, &*origin)?;
    let old = editing::open(app, &lease, &bases.old, &args.target)?.1;
    let (place, new) = editing::open(app, &lease, &bases.new, &args.target)?;
    let name = match place {
        Location::Registry(name) => name.with_default_tag().to_string(),
        _ => bases.new,
    };
    let edits = vec![Box::new(Rebase::new(old, new, name)) as _];
    let editing = Editing { origin, source: Some(&source), edits, all: false };
    editing::edit(app, &lease, editing, &args.target)
}

struct Bases {
    old: String,
    new: String,
}

/// The bases as they were given, else as the image names its base.
fn bases(args: &Args, origin: &dyn Origin) -> Result<Bases, Failure> {
    if let (Some(old), Some(new)) = (&args.old_base, &args.new_base) {
        return Ok(Bases { old: old.clone(), new: new.clone() });
    }
    let manifest = image_for(origin, &args.target.one_platform())?;
    let note = |key: &str| {
        manifest.annotations.get(key).ok_or_else(|| {
            Failure::new(format!("the image has no annotation {key}"))
                .hint("name the bases with `--old_base` and `--new_base`")
        })
    };
    let name: Reference = note(Rebase::BASE_NAME)?.parse()?;
    let old = match &args.old_base {
        Some(old) => old.clone(),
        None => {
            let digest: Digest = note(Rebase::BASE_DIGEST)?.parse()?;
            name.with_digest(digest).to_string()
        }
    };
    Ok(Bases { old, new: args.new_base.clone().unwrap_or_else(|| name.to_string()) })
}
