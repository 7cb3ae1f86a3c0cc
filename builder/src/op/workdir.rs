//! WORKDIR: a directory that is there from here on.

use oci::DiffId;

use super::{DirectoryWish, Workdir};
use crate::cache::{CacheKey, KeyHasher};
use crate::error::StepCause;
use crate::op::copy::{Place, change_directory, make_directories, resolve_owner};

/// The key of the directory on `below`.
pub(crate) fn key(op: &Workdir, below: &[DiffId]) -> CacheKey {
    let mut hasher = KeyHasher::new("workdir/1");
    hasher.layers(below);
    hasher.text(&op.path);
    hasher.text(&op.user);
    hasher.optional(op.times.latest.map(|time| time.to_string()).as_deref());
    let DirectoryWish { owner, chmod } = &op.wish;
    if owner.is_some() || chmod.is_some() {
        hasher.optional(owner.as_deref());
        hasher.optional(chmod.as_ref().map(|chmod| format!("{chmod:?}")).as_deref());
    }
    hasher.finish()
}

/// Makes the directory and those above it that are missing: 0755, owned by the user of the
/// moment, read as an owner of files is read: a number alone is user and group both, where a
/// process would get group 0. What is there stays as it is, but for the directory itself where
/// the instruction has a wish for it.
pub(crate) fn run(op: &Workdir, place: &Place<'_>) -> Result<(), StepCause> {
    let owner = match op.wish.owner.as_deref().unwrap_or(&op.user) {
        "" => None,
        user => Some(resolve_owner(user, place.into)?),
    };
    make_directories(&op.path, owner, op.times, place)?;
    let owner = owner.filter(|_| op.wish.owner.is_some());
    change_directory(&op.path, owner, op.wish.chmod.as_ref(), place)
}
