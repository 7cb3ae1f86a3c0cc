//! What programs need to know when changes of user succeed without happening.

use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::spec::{FileContent, ProvidedFile};

/// apt becomes another user to fetch packages, looks whether that has happened, and gives up when
/// it has not.
const APT_DIRECTORY: &str = "etc/apt/apt.conf.d";
const APT_FILE: &str = "/etc/apt/apt.conf.d/zz-one-user";
const APT_CONTENT: &str = "APT::Sandbox::User \"root\";\n";

/// Files for the programs that the image has.
pub(super) fn files(root: BorrowedFd<'_>) -> Vec<ProvidedFile> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(root, APT_DIRECTORY, flags, Mode::empty(), resolve) {
        Ok(_) => vec![ProvidedFile {
            path: APT_FILE.into(),
            content: FileContent::text(APT_CONTENT),
            read_only: true,
        }],
        Err(_) => Vec::new(),
    }
}
