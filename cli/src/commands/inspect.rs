//! `tierce inspect`: everything about images or containers.

use clap::ValueEnum;
use layerfs::Store;
use oci::Reference;
use serde_json::{Value, json};

use crate::app::App;
use crate::containers;
use crate::error::{Failure, Outcome};
use crate::ui::say;
use crate::ui::template::Template;

/// What `tierce inspect` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids of images or containers
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// `json`, or placeholders: '{{.Id}} {{json .Config.Env}}'
    #[arg(short, long, default_value = "json", value_name = "FORMAT")]
    format: String,
    /// What the names mean, where both exist
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Image,
    Container,
}

/// Carries it out. What was found is printed also when something else was not.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let store = app.store()?;
    let template = match args.format.as_str() {
        "json" => None,
        text => Some(Template::parse(text).map_err(Failure::new)?),
    };
    let mut found = Vec::new();
    let mut status = 0;
    for name in &args.names {
        match object(store, name, args.kind) {
            Ok(object) => found.push(object),
            Err(failure) => {
                anstream::eprintln!("{}{failure}", crate::ui::ERROR);
                status = 1;
            }
        }
    }
    match template {
        None => say!("{:#}", Value::Array(found)),
        Some(template) => {
            for object in &found {
                say!("{}", template.render(object).map_err(Failure::new)?);
            }
        }
    }
    Ok(status)
}

fn object(store: &Store, name: &str, kind: Option<Kind>) -> Result<Value, Failure> {
    if kind != Some(Kind::Image) {
        match store.container(name) {
            Ok(container) => return Ok(containers::inspected(&container)),
            Err(error) if kind == Some(Kind::Container) => return Err(error.into()),
            Err(layerfs::Error::ContainerNotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match store.resolve(name) {
        Ok(image) => Ok(inspected_image(store, &image)?),
        Err(layerfs::Error::ImageNotFound { .. }) if kind.is_none() => {
            Err(Failure::new(format!("there is no image and no container `{name}`")))
        }
        Err(error) => Err(error.into()),
    }
}

/// An image with docker's fields.
fn inspected_image(store: &Store, image: &layerfs::ImageRecord) -> Result<Value, Failure> {
    let config = store.config(&image.id)?;
    let names = |list: &[Reference]| list.iter().map(Reference::familiar).collect::<Vec<_>>();
    let comment = config.history.last().and_then(|step| step.comment.clone()).unwrap_or_default();
    Ok(json!({
        "Id": image.id,
        "RepoTags": names(&image.names),
        "RepoDigests": names(&image.digests),
        "Digest": image.manifest,
        "Comment": comment,
        "Created": config.created,
        "Author": config.author.clone().unwrap_or_default(),
        "Config": config.config,
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "OsVersion": config.os_version,
        "Size": image.size,
        "RootFS": { "Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids },
        "History": config.history,
    }))
}
