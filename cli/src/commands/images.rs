//! `tierce images`: what is in the store.

use jiff::Timestamp;
use layerfs::ImageRecord;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::Outcome;
use crate::ui::human;
use crate::ui::list::{List, ListArgs};

/// What `tierce images` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only images of this repository, or this name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    filter: Option<String>,
    /// Show images without a name too
    #[arg(short, long)]
    all: bool,
    /// Show the digests of manifests
    #[arg(long)]
    digests: bool,
    #[command(flatten)]
    list: ListArgs,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let mut images = Vec::new();
    for image in store.images()? {
        let created = store.config(&image.id)?.created.clone();
        images.push((created.as_deref().and_then(|c| c.parse::<Timestamp>().ok()), image));
    }
    // The newest first, as docker has it.
    images.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.names.cmp(&y.names)));
    let mut columns = vec!["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"];
    if !args.digests {
        columns.retain(|c| *c != "Digest");
    }
    let mut list = List::new(&columns, &args.list)?;
    for (created, image) in &images {
        for row in rows(image, *created, args.list.no_trunc) {
            if shown(&row, args) {
                list.row(row);
            }
        }
    }
    list.print("ID")
}

/// A row a name; an image without one has one row.
fn rows(image: &ImageRecord, created: Option<Timestamp>, whole: bool) -> Vec<Value> {
    let digest = |repository: &str| {
        let by_digest = image.digests.iter().find(|d| d.familiar_repository() == repository);
        by_digest.and_then(|d| d.digest()).map_or("<none>".to_owned(), ToString::to_string)
    };
    let row = |repository: &str, tag: &str| {
        json!({
            "Repository": repository,
            "Tag": tag,
            "Digest": digest(repository),
            "ID": if whole { image.id.to_string() } else { image.id.short().to_owned() },
            "CreatedAt": created.map(|c| c.to_string()),
            "CreatedSince": created.map_or("N/A".into(), |c| human::ago(c, Timestamp::now())),
            "Size": human::size(image.size),
            "Bytes": image.size,
        })
    };
    let mut rows: Vec<Value> = image
        .names
        .iter()
        .map(|name| row(&name.familiar_repository(), name.tag().unwrap_or("<none>")))
        .collect();
    for by_digest in &image.digests {
        let repository = by_digest.familiar_repository();
        if !image.names.iter().any(|name| name.familiar_repository() == repository) {
            rows.push(row(&repository, "<none>"));
        }
    }
    if rows.is_empty() {
        rows.push(row("<none>", "<none>"));
    }
    rows
}

fn shown(row: &Value, args: &Args) -> bool {
    let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let (repository, tag) = (text("Repository"), text("Tag"));
    match &args.filter {
        // Also what is called by digest alone is there; what has no name at all is asked for.
        None => args.all || repository != "<none>",
        Some(filter) => *filter == repository || *filter == format!("{repository}:{tag}"),
    }
}
