//! `tierce image annotate`: notes on manifests and indexes.

use oci::edit::{Annotate, Annotations};

use crate::app::App;
use crate::copying::editing::{self, Editing, Target};
use crate::error::{Failure, Outcome};

// What `tierce image annotate` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A note to set. `manifest:` before it is for the manifests of images, which is also meant
    /// without; `index:` for the index, `manifest-descriptor:` for its list of manifests
    #[arg(short, long, value_name = "[KIND:]NAME=VALUE")]
    annotation: Vec<String>,
    /// A note to take away, with the same words before it
    #[arg(long, value_name = "[KIND:]NAME")]
    remove: Vec<String>,
    #[command(flatten)]
    target: Target,
    /// The image; of an index all images, with the index
    image: String,
}

impl Args {
    /// Whether the store is an end.
    pub(super) fn touches_trees(&self) -> bool {
        self.target.has_store([&self.image])
    }
}

/// Carries it out.
pub(super) fn run(args: &Args, app: &App) -> Outcome {
    let mut annotate = Annotate::default();
    for text in &args.remove {
        let (notes, name) = kind(&mut annotate, text);
        notes.push((name.to_owned(), None));
    }
    for text in &args.annotation {
        let (notes, note) = kind(&mut annotate, text);
        let (name, value) = note.split_once('=').ok_or_else(|| {
            Failure::new(format!("invalid annotation `{text}`: write it as NAME=VALUE"))
        })?;
        notes.push((name.to_owned(), Some(value.to_owned())));
    }
    let lease = app.store()?.lease()?;
    let (source, origin) = editing::open(app, &lease, &args.image, &args.target)?;
    let edits = vec![Box::new(annotate) as _];
    let editing = Editing { origin, source: Some(&source), edits, all: true };
    editing::edit(app, &lease, editing, &args.target)
}

/// Which notes a text is about, by the word that buildx writes before it.
fn kind<'a, 't>(annotate: &'a mut Annotate, text: &'t str) -> (&'a mut Annotations, &'t str) {
    match text.split_once(':') {
        Some(("manifest", note)) => (&mut annotate.manifests, note),
        Some(("index", note)) => (&mut annotate.indexes, note),
        Some(("manifest-descriptor", note)) => (&mut annotate.entries, note),
        _ => (&mut annotate.manifests, text),
    }
}
