//! Owners of what a build makes (`--chown`, WORKDIR): names looked up in the files of the image
//! that it is made in.

use std::io::Read;
use std::path::Path;

use layerfs::Root;
use runtime::user::{Accounts, UserError, resolve_owner};

use crate::error::StepCause;
use crate::tree::failed;

/// No account file is read further than this, in bytes.
const MAX_ACCOUNTS: u64 = 16 << 20;

/// The owner that `spec` means in `tree`. Like BuildKit, and unlike what Docker's manual says, a
/// user who is unknown is 0 with group 0, and an unknown group is the user's own.
pub(crate) fn resolve(spec: &str, tree: &Root) -> Result<(u32, u32), StepCause> {
    let (passwd, group) = (read(tree, "/etc/passwd")?, read(tree, "/etc/group")?);
    let accounts = Accounts { passwd: &passwd, group: &group };
    let failed = |source| StepCause::User { user: spec.to_owned(), source };
    let (user, group) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (spec, None),
    };
    let (uid, own_gid) = match user {
        "" => (0, 0),
        user => match resolve_owner(user, accounts) {
            Ok(owner) => (owner.uid, owner.gid),
            Err(UserError::UnknownUser(_)) => (0, 0),
            Err(error) => return Err(failed(error)),
        },
    };
    let gid = match group {
        None => own_gid,
        Some(group) => match resolve_owner(&format!("0:{group}"), accounts) {
            Ok(owner) => owner.gid,
            Err(UserError::UnknownGroup(_)) => own_gid,
            Err(error) => return Err(failed(error)),
        },
    };
    Ok((uid, gid))
}

/// The content of a file of the tree; empty if it is not there.
pub(crate) fn read(tree: &Root, path: &'static str) -> Result<Vec<u8>, StepCause> {
    let failed = |source| failed("read", Path::new(path), source);
    if tree.stat_followed(path).map_err(failed)?.is_none() {
        return Ok(Vec::new());
    }
    let file = tree.open_file(path).map_err(failed)?;
    let mut content = Vec::new();
    file.take(MAX_ACCOUNTS).read_to_end(&mut content).map_err(|source| StepCause::Context {
        operation: "read",
        path: path.into(),
        source,
    })?;
    Ok(content)
}
