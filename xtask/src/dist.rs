//! `cargo xtask dist`: the file that is handed out.

use crate::cargo::build_tierce;
use crate::step::Result;

/// Builds it and prints its path and size.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if let Some(arg) = args.first() {
        return Err(format!("`dist` takes no argument, and got `{arg}`"));
    }
    let binary = build_tierce("dist")?;
    let size = std::fs::metadata(&binary).map_err(|e| format!("{}: {e}", binary.display()))?.len();
    println!("{} ({:.1} MB)", binary.display(), size as f64 / 1e6);
    Ok(())
}
