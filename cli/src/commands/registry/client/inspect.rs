//! `tierce registry inspect`: an image of a registry at a glance, in skopeo's words.

use oci::{Platform, Reference};
use serde_json::{Value, json};

use super::Asker;
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::{Failure, Outcome};
use crate::ui::{say, say_value};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Which image of an index; the one for this machine if nothing is said
    #[arg(long)]
    platform: Option<Platform>,
    /// Do not ask which tags the repository has
    #[arg(short, long)]
    no_tags: bool,
    /// `json`, or placeholders: '{{.Digest}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// The image
    image: Reference,
}

/// Prints what there is to know of an image without its layers.
pub(super) fn inspect(args: &Args, app: &App) -> Outcome {
    let asker = Asker::of(app, &args.connection, &args.image)?;
    let value = described(args, &asker)?;
    match &args.format {
        Some(format) => say_value(format, &value)?,
        None => say!("{value:#}"),
    }
    Ok(0)
}

fn described(args: &Args, asker: &Asker<'_>) -> Result<Value, Failure> {
    let name = &args.image;
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    // Of an index the digest is that of the whole, as the name means it.
    let digest = asker.ask(asker.client.resolve(name))?.digest;
    let image = asker.ask(asker.client.image(&name.with_digest(digest.clone()), &platform))?;
    let tags = match args.no_tags {
        true => Vec::new(),
        false => asker.ask(asker.client.tags(name))?,
    };
    let config: Value = serde_json::from_slice(image.config.bytes())
        .map_err(|error| Failure::new(format!("invalid config of {}: {error}", name.familiar())))?;
    let layers = || image.manifest.layers.iter();
    let data = |layer: &oci::Descriptor| {
        let notes = (!layer.annotations.is_empty()).then_some(&layer.annotations);
        json!({
            "MIMEType": layer.media_type,
            "Digest": layer.digest,
            "Size": layer.size,
            "Annotations": notes,
        })
    };
    Ok(json!({
        "Name": format!("{}/{}", name.registry(), name.repository()),
        "Digest": digest,
        "RepoTags": tags,
        "Created": config["created"],
        "DockerVersion": config["docker_version"].as_str().unwrap_or_default(),
        "Labels": config["config"]["Labels"],
        "Architecture": config["architecture"],
        "Os": config["os"],
        "Layers": layers().map(|layer| &layer.digest).collect::<Vec<_>>(),
        "LayersData": layers().map(data).collect::<Vec<_>>(),
        "Env": config["config"]["Env"],
    }))
}
