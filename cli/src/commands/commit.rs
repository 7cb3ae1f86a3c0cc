//! `tierce commit`: an image from what a container changed.

use std::os::unix::net::UnixStream;

use builder::diagnostic::render;
use builder::syntax::Source;
use layerfs::{Container, ContainerState, DirectoryTimes, NewImage, Store};
use oci::{History, ImageConfig, Raw, Reference};

use crate::app::App;
use crate::containers::ContainerConfig;
use crate::containers::events::note;
use crate::error::{Failure, Outcome};
use crate::keeper::ask::connect;
use crate::keeper::wire::{self, Reply, Request};
use crate::ui::say;

// What `tierce commit` takes.
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
    /// Hold the container still meanwhile, if it runs
    #[arg(
        short,
        long,
        value_name = "BOOL",
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pause: bool,
    /// Let the container go on meanwhile
    #[arg(long, overrides_with = "pause")]
    no_pause: bool,
    /// Print the id alone, as is always done
    #[arg(short, long)]
    _quiet: bool,
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
    let still = if args.pause && !args.no_pause { hold_still(store, &container)? } else { None };
    let layer = store.commit_container(&lease, &container, DirectoryTimes::Keep)?;
    drop(still);
    let mut config: ImageConfig = match &container.image {
        Some(image) => (*store.config(image)?).clone(),
        None => ImageConfig::empty(&oci::Platform::host()),
    };
    let now = app.machine.created()?;
    config.config = kept.runtime.clone();
    config.config.env.retain(|pair| pair.contains('='));
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
    let more = [
        ("comment", args.message.clone().unwrap_or_default()),
        ("imageID", image.id.to_string()),
        (
            "imageRef",
            names
                .first()
                .map(|name| name.clone().with_default_tag().familiar())
                .unwrap_or_default(),
        ),
    ];
    note(store, &container, "commit", &more);
    say!("{}", image.id);
    Ok(0)
}

/// Holds a container still until the connection is dropped; `None` if it does not run, or is held
/// still already.
fn hold_still(store: &Store, container: &Container) -> Result<Option<UnixStream>, Failure> {
    match container.state {
        ContainerState::Running(run) if !run.paused => {}
        _ => return Ok(None),
    }
    let Some(keeper) = connect(store, &container.id)? else { return Ok(None) };
    // Gone without an answer, it has ended.
    match wire::say(&keeper, &Request::Hold).and_then(|()| wire::hear(&keeper)).unwrap_or(None) {
        Some(Reply::Failed { message, .. }) => {
            Err(Failure::new(format!("container {}: {message}", container.name))
                .hint("commit it as it runs with `--pause=false`"))
        }
        _ => Ok(Some(keeper)),
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
