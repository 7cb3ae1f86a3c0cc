//! `tierce diff`: what a container changed.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use layerfs::ChangeKind;

use crate::app::App;
use crate::error::Outcome;

/// What `tierce diff` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The container: a name or an id
    container: String,
    /// `text`: a letter and a path a line, or `json`
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let container = store.container(&args.container)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for change in store.container_changes(&lease, &container)? {
        let letter = match change.kind {
            ChangeKind::Added => 'A',
            ChangeKind::Modified => 'C',
            ChangeKind::Deleted => 'D',
        };
        if args.format == "json" {
            let path = Path::new("/").join(&change.path);
            let line = serde_json::json!({ "Kind": letter, "Path": path.to_string_lossy() });
            writeln!(out, "{line}")?;
        } else {
            // A path is bytes; what is no text is printed as it is.
            write!(out, "{letter} /")?;
            out.write_all(change.path.as_os_str().as_bytes())?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(0)
}
