//! `tierce inspect`: everything about images or containers.

use clap::ValueEnum;
use layerfs::Store;
use serde_json::Value;

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::inspected;
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

/// What `tierce container inspect` takes.
#[derive(clap::Args)]
pub(crate) struct OfContainers {
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    names: Vec<String>,
    /// `json`, or placeholders: '{{.Id}} {{json .Config.Env}}'
    #[arg(short, long, default_value = "json", value_name = "FORMAT")]
    format: String,
}

/// What `tierce image inspect` takes.
#[derive(clap::Args)]
pub(crate) struct OfImages {
    /// Names or ids of images
    #[arg(required = true, value_name = "IMAGE")]
    names: Vec<String>,
    /// `json`, or placeholders: '{{.Id}} {{json .Config.Env}}'
    #[arg(short, long, default_value = "json", value_name = "FORMAT")]
    format: String,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    show(app, &args.names, &args.format, args.kind)
}

/// The same of containers alone.
pub(crate) fn of_containers(args: &OfContainers, app: &App) -> Outcome {
    show(app, &args.names, &args.format, Some(Kind::Container))
}

/// The same of images alone.
pub(crate) fn of_images(args: &OfImages, app: &App) -> Outcome {
    show(app, &args.names, &args.format, Some(Kind::Image))
}

/// What was found is printed also when something else was not.
fn show(app: &App, names: &[String], format: &str, kind: Option<Kind>) -> Outcome {
    let store = app.store()?;
    let template = match format {
        "json" => None,
        text => Some(Template::parse(text).map_err(Failure::new)?),
    };
    let mut found = Vec::new();
    let mut status = 0;
    for name in names {
        match object(store, name, kind) {
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
            Ok(container) => return Ok(inspected::container(&container)),
            Err(error) if kind == Some(Kind::Container) => return Err(error.into()),
            Err(layerfs::Error::ContainerNotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match store.resolve(name) {
        Ok(image) => inspected::image(store, &image),
        Err(layerfs::Error::ImageNotFound { .. }) if kind.is_none() => {
            Err(Failure::new(format!("there is no image and no container `{name}`")))
        }
        Err(error) => Err(error.into()),
    }
}
