//! `tierce update`: other limits and another restart policy for containers, also while they run.

use layerfs::Store;

use crate::app::App;
use crate::containers::events::note;
use crate::containers::limits::{LimitArgs, LimitsConfig};
use crate::containers::{ContainerConfig, each};
use crate::error::{Failure, Outcome};
use crate::keeper::ask::demand;
use crate::keeper::restart::RestartPolicy;
use crate::keeper::wire::Request;

// What `tierce update` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    limits: LimitArgs,
    /// When to start them again: no, always, unless-stopped, on-failure[:TIMES]
    #[arg(long, value_name = "POLICY")]
    restart: Option<RestartPolicy>,
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let changes = Changes { limits: args.limits.changes()?, restart: args.restart };
    if changes.limits == LimitsConfig::default() && changes.restart.is_none() {
        return Err(Failure::new("nothing is to be changed").hint("`--help` lists what can be"));
    }
    let store = app.store()?;
    each(&args.containers, |name| changes.make(store, name))
}

struct Changes {
    limits: LimitsConfig,
    restart: Option<RestartPolicy>,
}

impl Changes {
    fn make(&self, store: &Store, name: &str) -> Result<(), Failure> {
        let container = store.container(name)?;
        let mut config = ContainerConfig::of(&container)?;
        if let Some(restart) = self.restart {
            if config.auto_remove && restart != RestartPolicy::No {
                return Err(Failure::new(format!(
                    "container {} is removed with its end: it cannot be started again",
                    container.name
                )));
            }
            config.restart = restart;
        }
        let before = config.limits.clone();
        config.limits = before.changed(&self.limits)?;
        if container.state.is_running() && self.limits != LimitsConfig::default() {
            let changes = config.limits.since(&before);
            demand(store, &container, &Request::Limit(changes))?;
        }
        store.set_container_config(&container.id, &serde_json::to_value(&config)?)?;
        note(store, &container, "update", &[]);
        Ok(())
    }
}
