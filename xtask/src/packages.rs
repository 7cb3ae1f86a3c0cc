//! What comes from the distribution.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{Result, find_program, has_program, is_root, run};

/// A program and the Debian package that has it.
pub(crate) struct Program {
    /// Its name on the path.
    pub(crate) name: &'static str,
    /// The package.
    pub(crate) package: &'static str,
}

/// Makes sure that the programs are there: installs what is missing as root; an ordinary user is
/// told the one command to type.
pub(crate) fn ensure(programs: &[Program]) -> Result<()> {
    let missing: Vec<&str> =
        programs.iter().filter(|p| !has_program(p.name)).map(|p| p.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root() {
        return Err(format!(
            "these packages are missing; please type\n\n  \
             sudo apt-get install --no-install-recommends {list}\n"
        ));
    }
    println!("installing {list}");
    install(&missing).or_else(|_| {
        // The lists of a fresh machine are empty or old.
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        install(&missing)
    })
}

fn install(packages: &[&str]) -> Result<()> {
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages))
}

/// The static busybox: the installed one, else installed now, else, for an ordinary user, unpacked
/// from its package below `scratch` without installing it.
pub(crate) fn busybox(scratch: &Path) -> Result<PathBuf> {
    if let Some(found) = static_busybox() {
        return Ok(found);
    }
    if is_root() {
        ensure_package_busybox()?;
        return static_busybox().ok_or_else(|| "busybox-static has no busybox".to_owned());
    }
    let dir = scratch.join("busybox-static");
    let unpacked = ["bin/busybox", "usr/bin/busybox"].map(|file| dir.join(file));
    if !unpacked.iter().any(|file| file.is_file()) {
        std::fs::create_dir_all(&dir)
            .map_err(|e| format!("cannot create {}: {e}", dir.display()))?;
        println!("unpacking busybox-static below {} (nothing is installed)", dir.display());
        run(Command::new("apt-get").current_dir(&dir).args(["download", "-qq", "busybox-static"]))
            .map_err(|e| {
                format!("{e}\nplease type\n\n  sudo apt-get update && sudo apt-get install busybox-static\n")
            })?;
        let deb = std::fs::read_dir(&dir)
            .ok()
            .and_then(|mut entries| {
                entries.find_map(|e| {
                    let path = e.ok()?.path();
                    path.extension().is_some_and(|x| x == "deb").then_some(path)
                })
            })
            .ok_or("apt-get downloaded no package")?;
        run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&dir))?;
    }
    unpacked
        .into_iter()
        .find(|file| file.is_file())
        .ok_or_else(|| "busybox-static has no busybox".to_owned())
}

fn ensure_package_busybox() -> Result<()> {
    install(&["busybox-static"]).or_else(|_| {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        install(&["busybox-static"])
    })
}

/// A busybox that needs no libraries: Debian's other one does.
fn static_busybox() -> Option<PathBuf> {
    let file = find_program("busybox")?;
    let bytes = std::fs::read(&file).ok()?;
    let interpreter = b"/ld-linux";
    (!bytes.windows(interpreter.len()).any(|w| w == interpreter)).then_some(file)
}
