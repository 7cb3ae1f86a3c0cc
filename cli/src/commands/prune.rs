//! `tierce prune`: removes what nothing refers to.

use std::io::{BufRead, IsTerminal, Write};

use layerfs::{PruneImages, PruneOptions};

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::ui::human;
use crate::ui::say;

/// What `tierce prune` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Remove images with names too, if no container uses them, and the build cache
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// What `tierce image prune` takes.
#[derive(clap::Args)]
pub(crate) struct OfImages {
    /// Remove images with names too, if no container uses them
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// What `tierce builder prune` takes.
#[derive(clap::Args)]
pub(crate) struct OfBuilds {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let what = if args.all {
        "stopped containers, images that no container uses, and the build cache"
    } else {
        "stopped containers, images without a name, and what nothing refers to"
    };
    let options = PruneOptions {
        stopped_containers: true,
        images: images(args.all),
        records_before: args.all.then_some(i64::MAX),
    };
    remove(app, args.force, what, &options)
}

/// Images alone.
pub(crate) fn of_images(args: &OfImages, app: &App) -> Outcome {
    let what = if args.all { "images that no container uses" } else { "images without a name" };
    let options = PruneOptions { images: images(args.all), ..PruneOptions::default() };
    remove(app, args.force, what, &options)
}

/// The build cache alone.
pub(crate) fn of_builds(args: &OfBuilds, app: &App) -> Outcome {
    let options = PruneOptions { records_before: Some(i64::MAX), ..PruneOptions::default() };
    remove(app, args.force, "the build cache", &options)
}

fn images(all: bool) -> PruneImages {
    if all { PruneImages::Unused } else { PruneImages::Nameless }
}

fn remove(app: &App, force: bool, what: &str, options: &PruneOptions) -> Outcome {
    if !force && !confirmed(what)? {
        return Ok(1);
    }
    let report = app.store()?.prune(options)?;
    for (what, count) in [
        ("containers", report.containers.len()),
        ("images", report.images.len()),
        ("layers", report.layers),
        ("blobs", report.blobs),
        ("build records", report.records),
        ("caches of RUN", report.caches),
    ] {
        if count > 0 {
            say!("removed {what}: {count}");
        }
    }
    say!("reclaimed: {}", human::size(report.bytes));
    Ok(0)
}

fn confirmed(what: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new("nobody is there to be asked").hint("`--force` does not ask"));
    }
    print!("This removes {what}. Continue? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
