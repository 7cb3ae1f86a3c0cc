//! WORKDIR: a directory that is there from here on.

use oci::DiffId;

use super::Workdir;
use crate::cache::{CacheKey, KeyHasher};
use crate::error::StepCause;
use crate::op::copy::{Place, make_directories, resolve_owner};

/// The key of the directory on `below`.
pub(crate) fn key(op: &Workdir, below: &[DiffId]) -> CacheKey {
    let mut hasher = KeyHasher::new("workdir/1");
    hasher.layers(below);
    hasher.text(&op.path);
    hasher.text(&op.user);
    hasher.optional(op.times.latest.map(|time| time.to_string()).as_deref());
    hasher.finish()
}

/// Makes the directory and those above it that are missing: 0755, owned by the user of the
/// moment, read as an owner of files is read: a number alone is user and group both, where a
/// process would get group 0. What is there stays as it is.
pub(crate) fn run(op: &Workdir, place: &Place<'_>) -> Result<(), StepCause> {
    let owner = match op.user.as_str() {
        "" => None,
        user => Some(resolve_owner(user, place.into)?),
    };
    make_directories(&op.path, owner, op.times, place)
}
