//! Pausing a container, and letting it go on.

use super::door::failed;
use super::wire::Reply;
use super::{Init, Keeper, lock};
use crate::error::Failure;

impl Keeper {
    /// Whether all processes are held still.
    pub(super) fn is_paused(&self) -> bool {
        lock(&self.freezer).is_frozen()
    }

    /// Holds all processes still.
    pub(super) fn pause(&self) -> Reply {
        let Some(init) = self.running() else { return failed("it is not running") };
        let mut freezer = lock(&self.freezer);
        if freezer.is_frozen() {
            return failed("it is paused already");
        }
        if let Err(error) = freezer.freeze(&init.inmates, &self.groups(&init)) {
            return failed(Failure::from(error).message);
        }
        self.note_run(|run| run.paused = true);
        Reply::Done
    }

    /// Lets them go on.
    pub(super) fn unpause(&self) -> Reply {
        let Some(init) = self.running() else { return failed("it is not running") };
        if !self.is_paused() {
            return failed("it is not paused");
        }
        self.let_go(&init)
    }

    /// Lets them go on, if they do not.
    pub(super) fn let_go(&self, init: &Init) -> Reply {
        let mut freezer = lock(&self.freezer);
        if !freezer.is_frozen() {
            return Reply::Done;
        }
        if let Err(error) = freezer.thaw(&init.inmates) {
            return failed(Failure::from(error).message);
        }
        self.note_run(|run| run.paused = false);
        Reply::Done
    }
}
