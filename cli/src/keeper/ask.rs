//! Asking the keeper of a container for something.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use layerfs::{Container, ContainerState, Store};

use super::door;
use super::wire::{self, Reply, Request};
use crate::app::App;
use crate::containers::each;
use crate::error::{Failure, Outcome};

/// How long a keeper may take from its first moment until it can be asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// Comes to the keeper of a container; `None` if there is none, because the container does not
/// run, or no longer does.
pub(crate) fn connect(store: &Store, id: &str) -> Result<Option<UnixStream>, Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        let container = match store.container(id) {
            Err(layerfs::Error::ContainerNotFound { .. }) => return Ok(None),
            result => result?,
        };
        if !container.state.is_running() {
            return Ok(None);
        }
        match door::by_short_path(&container.dir, |path| UnixStream::connect(path)) {
            Ok(keeper) => return Ok(Some(keeper)),
            Err(e) if Instant::now() > end => {
                return Err(Failure::new(format!(
                    "cannot reach the keeper of container {}: {e}",
                    container.name
                )));
            }
            // It is about to open, or about to write the end down.
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Asks, and answers with the reply; `None` if there is nobody to ask, or no longer is.
pub(crate) fn ask(store: &Store, id: &str, request: &Request) -> Result<Option<Reply>, Failure> {
    let Some(keeper) = connect(store, id)? else { return Ok(None) };
    Ok(wire::say(&keeper, request).and_then(|()| wire::hear(&keeper)).unwrap_or(None))
}

/// Asks the keeper of a container, which must run, for something that it must do.
pub(crate) fn demand(
    store: &Store,
    container: &Container,
    request: &Request,
) -> Result<Reply, Failure> {
    match ask(store, &container.id, request)? {
        Some(Reply::Failed { message, .. }) => {
            Err(Failure::new(format!("container {}: {message}", container.name)))
        }
        Some(Reply::Ended(_)) | None => {
            Err(Failure::new(format!("container {} is not running", container.name)))
        }
        Some(reply) => Ok(reply),
    }
}

/// Asks the keepers of several containers for the same, and prints the names of those that did it.
pub(crate) fn demand_of_each(app: &App, containers: &[String], request: &Request) -> Outcome {
    let store = app.store()?;
    each(containers, |name| demand(store, &store.container(name)?, request).map(drop))
}

/// Asks for something that ends with the container, and answers with the status of that end.
pub(crate) fn ask_for_end(
    store: &Store,
    container: &Container,
    request: &Request,
) -> Result<i32, Failure> {
    loop {
        match ask(store, &container.id, request)? {
            Some(Reply::Ended(code)) => return Ok(code),
            Some(Reply::Failed { message, .. }) => {
                return Err(Failure::new(format!("container {}: {message}", container.name)));
            }
            Some(_) | None => {}
        }
        match store.container(&container.id) {
            Ok(container) if container.state.is_running() => {}
            Ok(container) => return Ok(last_code(container.state)),
            Err(layerfs::Error::ContainerNotFound { .. }) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The status that a container ended with; 0 if it never ran.
pub(crate) fn last_code(state: ContainerState) -> i32 {
    match state {
        ContainerState::Exited { code, .. }
        | ContainerState::Failed { code }
        | ContainerState::Restarting { code, .. } => code,
        ContainerState::Created | ContainerState::Running(_) => 0,
    }
}

/// The failure that a keeper reports.
pub(crate) fn reported(message: String, hint: Option<String>, code: u8) -> Failure {
    let failure = Failure::new(message).code(code);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What became of an answer that did not come.
pub(crate) fn lost(error: io::Error) -> Failure {
    Failure::from(error).code(crate::containers::OWN_FAILURE)
}
