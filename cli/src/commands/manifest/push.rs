//! `tierce manifest push` and `inspect`.

use oci::Reference;
use oci::transfer::{CopyOptions, Origin};

use super::list::Lists;
use crate::app::App;
use crate::clients::{self, ConnectionArgs};
use crate::commands::imagetools::{index_notes, shown};
use crate::copying::{Location, carry, destination};
use crate::error::{Doing, Outcome};
use crate::ui::say;

// What `tierce manifest push` takes.
#[derive(clap::Args)]
pub(super) struct Push {
    /// Forget the list afterwards
    #[arg(short, long, visible_alias = "rm")]
    purge: bool,
    /// A note to set on the list; with `manifest-descriptor:` before it, on all that it lists
    #[arg(long = "annotation", value_name = "[KIND:]NAME=VALUE")]
    annotations: Vec<String>,
    /// Say nothing of the way
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The name of the list
    list: Reference,
    /// Where it goes, if not where its name says
    #[arg(value_name = "PLACE")]
    place: Option<String>,
}

// What `tierce manifest inspect` takes.
#[derive(clap::Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// A list that was begun here, or an image of a registry
    image: Reference,
}

/// Puts a list into a registry.
pub(super) fn push(args: &Push, app: &App) -> Outcome {
    let lists = Lists::open(app)?;
    let list = lists.existing(&args.list)?;
    let lease = app.store()?.lease()?;
    let place = match &args.place {
        Some(place) => Location::of_registry(place)?,
        None => Location::Registry(args.list.clone()),
    };
    let joined = list.joined(app, &lease, &args.connection)?;
    let edits = list.edits(index_notes(&args.annotations)?);
    let options = CopyOptions { edits, ..CopyOptions::default() };
    let end = destination(app, &lease, &place, &args.connection)?;
    let copied = carry(app, &joined, end, &options, args.quiet)
        .doing(|| format!("cannot push the list `{}`", args.list.familiar()))?;
    if args.purge {
        lists.remove(&args.list)?;
    }
    say!("{}", copied.root.digest);
    Ok(0)
}

/// Shows a list.
pub(super) fn inspect(args: &Inspect, app: &App) -> Outcome {
    let lists = Lists::open(app)?;
    let document = match lists.find(&args.image)? {
        Some(list) => {
            let lease = app.store()?.lease()?;
            let joined = list.joined(app, &lease, &args.connection)?;
            return shown(&joined.root()?, &list.edits(index_notes(&[])?));
        }
        None => {
            let client = clients::client(app, &args.connection, args.image.registry());
            app.network()?.block_on(client.manifest(&args.image))?
        }
    };
    shown(&document, &[])
}
