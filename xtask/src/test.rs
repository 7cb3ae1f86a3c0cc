//! `cargo xtask test`: everything that is checked.

use std::path::Path;
use std::process::Command;

use crate::cargo::{static_cargo, target_dir, workspace};
use crate::packages::{self, Program};
use crate::step::{self, Result, has_program, is_root};

/// Independent peers and what the fixtures are made with.
const PROGRAMS: &[Program] = &[
    Program { name: "git", package: "git" },
    Program { name: "skopeo", package: "skopeo" },
    Program { name: "slirp4netns", package: "slirp4netns" },
    Program { name: "pasta", package: "passt" },
    Program { name: "podman", package: "podman" },
    Program { name: "crun", package: "crun" },
    Program { name: "docker-registry", package: "docker-registry" },
    Program { name: "umoci", package: "umoci" },
    Program { name: "busybox", package: "busybox-static" },
    Program { name: "mmdebstrap", package: "mmdebstrap" },
    Program { name: "newuidmap", package: "uidmap" },
    Program { name: "setfattr", package: "attr" },
    Program { name: "getcap", package: "libcap2-bin" },
    Program { name: "setpriv", package: "util-linux" },
    Program { name: "ssh-agent", package: "openssh-client" },
    Program { name: "gzip", package: "gzip" },
    Program { name: "python3", package: "python3" },
    Program { name: "xz", package: "xz-utils" },
    Program { name: "zstd", package: "zstd" },
];

/// The profile of the tests: optimised, with every check left in.
const PROFILE: &str = "ci";

/// Installs what is missing, makes the fixtures, then runs all tests, or those that match.
fn run_tests(filters: &[String]) -> Result<()> {
    packages::ensure(PROGRAMS)?;
    let fixtures = target_dir().join("fixtures");
    packages::busybox(&fixtures)?;
    debian_base(&fixtures)?;
    for (program, component) in [("cargo-fmt", "rustfmt"), ("clippy-driver", "clippy")] {
        if !has_program(program) {
            return Err(format!("{component} is missing: rustup component add {component}"));
        }
    }
    let mut form = Command::new("cargo");
    step::run(form.current_dir(workspace()).args(["fmt", "--all", "--check"]))?;
    // nextest runs tests of several files at once and is used where it is installed.
    let mut tests = if has_program("cargo-nextest") {
        static_cargo(&["nextest", "run", "--cargo-profile", PROFILE])?
    } else {
        static_cargo(&["test", "--profile", PROFILE])?
    };
    lint_what_is_built(&mut tests);
    tests.args(["--workspace", "--no-fail-fast"]).args(filters);
    step::run(tests.env("TIERCE_FIXTURES", &fixtures))
}

/// Has the workspace compiled by clippy's compiler, which looks at what it compiles: a run of its
/// own would read all dependencies a second time.
fn lint_what_is_built(cargo: &mut Command) {
    cargo.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    // As `cargo clippy` hands `-D warnings` on.
    cargo.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
}

/// The command's entry.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if !is_root() {
        println!("running as an ordinary user: the tests that need root say so and fail");
    }
    run_tests(args)
}

/// A Debian base image's tree as a tar, made once.
fn debian_base(fixtures: &Path) -> Result<()> {
    let tar = fixtures.join("debian.tar");
    if tar.is_file() {
        return Ok(());
    }
    std::fs::create_dir_all(fixtures)
        .map_err(|e| format!("cannot create {}: {e}", fixtures.display()))?;
    println!("making a Debian base: {}", tar.display());
    let unfinished = fixtures.join("debian.tar.unfinished");
    mmdebstrap(&unfinished)?;
    std::fs::rename(&unfinished, &tar).map_err(|e| format!("cannot rename {}: {e}", tar.display()))
}

fn mmdebstrap(tar: &Path) -> Result<()> {
    step::run(
        Command::new("mmdebstrap")
            .args(["--quiet", "--variant=minbase", "--format=tar", "bookworm"])
            .arg(tar),
    )
}
