//! WORKDIR: a directory that is there from here on.

use layerfs::Root;
use oci::DiffId;
use runtime::user::{Accounts, Numeric, resolve};

use super::Workdir;
use super::copy::read_account_file;
use crate::cache::{CacheKey, KeyHasher};
use crate::error::StepCause;
use crate::op::copy::{Place, make_directories};

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
/// moment. What is there stays as it is.
pub(crate) fn run(op: &Workdir, place: &Place<'_>) -> Result<(), StepCause> {
    let owner = match op.user.as_str() {
        "" => None,
        user => Some(owner(user, place.into)?),
    };
    make_directories(&op.path, owner, op.times, place)
}

fn owner(user: &str, tree: &Root) -> Result<(u32, u32), StepCause> {
    let passwd = read_account_file(tree, "/etc/passwd")?;
    let group = read_account_file(tree, "/etc/group")?;
    let accounts = Accounts { passwd: &passwd, group: &group };
    match resolve(user, accounts, Numeric::GroupZero) {
        Ok(user) => Ok((user.uid, user.gid)),
        Err(source) => Err(StepCause::User { user: user.to_owned(), source }),
    }
}
