//! `tierce save`: images into an archive.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use oci::archive::{ArchiveFormat, ArchiveWriter};
use oci::{ImageSink, Reference};

use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::containers::events::note_image;
use crate::error::{Doing, Failure, Outcome};
use crate::pulling;
use crate::staged_file::StagedFile;

// What `tierce save` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The archive; standard output if none is named
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value = "docker-archive")]
    format: Format,
    /// Names or ids of images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// What docker, podman and skopeo load
    DockerArchive,
    /// An OCI image layout in a tar
    OciArchive,
}

/// Carries it out. A file appears under its name when it is complete.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let Some(path) = &args.output else {
        let stdout = std::io::stdout();
        if stdout.is_terminal() {
            return Err(Failure::new("an archive is nothing for a terminal")
                .hint("name a file with `--output`, or redirect standard output"));
        }
        write(args, app, stdout)?;
        return Ok(0);
    };
    let cannot = || format!("cannot write {}", path.display());
    if path.exists() && !path.is_file() {
        // A pipe or a device takes the bytes as they come.
        let file = File::options().write(true).open(path).doing(cannot)?;
        write(args, app, file)?;
        return Ok(0);
    }
    let staged = StagedFile::beside(path).doing(cannot)?;
    write(args, app, staged.file())?;
    staged.persist(path).doing(cannot)?;
    Ok(0)
}

fn write(args: &Args, app: &App, output: impl Write + Send) -> Result<(), Failure> {
    let format = match args.format {
        Format::DockerArchive => ArchiveFormat::Docker,
        Format::OciArchive => ArchiveFormat::Oci,
    };
    let store = app.store()?;
    let lease = store.lease()?;
    let blobs = pulling::anywhere(app, &ConnectionArgs::default(), oci::DEFAULT_REGISTRY)?;
    let archive = ArchiveWriter::new(format, BufWriter::with_capacity(1 << 20, output));
    for text in &args.images {
        let record = store.resolve(text)?;
        let image = store.manifest(&lease, &record, None)?;
        note_image(store, "save", &record.id.to_string(), text);
        // Named by what the user called it; an image called by its id goes without a name.
        match text.parse::<Reference>() {
            Ok(name) if store.resolve_name(&name).is_ok_and(|r| r.id == record.id) => {
                archive.put(&name.with_default_tag(), &image, &blobs)?;
            }
            _ => {
                archive.put_unnamed(&image, &blobs)?;
            }
        }
    }
    archive.finish()?;
    Ok(())
}
