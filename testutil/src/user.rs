//! An ordinary user.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::{Scratch, Tierce};

/// Which ids the user may give to files besides his own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubordinateIds {
    /// 65536 of them.
    Many,
    /// None.
    None,
}

/// A user and group that no machine has.
const ID: u32 = 61234;

/// Gives the machine the user, for one command: in a mount namespace of the command's own, so
/// that the machine stays as it is. What the user may not reach is put where he may.
const LAUNCH: &str = r#"set -e
user=$1 binary=$2 workspace=$3; shift 3
for name in passwd subuid subgid; do
    test -e /etc/$name || touch /etc/$name
    mount --bind "$user/$name" /etc/$name
done
mount --bind "$binary" "$user/program"
become="setpriv --reuid 61234 --regid 61234 --clear-groups"
if ! $become test -r "$workspace/Cargo.toml"; then
    mount --bind "$workspace" "$user/workspace"
    mount -t tmpfs -o mode=755 none "/$(echo "$workspace" | cut -d/ -f2)"
    mkdir -p "$workspace"
    mount --bind "$user/workspace" "$workspace"
fi
exec $become "$@""#;

/// An ordinary user of this machine. Only root can make one.
pub struct OrdinaryUser {
    machine: Scratch,
}

impl OrdinaryUser {
    /// A user named `somebody`.
    pub fn new(ids: SubordinateIds) -> OrdinaryUser {
        let machine = Scratch::new();
        fs::set_permissions(machine.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
        let ranges = match ids {
            SubordinateIds::Many => "somebody:200000:65536\n",
            SubordinateIds::None => "",
        };
        machine.write("subuid", ranges);
        machine.write("subgid", ranges);
        machine.write(
            "passwd",
            format!("root:x:0:0::/root:/bin/sh\nsomebody:x:{ID}:{ID}::/:/bin/sh\n"),
        );
        machine.write("program", "");
        fs::create_dir(machine.join("workspace")).expect("a directory");
        OrdinaryUser { machine }
    }

    /// Where the user finds the program that he is given.
    pub fn program(&self) -> PathBuf {
        self.machine.join("program")
    }

    /// What starts a command as the user: its name and its arguments, the command's to follow.
    /// `binary` is what he finds as his program.
    pub fn launcher(&self, binary: impl Into<OsString>) -> Vec<OsString> {
        let words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", LAUNCH, "sh"];
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let more = [self.machine.path().into(), binary.into(), workspace.into()];
        words.into_iter().map(OsString::from).chain(more).collect()
    }

    /// `tierce` as the user runs it, with an empty store in his home.
    pub fn tierce(&self, binary: impl Into<OsString>) -> Tierce {
        let tierce = Tierce::new(self.program()).launched_by(self.launcher(binary));
        self.own(tierce.scratch().path());
        tierce
    }

    /// Makes a tree the user's.
    pub fn own(&self, path: &Path) {
        let own = || -> io::Result<()> {
            chown(path, Some(ID), Some(ID))?;
            if path.is_dir() {
                for entry in fs::read_dir(path)? {
                    self.own(&entry?.path());
                }
            }
            Ok(())
        };
        own().unwrap_or_else(|e| panic!("{}: {e} (only root can run this test)", path.display()));
    }
}
