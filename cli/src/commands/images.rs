//! `tierce images`: what is in the store.

use builder::glob::Glob;
use jiff::Timestamp;
use layerfs::{ImageRecord, Store};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::ui::filter::{Filters, matches_label};
use crate::ui::human;
use crate::ui::list::{List, ListArgs};

/// What a list can be narrowed by.
const FILTERS: [&str; 6] = ["dangling", "reference", "label", "before", "since", "until"];

// What `tierce images` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only images of this repository, or this name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
    /// Show all there are, which the list does without it: no steps of builds are among them
    #[arg(short, long)]
    all: bool,
    /// Show the digests of manifests
    #[arg(long)]
    digests: bool,
    /// Show those of which this holds: dangling=BOOL, reference=PATTERN, label=NAME[=VALUE],
    /// before=IMAGE, since=IMAGE, until=TIME
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let filters = Filters::read(&args.filter, &FILTERS)?;
    let dangling = filters.truth("dangling")?;
    let until = moments(&filters)?;
    let (before, since) = (limit(store, &filters, "before")?, limit(store, &filters, "since")?);
    let mut images = Vec::new();
    for image in store.images()? {
        let created = created(store, &image)?;
        let is_meant = filters.every("label", |label| has_label(store, &image, label))
            && before.is_none_or(|time| created < time)
            && since.is_none_or(|time| created > time)
            && until.iter().all(|time| created.is_some_and(|created| created < *time));
        if is_meant {
            images.push((created, image));
        }
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
            if shown(&row, args, &filters, dangling) {
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
            "CreatedAt": created.map_or("N/A".into(), human::date),
            "CreatedSince": created.map_or("N/A".into(), |c| human::ago(c, Timestamp::now())),
            "Size": human::size(image.size),
            "VirtualSize": human::size(image.size),
            "Bytes": image.size,
            // As docker says where nobody counts.
            "Containers": "N/A",
            "SharedSize": "N/A",
            "UniqueSize": "N/A",
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

/// When an image was made.
fn created(store: &Store, image: &ImageRecord) -> Result<Option<Timestamp>, Failure> {
    let config = store.config(&image.id)?;
    Ok(config.created.as_deref().and_then(|time| time.parse().ok()))
}

/// The times that images are to be older than.
fn moments(filters: &Filters) -> Result<Vec<Timestamp>, Failure> {
    let now = Timestamp::now();
    let moment = |text| human::moment(text, now).map_err(Failure::new);
    filters.values("until").map(moment).collect()
}

/// When the image was made that a filter names.
fn limit(
    store: &Store,
    filters: &Filters,
    key: &str,
) -> Result<Option<Option<Timestamp>>, Failure> {
    let named = filters.values(key).last();
    named.map(|name| created(store, &store.resolve(name)?)).transpose()
}

fn has_label(store: &Store, image: &ImageRecord, wanted: &str) -> bool {
    // One whose configuration cannot be read has been seen to fail before.
    store.config(&image.id).is_ok_and(|config| {
        let labels = config.config.labels.clone().into_iter().collect();
        matches_label(wanted, &labels)
    })
}

fn shown(row: &Value, args: &Args, filters: &Filters, dangling: Option<bool>) -> bool {
    let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let (repository, tag) = (text("Repository"), text("Tag"));
    let is_nameless = repository == "<none>";
    let name = format!("{repository}:{tag}");
    let is_named = match &args.name {
        None => true,
        Some(wanted) => matches_name(wanted, &repository, &name),
    };
    is_named
        && dangling.is_none_or(|wanted| wanted == is_nameless)
        && filters.any("reference", |wanted| matches_name(wanted, &repository, &name))
}

/// Whether a pattern is that of a repository, or of a name with its tag.
fn matches_name(pattern: &str, repository: &str, name: &str) -> bool {
    let glob = Glob::parse(pattern);
    [repository, name]
        .into_iter()
        .any(|text| pattern == text || glob.as_ref().is_ok_and(|glob| glob.matches(text)))
}
