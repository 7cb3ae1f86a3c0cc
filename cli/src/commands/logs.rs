//! `tierce logs`: what a container said.

use std::io::{self, Write};

use jiff::Timestamp;

use crate::app::App;
use crate::containers::ContainerConfig;
use crate::error::{Failure, Outcome};
use crate::keeper::log::{Channel, Record};
use crate::keeper::replay::{Replay, Wanted};
use crate::ui::human::moment;

// What `tierce logs` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Go on as long as the container runs
    #[arg(short, long)]
    follow: bool,
    /// Nothing before this: a time (2013-01-02T13:23:37Z), a second since 1970, or so long ago (42m)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Nothing after this
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// So many lines from the end, or all
    #[arg(
        short = 'n',
        long,
        value_name = "LINES",
        default_value = "all",
        allow_hyphen_values = true
    )]
    tail: String,
    /// Show when each line was said
    #[arg(short, long)]
    timestamps: bool,
    /// Show what `--log-opt` had noted with each line: labels, variables, a tag
    #[arg(long)]
    details: bool,
    /// Name or id of the container
    container: String,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let container = store.container(&args.container)?;
    let config = ContainerConfig::of(&container)?;
    let Some(limits) = config.log else {
        return Err(Failure::new(format!("container {} keeps no log", container.name)));
    };
    let now = Timestamp::now();
    let time = |text: &Option<String>| -> Result<Option<Timestamp>, Failure> {
        text.as_deref().map(|text| moment(text, now)).transpose().map_err(Failure::new)
    };
    let wanted =
        Wanted { since: time(&args.since)?, until: time(&args.until)?, tail: lines(&args.tail)? };
    let details = match args.details {
        true => config.log_notes.details(&container, &config.runtime) + " ",
        false => String::new(),
    };
    let show = |record: &Record| {
        let line = if args.timestamps {
            format!("{:.9} {details}{}", record.time, record.log)
        } else {
            format!("{details}{}", record.log)
        };
        match record.stream {
            Channel::Stdout => write(io::stdout().lock(), &line),
            Channel::Stderr => write(io::stderr().lock(), &line),
        }
    };
    let mut replay = Replay::open(&container.dir, limits)?;
    let mut shown = replay.show(&wanted, show);
    if args.follow && shown.is_ok() {
        let runs = || store.container(&container.id).is_ok_and(|now| now.state.is_running());
        shown = replay.follow(&wanted, runs, show);
    }
    match shown {
        // As if SIGPIPE had ended us.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::silent(141)),
        result => Ok(result.map(|()| 0)?),
    }
}

fn write(mut to: impl Write, line: &str) -> io::Result<()> {
    to.write_all(line.as_bytes())?;
    to.flush()
}

/// A number of lines; `all`, and what is below zero, is no limit.
fn lines(text: &str) -> Result<Option<usize>, Failure> {
    if text == "all" {
        return Ok(None);
    }
    let number: i64 =
        text.parse().map_err(|_| Failure::new(format!("`{text}` is no number of lines")))?;
    Ok(usize::try_from(number).ok())
}
