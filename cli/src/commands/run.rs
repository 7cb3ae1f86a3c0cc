//! `tierce run`: a command in a new container.

use layerfs::{Container, Lease, Store};

use crate::app::App;
use crate::containers::events::note;
use crate::containers::options::{CreateOptions, Stdin, create};
use crate::containers::{ContainerConfig, OWN_FAILURE, run_here};
use crate::error::{Failure, Outcome};
use crate::keeper::joined::{Joining, Parted, Shown};
use crate::keeper::launch::launch;
use crate::keeper::restart::RestartPolicy;
use crate::keeper::{ask, wire};
use crate::signals::Caught;
use crate::terminal::DetachKeys;
use crate::ui::say;

// What `tierce run` takes.
#[derive(clap::Args)]
#[command(override_usage = "tierce run [OPTIONS] <IMAGE> [COMMAND]...")]
pub(crate) struct Args {
    /// Leave the container to itself once it runs, and print its id
    #[arg(short, long)]
    detach: bool,
    /// Take part in these alone: stdin, stdout, stderr
    #[arg(short, long, value_enum, value_name = "STREAM", conflicts_with = "detach")]
    attach: Vec<Channel>,
    /// The keys that leave the container to itself; ctrl-p,ctrl-q unless docker's
    /// configuration says otherwise
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<DetachKeys>,
    /// Pass signals on to the container
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = clap::ArgAction::Set
    )]
    sig_proxy: bool,
    #[command(flatten)]
    options: CreateOptions,
}

impl Args {
    /// What stands in the place of the image, if it looks like a switch.
    pub(crate) fn image_like_a_switch(&self) -> Option<String> {
        self.options.image_like_a_switch()
    }
}

/// A stream that one can take part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Channel {
    Stdin,
    Stdout,
    Stderr,
}

/// Carries it out: its status is the command's.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let joining = args.joining(app);
    if !args.detach {
        joining.check()?;
    }
    start(args, app, &joining).map_err(|failure| {
        // docker's statuses: 126 and 127 are the command's fault, all else is ours.
        let code = if matches!(failure.code, 126 | 127 | 141) { failure.code } else { OWN_FAILURE };
        failure.code(code)
    })
}

fn start(args: &Args, app: &App, joining: &Joining) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let options = &args.options;
    if args.detach {
        let (container, _) = create(options, app, store, &lease, Stdin::Anybodys)?;
        let launched = launch(app, store, &lease, &container, None);
        // It is there, whether it could be started or not.
        say!("{}", container.id);
        return launched.map(|_| 0);
    }
    let (container, config) = create(options, app, store, &lease, Stdin::Ours)?;
    note(store, &container, "attach", &[]);
    if may_stay_here(args, &config) {
        let status = run_here(app, store, &lease, &container, &config);
        store.remove_container_and_volumes(&lease, &container.id)?;
        return status;
    }
    attached(app, store, lease, &container, joining)
}

impl Args {
    /// How we take part in it.
    fn joining(&self, app: &App) -> Joining {
        Joining {
            input: self.options.interactive && self.takes_part_in(Channel::Stdin),
            shown: Shown {
                stdout: self.takes_part_in(Channel::Stdout),
                stderr: self.takes_part_in(Channel::Stderr),
            },
            terminal: self.options.tty,
            signals: self.sig_proxy && !self.options.tty,
            // Without a terminal no keys are typed: docker's configuration need not be read.
            detach_keys: match self.options.tty {
                true => app.detach_keys(self.detach_keys.as_ref()),
                false => DetachKeys::default(),
            },
        }
    }

    /// In all, if nothing is said of it.
    fn takes_part_in(&self, channel: Channel) -> bool {
        self.attach.is_empty() || self.attach.contains(&channel)
    }
}

/// Whether nobody can leave the container, or come to it, or read what it said afterwards: then
/// it needs no process of its own that keeps it.
fn may_stay_here(args: &Args, config: &ContainerConfig) -> bool {
    config.auto_remove
        && !config.terminal
        && args.sig_proxy
        && args.attach.is_empty()
        && config.restart == RestartPolicy::No
        && config.runtime.healthcheck.is_none()
}

/// Runs it under a keeper and takes part until its end.
fn attached(
    app: &App,
    store: &Store,
    lease: Lease,
    container: &Container,
    joining: &Joining,
) -> Outcome {
    let caught = Caught::catch()?;
    let attach: wire::Attach = joining.attach(true);
    let keeper = launch(app, store, &lease, container, Some(attach))?;
    if !joining.shown.stdout && !joining.shown.stderr {
        // Nothing else would say which it is.
        say!("{}", container.id);
    }
    drop(lease);
    match joining.until_we_part(&keeper, caught)? {
        Parted::Ended(code) => Ok(u8::try_from(code).unwrap_or(OWN_FAILURE)),
        Parted::Left => {
            note(store, container, "detach", &[]);
            Ok(0)
        }
        Parted::Lost => {
            let state = store.container(&container.id).map(|container| container.state);
            Err(Failure::new(format!("the keeper of container {} was killed", container.name))
                .code(state.map_or(OWN_FAILURE, |state| ask::last_code(state) as u8)))
        }
    }
}
