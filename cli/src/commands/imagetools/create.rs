//! `tierce image index`, `tierce buildx imagetools create`: one index of several images, as jobs
//! do it that built an image for one platform each.

use clap::ArgAction;
use layerfs::Lease;
use oci::edit::Annotate;
use oci::transfer::{CopyOptions, Edit, Joined, Origin};
use oci::{Digest, Document, Raw};

use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::copying::{Location, carry, destination, origin};
use crate::error::{Doing, Failure, Outcome};
use crate::ui::say;

// What `tierce image index` takes.
#[derive(clap::Args)]
pub(crate) struct Create {
    /// Where the index goes, written as the images are; may be given several times
    #[arg(short, long = "tag", value_name = "PLACE")]
    tags: Vec<String>,
    /// Keep what is at the first of these places, and add to it
    #[arg(long, requires = "tags")]
    append: bool,
    /// A note to set on the index; with `manifest-descriptor:` before it, on all that it lists
    #[arg(long = "annotation", value_name = "[KIND:]NAME=VALUE")]
    annotations: Vec<String>,
    /// Print the index, and put it nowhere
    #[arg(long)]
    dry_run: bool,
    /// Whether an image that is alone gets an index, too
    #[arg(
        long,
        action = ArgAction::Set,
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    prefer_index: bool,
    /// Say nothing of the way
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The images and indexes; of the last, what they list. A digest alone is one of the
    /// repository that the index goes to
    #[arg(value_name = "IMAGE", required_unless_present = "append")]
    sources: Vec<String>,
}

/// Carries it out.
pub(crate) fn create(args: &Create, app: &App) -> Outcome {
    if args.tags.is_empty() && !args.dry_run {
        return Err(Failure::new("the index has no place")
            .hint("say where it goes with `--tag`, or look at it with `--dry-run`"));
    }
    let places: Vec<Location> =
        args.tags.iter().map(|tag| Location::of_registry(tag)).collect::<Result<_, _>>()?;
    let lease = app.store()?.lease()?;
    let joined = joined(args, &places, app, &lease)?;
    let edits: Vec<Box<dyn Edit>> = vec![Box::new(index_notes(&args.annotations)?)];
    if args.dry_run {
        return shown(&joined.root()?, &edits);
    }
    let options = CopyOptions { edits, ..CopyOptions::default() };
    for place in &places {
        let end = destination(app, &lease, place, &args.connection)?;
        let copied = carry(app, &joined, end, &options, args.quiet)
            .doing(|| "cannot make the index".to_owned())?;
        match place {
            Location::Registry(name) | Location::Untagged(name) => {
                say!("{}", name.with_digest(copied.root.digest).familiar());
            }
            _ => say!("{}", copied.root.digest),
        }
    }
    Ok(0)
}

fn joined(args: &Create, places: &[Location], app: &App, lease: &Lease) -> Result<Joined, Failure> {
    let already = places.first().filter(|_| args.append).cloned();
    let named = args.sources.iter().map(|text| source(text, places));
    let open = |place: Result<Location, Failure>| -> Result<Box<dyn Origin>, Failure> {
        origin(app, lease, &place?, &args.connection)
    };
    let origins = already.map(Ok).into_iter().chain(named).map(open).collect::<Result<_, _>>()?;
    Joined::of_all(origins, !args.prefer_index).doing(|| "cannot make the index".to_owned())
}

/// The place of a source.
fn source(text: &str, places: &[Location]) -> Result<Location, Failure> {
    match (text.parse::<Digest>(), places.first()) {
        (Ok(digest), Some(Location::Registry(name))) => {
            Ok(Location::Registry(name.with_digest(digest)))
        }
        (Ok(_), _) => Err(Failure::new(format!("`{text}` is in no repository"))
            .hint("name the image, as REPOSITORY@DIGEST")),
        (Err(_), _) => Location::of_registry(text),
    }
}

/// Reads notes for an index and for what it lists.
pub(crate) fn index_notes(texts: &[String]) -> Result<Annotate, Failure> {
    let mut annotate = Annotate::default();
    for text in texts {
        let (notes, note) = match text.split_once(':') {
            Some(("index", note)) => (&mut annotate.indexes, note),
            Some(("manifest-descriptor", note)) => (&mut annotate.entries, note),
            Some(("manifest", _)) => {
                return Err(Failure::new(format!(
                    "`{text}` is about images, which stay as they are"
                ))
                .hint("`tierce image annotate` changes images"));
            }
            _ => (&mut annotate.indexes, text.as_str()),
        };
        let (name, value) = note.split_once('=').ok_or_else(|| {
            Failure::new(format!("invalid annotation `{text}`: write it as NAME=VALUE"))
        })?;
        notes.push((name.to_owned(), Some(value.to_owned())));
    }
    Ok(annotate)
}

/// Prints a document as it is after some edits.
pub(crate) fn shown(document: &Document, edits: &[Box<dyn Edit>]) -> Outcome {
    let mut document = document.clone();
    if let (Document::Index(index), false) = (&document, edits.is_empty()) {
        let mut index = (**index).clone();
        for edit in edits {
            index = edit.index(index)?;
        }
        document = Document::Index(Raw::write(index));
    }
    let value: serde_json::Value = serde_json::from_slice(document.bytes())
        .map_err(|error| Failure::new(format!("cannot print the document: {error}")))?;
    say!("{value:#}");
    Ok(0)
}
