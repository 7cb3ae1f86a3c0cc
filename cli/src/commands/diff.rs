//! `tierce diff`: what a container changed, and what is different between two images or
//! containers.

mod between;

use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use layerfs::{ChangeKind, Lease, Lower, differences};
use serde_json::Value;

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::inspected;
use crate::pulling;
use crate::ui::say;

// What `tierce diff` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The container; or the first of two to be compared, images or containers, by name or id
    #[arg(value_name = "CONTAINER|IMAGE")]
    first: String,
    /// The second
    #[arg(value_name = "CONTAINER|IMAGE")]
    second: Option<String>,
    /// `text`: a letter and a path a line, or `json`
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

// What `tierce image diff` takes.
#[derive(clap::Args)]
pub(crate) struct OfImages {
    /// An image
    #[arg(value_name = "IMAGE")]
    first: String,
    /// Another
    #[arg(value_name = "IMAGE")]
    second: String,
    /// `text`: a letter and a path a line, or `json`
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    match &args.second {
        None => of_container(&args.first, &args.format, app),
        Some(second) => {
            let lease = app.store()?.lease()?;
            let side = |name: &String| Side::any(app, &lease, name);
            compare(&side(&args.first)?, &side(second)?, &args.format)
        }
    }
}

/// Compares two images.
pub(crate) fn of_images(args: &OfImages, app: &App) -> Outcome {
    let lease = app.store()?.lease()?;
    let side = |name: &String| Side::image(app, &lease, name);
    compare(&side(&args.first)?, &side(&args.second)?, &args.format)
}

/// One of two that are compared.
struct Side {
    files: Lower,
    config: Value,
}

impl Side {
    fn any(app: &App, lease: &Lease, name: &str) -> Result<Side, Failure> {
        let store = app.store()?;
        match store.container(name) {
            Ok(container) => {
                let config = inspected::container(&container)["Config"].take();
                Ok(Side { files: store.lower_container(lease, &container)?, config })
            }
            Err(layerfs::Error::ContainerNotFound { .. }) => Side::image(app, lease, name),
            Err(error) => Err(error.into()),
        }
    }

    fn image(app: &App, lease: &Lease, name: &str) -> Result<Side, Failure> {
        let store = app.store()?;
        let image = store.resolve(name).map_err(|error| match error {
            layerfs::Error::ImageNotFound { .. } => {
                Failure::from(error).hint(format!("get it with `tierce pull {name}`"))
            }
            error => error.into(),
        })?;
        let layers = pulling::unpacked_layers(app, lease, &image)?;
        let mut shown = inspected::image(store, &image)?;
        let mut config = shown["Config"].take();
        for key in ["Os", "Architecture", "Variant", "Author"] {
            config[key] = shown[key].take();
        }
        Ok(Side { files: store.lower(lease, &layers)?, config })
    }
}

fn compare(before: &Side, after: &Side, format: &str) -> Outcome {
    let files = differences(&before.files, &after.files)?;
    let config = between::settings(&before.config, &after.config);
    if format == "json" {
        say!("{:#}", between::as_json(&files, &config));
        return Ok(0);
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    between::as_text(&files, &config, &mut out)?;
    out.flush()?;
    Ok(0)
}

fn of_container(name: &str, format: &str, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let container = store.container(name)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for change in store.container_changes(&lease, &container)? {
        let letter = match change.kind {
            ChangeKind::Added => 'A',
            ChangeKind::Modified => 'C',
            ChangeKind::Deleted => 'D',
        };
        if format == "json" {
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
