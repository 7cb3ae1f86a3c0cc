//! `tierce prune`, `system prune`, `image prune`, `builder prune`: remove what nothing refers to,
//! and say so in docker's words.

use layerfs::{Container, ImageRecord, PruneImages, PruneOptions, PruneReport, Store};

use super::{network, volume};
use crate::app::App;
use crate::containers::ContainerConfig;
use crate::error::{Failure, Outcome};
use crate::networks::Networks;
use crate::ui::ask::confirmed;
use crate::ui::filter::Prunable;
use crate::ui::{human, say};

// What `tierce prune` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Remove images with names too, if no container uses them, and the build cache
    #[arg(short, long)]
    all: bool,
    /// Remove the anonymous volumes that no container uses, too
    #[arg(long)]
    volumes: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Of containers, networks and images only those that are so: until=TIME, label=NAME[=VALUE],
    /// label!=NAME[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

// What `tierce image prune` takes.
#[derive(clap::Args)]
pub(crate) struct OfImages {
    /// Remove images with names too, if no container uses them
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only those that are so: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

// What `tierce builder prune` takes.
#[derive(clap::Args)]
pub(crate) struct OfBuilds {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let meant = Prunable::read(&args.filter)?;
    if !args.force && !confirmed(&question(args))? {
        return Ok(0);
    }
    let store = app.store()?;
    let options = PruneOptions {
        stopped_containers: true,
        only_containers: meant.is_narrow().then(|| containers(store, &meant)).transpose()?,
        images: images(args.all),
        only_images: meant.is_narrow().then(|| images_meant(store, &meant)).transpose()?,
        records_before: args.all.then_some(i64::MAX),
    };
    let report = store.prune(&options)?;
    say_deleted("Containers", &report.containers)?;
    let networks = network::remove_unused(&Networks::lock(store)?, &meant)?;
    say_deleted("Networks", &networks)?;
    let mut freed = report.bytes;
    if args.volumes {
        let (volumes, size) = volume::remove_unused(store, volume::Which::Anonymous, &meant)?;
        say_deleted("Volumes", &volumes)?;
        freed += size;
    }
    say_images(&report)?;
    say_build_cache(&report)?;
    say!("Total reclaimed space: {}", human::size(freed));
    Ok(0)
}

fn question(args: &Args) -> String {
    let mut lines =
        vec!["all stopped containers", "all networks not used by at least one container"];
    if args.volumes {
        lines.push("all anonymous volumes not used by at least one container");
    }
    lines.extend(match args.all {
        true => ["all images without at least one container associated to them", "all build cache"],
        false => ["all dangling images", "what nothing refers to any more"],
    });
    format!("This will remove:\n  - {}\n", lines.join("\n  - "))
}

/// Images alone.
pub(crate) fn of_images(args: &OfImages, app: &App) -> Outcome {
    let meant = Prunable::read(&args.filter)?;
    let question = match args.all {
        true => "This will remove all images without at least one container associated to them.",
        false => "This will remove all dangling images.",
    };
    if !args.force && !confirmed(question)? {
        return Ok(0);
    }
    let store = app.store()?;
    let options = PruneOptions {
        images: images(args.all),
        only_images: meant.is_narrow().then(|| images_meant(store, &meant)).transpose()?,
        ..PruneOptions::default()
    };
    let report = store.prune(&options)?;
    say_images(&report)?;
    say!("Total reclaimed space: {}", human::size(report.bytes));
    Ok(0)
}

/// The build cache alone.
pub(crate) fn of_builds(args: &OfBuilds, app: &App) -> Outcome {
    if !args.force && !confirmed("This will remove all build cache.")? {
        return Ok(0);
    }
    let options = PruneOptions { records_before: Some(i64::MAX), ..PruneOptions::default() };
    let report = app.store()?.prune(&options)?;
    say_build_cache(&report)?;
    say!("Total:\t{}", human::size(report.bytes));
    Ok(0)
}

fn images(all: bool) -> PruneImages {
    if all { PruneImages::Unused } else { PruneImages::Nameless }
}

/// The containers of which the filters hold.
fn containers(store: &Store, meant: &Prunable) -> Result<Vec<String>, Failure> {
    let is_meant = |container: &Container| {
        let labels = ContainerConfig::of(container)
            .map(|config| config.runtime.labels.clone().into_iter().collect())
            .unwrap_or_default();
        meant.takes(jiff::Timestamp::from_second(container.created).ok(), &labels)
    };
    let all = store.containers()?.into_iter().filter(is_meant);
    Ok(all.map(|container| container.id).collect())
}

/// The images of which the filters hold.
fn images_meant(store: &Store, meant: &Prunable) -> Result<Vec<oci::Digest>, Failure> {
    let is_meant = |image: &ImageRecord| -> Result<bool, Failure> {
        let config = store.config(&image.id)?;
        let created = config.created.as_deref().and_then(|time| time.parse().ok());
        Ok(meant.takes(created, &config.config.labels.clone().into_iter().collect()))
    };
    let mut ids = Vec::new();
    for image in store.images()? {
        if is_meant(&image)? {
            ids.push(image.id);
        }
    }
    Ok(ids)
}

fn say_deleted(what: &str, names: &[String]) -> Result<(), Failure> {
    if !names.is_empty() {
        say!("Deleted {what}:\n{}\n", names.join("\n"));
    }
    Ok(())
}

fn say_images(report: &PruneReport) -> Result<(), Failure> {
    let lines: Vec<String> = report.images.iter().map(|id| format!("deleted: {id}")).collect();
    say_deleted("Images", &lines)
}

/// What of it goes has no names that anybody knows.
fn say_build_cache(report: &PruneReport) -> Result<(), Failure> {
    for (what, count) in [("build records", report.records), ("caches of RUN", report.caches)] {
        if count > 0 {
            say!("removed {what}: {count}");
        }
    }
    Ok(())
}
