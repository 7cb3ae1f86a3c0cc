//! A blob of a registry.

use std::io::Write;
use std::path::PathBuf;

use oci::{Descriptor, MediaType, Reference};

use super::Asker;
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::{Doing, Failure, Outcome};
use crate::staged_file::StagedFile;
use crate::ui::say_bytes;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Write it to this file, once all of it has come
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The blob
    #[arg(value_name = "REPOSITORY@DIGEST")]
    blob: Reference,
}

/// Gets it. What goes to standard output was not checked as a whole before its end.
pub(super) fn get(args: &Args, app: &App) -> Outcome {
    let digest = args.blob.digest().cloned().ok_or_else(|| {
        let name = args.blob.familiar();
        Failure::new(format!("`{name}` has no digest")).hint("a blob is named REPOSITORY@DIGEST")
    })?;
    let asker = Asker::of(app, &args.connection, &args.blob)?;
    let size = asker.ask(asker.client.blob_size(&args.blob, &digest))?;
    let size = size.ok_or_else(|| Failure::new(format!("no blob {}", args.blob.familiar())))?;
    let wanted = Descriptor::new(MediaType::new("application/octet-stream"), digest, size);
    let mut blob = asker.ask(asker.client.blob(&args.blob, &wanted))?;
    let Some(path) = &args.output else {
        while let Some(chunk) = asker.ask(blob.chunk())? {
            say_bytes(&chunk)?;
        }
        return Ok(0);
    };
    let doing = || format!("cannot write {}", path.display());
    let staged = StagedFile::beside(path).doing(doing)?;
    let mut file = staged.file();
    while let Some(chunk) = asker.ask(blob.chunk())? {
        file.write_all(&chunk).doing(doing)?;
    }
    staged.persist(path).doing(doing)?;
    Ok(0)
}
