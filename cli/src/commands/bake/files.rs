//! The files of definitions.

use std::io::Read;
use std::path::{Path, PathBuf};

use bake::File;

use crate::app::App;
use crate::error::{Doing, Failure};

/// The names that are looked for, in this order.
const NAMES: [&str; 8] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
];

/// The largest file, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Reads those that are named, or else those that are here.
pub(super) fn read(named: &[PathBuf], app: &App) -> Result<Vec<File>, Failure> {
    let from_environment = match named.is_empty() {
        true => of_environment(app),
        false => Vec::new(),
    };
    let named = if named.is_empty() { &from_environment } else { named };
    let mut files = Vec::new();
    if named.is_empty() {
        for name in NAMES.map(Path::new).iter().filter(|name| name.exists()) {
            files.push(one(name)?);
        }
        if files.is_empty() {
            return Err(Failure::new("there is no bake definition here")
                .hint("write docker-bake.hcl, or name a file with `--file`"));
        }
        return Ok(files);
    }
    named.iter().map(|name| one(name)).collect()
}

/// Those of `BUILDX_BAKE_FILE`.
fn of_environment(app: &App) -> Vec<PathBuf> {
    let between = app.machine.variable("BUILDX_BAKE_PATH_SEPARATOR").unwrap_or(":".to_owned());
    let Some(names) = app.machine.variable("BUILDX_BAKE_FILE") else { return Vec::new() };
    names
        .split(&between)
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .collect()
}

fn one(path: &Path) -> Result<File, Failure> {
    let name = path.to_string_lossy();
    let name = name.strip_prefix("cwd://").unwrap_or(&name).to_owned();
    let cannot = || format!("cannot read {name}");
    let mut bytes = Vec::new();
    if name == "-" {
        std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes).doing(cannot)?;
    } else {
        let file = std::fs::File::open(&name).doing(cannot)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).doing(cannot)?;
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::new(format!("{name} is too large for a bake definition")));
    }
    let text = String::from_utf8(bytes).map_err(|_| Failure::new(format!("{name} is no text")))?;
    Ok(File { name, text })
}
