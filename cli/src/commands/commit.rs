//! `tierce commit`: an image from what a container changed.

use builder::diagnostic::render;
use builder::syntax::Source;
use jiff::Timestamp;
use layerfs::{DirectoryTimes, NewImage};
use oci::{History, ImageConfig, Raw, Reference};

use crate::app::App;
use crate::containers::ContainerConfig;
use crate::error::{Failure, Outcome};
use crate::ui::say;

/// What `tierce commit` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the image says of itself
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Who made it
    #[arg(short, long, value_name = "NAME <ADDRESS>")]
    author: Option<String>,
    /// An instruction for the image: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, WORKDIR, …
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// The container: a name or an id
    container: String,
    /// The name of the image
    name: Option<Reference>,
}

/// Carries it out; prints the image's id.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let lease = store.lease()?;
    let container = store.container(&args.container)?;
    let kept = ContainerConfig::of(&container)?;
    let layer = store.commit_container(&lease, &container, DirectoryTimes::Keep)?;
    let mut config: ImageConfig = match &container.image {
        Some(image) => (*store.config(image)?).clone(),
        None => ImageConfig::empty(&oci::Platform::host()),
    };
    let now = created(app)?;
    config.config = kept.runtime.clone();
    config = changed(config, &args.change)?;
    config.author = args.author.clone().or(config.author);
    config.created = Some(now.clone());
    config.rootfs.diff_ids.push(layer.layer.diff_id);
    config.history.push(History {
        created: Some(now),
        created_by: Some(kept.command().join(" ")),
        author: args.author.clone(),
        comment: args.message.clone(),
        empty_layer: false,
    });
    let config = Raw::write(config);
    let names: Vec<Reference> = args.name.iter().cloned().collect();
    let base = match &container.image {
        Some(image) => store.image_layers(image)?.into_iter().map_while(|(_, blob)| blob).collect(),
        None => Vec::new(),
    };
    let image = store.put_image(
        &lease,
        &NewImage { config: &config, names: &names, manifest: None, index: None, base: &base },
    )?;
    say!("{}", image.id);
    Ok(0)
}

/// Now, or what `SOURCE_DATE_EPOCH` says that now is.
pub(crate) fn created(app: &App) -> Result<String, Failure> {
    match app.machine.source_date_epoch() {
        None => Ok(Timestamp::now().to_string()),
        Some(text) => text
            .parse()
            .ok()
            .and_then(|second| Timestamp::from_second(second).ok())
            .map(|time| time.to_string())
            .ok_or_else(|| {
                Failure::new(format!("SOURCE_DATE_EPOCH is `{text}`, which is no time"))
            }),
    }
}

pub(crate) fn changed(
    config: ImageConfig,
    instructions: &[String],
) -> Result<ImageConfig, Failure> {
    if instructions.is_empty() {
        return Ok(config);
    }
    let source = Source::new("--change", instructions.join("\n"));
    builder::apply_changes(&config, &source).map_err(|diagnostics| {
        let texts: Vec<String> = diagnostics.iter().map(|d| render(&source, d, false)).collect();
        Failure::new(texts.join("\n").trim_end().to_owned())
    })
}
