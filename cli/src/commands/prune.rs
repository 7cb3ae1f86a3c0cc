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

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    if !args.force && !confirmed(args.all)? {
        return Ok(1);
    }
    let options = PruneOptions {
        stopped_containers: true,
        images: if args.all { PruneImages::Unused } else { PruneImages::Nameless },
        records_before: args.all.then_some(i64::MAX),
    };
    let report = app.store()?.prune(&options)?;
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

fn confirmed(all: bool) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new("nobody is there to be asked").hint("`--force` does not ask"));
    }
    let what = if all {
        "stopped containers, images that no container uses, and the build cache"
    } else {
        "stopped containers, images without a name, and what nothing refers to"
    };
    print!("This removes {what}. Continue? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
