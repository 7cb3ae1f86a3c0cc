//! `tierce export`: a container's files as a tar.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use layerfs::{Root, write_tree};

use crate::app::App;
use crate::containers::events::note;
use crate::error::{Doing, Failure, Outcome};
use crate::staged_file::StagedFile;

// What `tierce export` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tar; standard output if none is named
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The container: a name or an id
    container: String,
}

/// Carries it out. A file appears under its name when it is complete.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let container = store.container(&args.container)?;
    let view = store.view_container(&lease, &container)?;
    note(store, &container, "export", &[]);
    let Some(path) = &args.output else {
        let stdout = std::io::stdout();
        if stdout.is_terminal() {
            return Err(Failure::new("an archive is nothing for a terminal")
                .hint("name a file with `--output`, or redirect standard output"));
        }
        write(&view.root, stdout)?;
        return Ok(0);
    };
    let cannot = || format!("cannot write {}", path.display());
    let staged = StagedFile::beside(path).doing(cannot)?;
    write(&view.root, staged.file())?;
    staged.persist(path).doing(cannot)?;
    Ok(0)
}

fn write(root: &Root, output: impl Write) -> Result<(), Failure> {
    let mut output = BufWriter::with_capacity(1 << 20, output);
    write_tree(root, Path::new("/"), Path::new(""), &mut output)?;
    Ok(output.flush()?)
}
