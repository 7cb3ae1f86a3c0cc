//! `tierce image append`: layers on top of an image, without unpacking it.

use std::fs::File;
use std::io::Read;

use oci::edit::{Append, NewLayer, ScratchOrigin};
use oci::transfer::Origin;

use crate::app::App;
use crate::copying::editing::{self, Editing, Target};
use crate::error::{Doing, Failure, Outcome};

// What `tierce image append` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A tar that becomes a layer, compressed or not; `-` is standard input. Lowest first
    #[arg(
        short = 'f',
        long = "new_layer",
        visible_alias = "new-layer",
        value_name = "FILE",
        value_delimiter = ',',
        required = true
    )]
    layers: Vec<String>,
    /// The image below; an empty one if none is named
    #[arg(short, long, value_name = "PLACE")]
    base: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Args {
    /// Whether the store is an end.
    pub(super) fn touches_trees(&self) -> bool {
        self.target.has_store(&self.base)
    }
}

/// Reads the tars that are to be layers.
pub(super) fn layers(files: &[String]) -> Result<Vec<NewLayer<'static>>, Failure> {
    let open = |name: &String| {
        let content: Box<dyn Read + Send> = if name == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(name).doing(|| format!("cannot read {name}"))?)
        };
        Ok(NewLayer { name: name.clone(), content })
    };
    files.iter().map(open).collect()
}

/// Carries it out.
pub(super) fn run(args: &Args, app: &App) -> Outcome {
    let lease = app.store()?.lease()?;
    let (source, origin) = match &args.base {
        Some(base) => {
            let (place, origin) = editing::open(app, &lease, base, &args.target)?;
            (Some(place), origin)
        }
        None => {
            let empty = ScratchOrigin::new(&args.target.one_platform());
            (None, Box::new(empty) as Box<dyn Origin>)
        }
    };
    let scratch = lease.scratch_dir("layers")?;
    let append = Append::new(layers(&args.layers)?, app.threads(), &scratch)?;
    let (source, edits) = (source.as_ref(), vec![Box::new(append) as _]);
    editing::edit(app, &lease, Editing { origin, source, edits, all: false }, &args.target)
}
