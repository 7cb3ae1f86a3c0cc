//! `tierce events`: what happened, and what happens.

mod narrow;
mod shown;

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use layerfs::{Event, Store};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify;

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::ui::human::moment;

/// How many are read at once.
const AT_ONCE: usize = 256;
/// How long nothing is looked for where nothing is noticed.
const PATIENCE: Duration = Duration::from_secs(1);

// What `tierce events` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Begin with what happened then: a time, a second since 1970, or so long ago (42m)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// End with what happened then, and begin with all that is known unless `--since` says
    /// otherwise; without, what happens is shown as it does
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Only those of which this holds: type=, event=, container=, image=, volume=, network=,
    /// label=NAME[=VALUE]
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `json` (one object a line), or placeholders: '{{.Type}} {{.Action}} {{.Actor.ID}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let narrowed = narrow::Narrowed::read(store, &args.filter)?;
    let form = shown::Form::read(args.format.as_deref())?;
    let now = Timestamp::now();
    let time = |text: &Option<String>| -> Result<Option<Timestamp>, Failure> {
        text.as_deref().map(|text| moment(text, now)).transpose().map_err(Failure::new)
    };
    let (since, until) = (time(&args.since)?, time(&args.until)?);
    // Before what is there is read: what happens meanwhile is noticed.
    let watch = watch(store.root())?;
    // Who says up to when asks also for what was before, as with docker.
    let mut last = if since.is_some() || until.is_some() { 0 } else { store.latest_event()? };
    loop {
        // Asked before the rest is read: what happened up to then is read once more.
        let is_over = until.is_some_and(|until| Timestamp::now() >= until);
        for event in all_after(store, &mut last)? {
            let at = happened(&event);
            if since.is_none_or(|since| at >= since)
                && until.is_none_or(|until| at <= until)
                && narrowed.takes(&event)
            {
                form.show(&event)?;
            }
        }
        if is_over {
            return Ok(0);
        }
        wait(&watch, until)?;
    }
}

/// When an event happened.
fn happened(event: &Event) -> Timestamp {
    Timestamp::from_millisecond(event.millis).unwrap_or_default()
}

fn all_after(store: &Store, last: &mut i64) -> Result<Vec<Event>, Failure> {
    let mut all = Vec::new();
    loop {
        let some = store.events(*last, AT_ONCE)?;
        let count = some.len();
        *last = some.last().map_or(*last, |event| event.number);
        all.extend(some);
        if count < AT_ONCE {
            return Ok(all);
        }
    }
}

/// Notices when the store's records are written.
fn watch(root: &Path) -> io::Result<OwnedFd> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
    inotify::add_watch(&watch, root, events)?;
    Ok(watch)
}

/// Waits until something may have happened.
fn wait(watch: &OwnedFd, until: Option<Timestamp>) -> io::Result<()> {
    let left = until.map(|until| until.duration_since(Timestamp::now()));
    let left = left.and_then(|left| Duration::try_from(left).ok()).unwrap_or(PATIENCE);
    let patience = left.min(PATIENCE);
    let patience = Timespec {
        tv_sec: patience.as_secs().cast_signed(),
        tv_nsec: i64::from(patience.subsec_nanos()),
    };
    match poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&patience)) {
        Err(rustix::io::Errno::INTR) => {}
        result => drop(result?),
    }
    let mut buffer = [0; 4096];
    while rustix::io::read(watch, &mut buffer).is_ok_and(|count| count > 0) {}
    Ok(())
}
