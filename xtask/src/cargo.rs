//! Building the static binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{Result, output, run};

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// `cargo` for this workspace, so set that what it builds is static and stands at a fixed address:
/// 42,000 relocations would have to be written at every start, which is half of the time that
/// `tierce --version` takes. The target is named even
/// where it is the host's, because the flags would otherwise apply to build scripts too.
pub(crate) fn static_cargo(subcommand: &[&str]) -> Result<Command> {
    let host = host()?;
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", host.to_uppercase().replace('-', "_"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(workspace())
        .args(subcommand)
        .args(["--target", &host])
        .env(flags, "-C target-feature=+crt-static -C relocation-model=static")
        .env_remove("RUSTFLAGS");
    Ok(cargo)
}

/// Builds `tierce` with a profile and answers with its path.
pub(crate) fn build_tierce(profile: &str) -> Result<PathBuf> {
    let mut cargo = static_cargo(&["build", "--package", "tierce", "--profile", profile])?;
    run(&mut cargo)?;
    Ok(target_dir().join(host()?).join(profile).join("tierce"))
}

fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = output(Command::new(rustc).arg("-vV"))?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "rustc does not say what machine it is for".to_owned())
}
