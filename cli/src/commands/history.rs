//! `tierce history`: the steps that made an image.

use jiff::Timestamp;
use serde_json::json;

use crate::app::App;
use crate::error::Outcome;
use crate::ui::human;
use crate::ui::list::{List, ListArgs};

/// How much of a step's text a table shows.
const TEXT_WIDTH: usize = 45;

// What `tierce history` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The image: a name or an id
    image: String,
    /// Print sizes and times as people read them
    #[arg(
        short = 'H',
        long,
        value_name = "BOOL",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = clap::ArgAction::Set
    )]
    human: bool,
    #[command(flatten)]
    list: ListArgs,
}

/// Carries it out; the newest step first.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let image = store.resolve(&args.image)?;
    let config = store.config(&image.id)?;
    let mut layers = store.image_layers(&image.id)?.into_iter();
    let mut rows = Vec::new();
    for step in &config.history {
        let layer = if step.empty_layer { None } else { layers.next() };
        let size = match &layer {
            Some((diff_id, blob)) => match store.layer(diff_id)? {
                Some(layer) => layer.size,
                // Not unpacked here: what is known is the size of its blob.
                None => blob.as_ref().map_or(0, |blob| blob.size),
            },
            None => 0,
        };
        let created = step.created.as_deref().and_then(|c| c.parse::<Timestamp>().ok());
        let by = step.created_by.clone().unwrap_or_default();
        let short = by.chars().count() > TEXT_WIDTH && !args.list.no_trunc;
        let text =
            if short { by.chars().take(TEXT_WIDTH - 1).chain(['…']).collect() } else { by };
        rows.push(json!({
            "ID": "<missing>",
            "CreatedAt": step.created,
            "CreatedSince": created.map_or("N/A".into(), |c| match args.human {
                true => human::ago(c, Timestamp::now()),
                false => c.to_string(),
            }),
            "CreatedBy": text,
            "Size": if args.human { human::size(size) } else { size.to_string() },
            "Bytes": size,
            "Comment": step.comment.clone().unwrap_or_default(),
        }));
    }
    if let Some(newest) = rows.last_mut() {
        let id = if args.list.no_trunc { image.id.to_string() } else { image.id.short().into() };
        newest["ID"] = id.into();
    }
    let mut list =
        List::new(&["ID|IMAGE", "CreatedSince", "CreatedBy", "Size", "Comment"], &args.list)?;
    rows.into_iter().rev().for_each(|row| list.row(row));
    list.print_each("ID")
}
