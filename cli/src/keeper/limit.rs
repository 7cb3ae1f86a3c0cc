//! Other limits for a container while it runs.

use std::path::PathBuf;

use super::door::failed;
use super::wire::Reply;
use super::{Init, Keeper, lock};
use crate::containers::limits::LimitsConfig;
use crate::error::Failure;

impl Keeper {
    /// The directories of all its control groups.
    pub(super) fn groups(&self, init: &Init) -> Vec<PathBuf> {
        let mut all = init.groups.clone();
        for later in lock(&self.later_groups).iter() {
            all.extend_from_slice(later.directories());
        }
        all
    }

    /// Has it keep limits besides those that it keeps.
    pub(super) fn limit(&self, limits: &LimitsConfig) -> Reply {
        let Some(init) = self.running() else { return failed("it is not running") };
        let groups = self.groups(&init);
        let changed = limits.to_limits().and_then(|limits| {
            runtime::change_limits(&limits, &groups, &init.inmates).map_err(Failure::from)
        });
        match changed {
            Ok(later) => {
                lock(&self.later_groups).extend(later);
                Reply::Done
            }
            Err(failure) => failed(failure.message),
        }
    }
}
