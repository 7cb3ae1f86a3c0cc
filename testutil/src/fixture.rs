//! What tests start from.

use std::path::{Path, PathBuf};

use crate::{Scratch, Tierce};

/// Builds the image `busybox` in a store, from the static busybox of the distribution.
pub fn busybox(tierce: &Tierce) {
    busybox_in(tierce, Scratch::new().path());
}

/// The same from a context in this directory, for those who cannot read one of ours.
pub fn busybox_in(tierce: &Tierce, context: &Path) {
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/busybox/Dockerfile");
    std::fs::copy(dockerfile, context.join("Dockerfile")).expect("testdata/busybox/Dockerfile");
    std::fs::copy(busybox_program(), context.join("busybox")).expect("a busybox");
    tierce.ok(["build", "-q", "-t", "busybox", &context.display().to_string()]);
}

fn busybox_program() -> PathBuf {
    ["/bin/busybox", "/usr/bin/busybox"]
        .map(PathBuf::from)
        .into_iter()
        .find(|file| file.is_file())
        .expect("busybox of the package busybox-static: run `cargo xtask test`, which installs it")
}

/// Builds the image `debian` in a store, of [`debian_tar`].
pub fn debian(tierce: &Tierce) {
    debian_in(tierce, Scratch::new().path());
}

/// The same from a context in this directory, for those who cannot read one of ours.
pub fn debian_in(tierce: &Tierce, context: &Path) {
    let dockerfile = "FROM scratch\nADD debian.tar /\nCMD [\"bash\"]\n";
    std::fs::write(context.join("Dockerfile"), dockerfile).expect("a Dockerfile");
    let tar = context.join("debian.tar");
    // A copy only where the two are not on one file system.
    std::fs::hard_link(debian_tar(), &tar)
        .or_else(|_| std::fs::copy(debian_tar(), &tar).map(drop))
        .expect("the tree of a Debian");
    tierce.ok(["build", "-q", "-t", "debian", &context.display().to_string()]);
}

/// The tree of a small Debian as a tar, which `cargo xtask test` makes.
pub fn debian_tar() -> PathBuf {
    let dir = std::env::var_os("TIERCE_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fixtures"),
        PathBuf::from,
    );
    let tar = dir.join("debian.tar");
    assert!(tar.is_file(), "{} is missing: run `cargo xtask test`, which makes it", tar.display());
    tar
}
