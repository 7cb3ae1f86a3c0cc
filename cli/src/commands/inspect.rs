//! `tierce inspect`: everything about containers, images, networks or volumes.

use clap::ValueEnum;
use layerfs::{Container, Store};
use serde_json::Value;

use super::{network, volume};
use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::inspected;
use crate::networks::{DEFAULT, Networks};
use crate::tree_size::tree_size;
use crate::ui::each::show_each;

// What `tierce inspect` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids of containers, images, networks or volumes
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// `json`, or placeholders: '{{.Id}} {{json .Config.Env}}'
    #[arg(short, long, default_value = "json", value_name = "FORMAT")]
    format: String,
    /// What the names mean, where several exist
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Say how large containers are, too
    #[arg(short, long)]
    size: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Image,
    Container,
    Network,
    Volume,
}

// What `tierce container inspect` takes.
#[derive(clap::Args)]
pub(crate) struct OfContainers {
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    names: Vec<String>,
    /// `json`, or placeholders: '{{.Id}} {{json .Config.Env}}'
    #[arg(short, long, default_value = "json", value_name = "FORMAT")]
    format: String,
    /// Say how large they are, too
    #[arg(short, long)]
    size: bool,
}

// What `tierce image inspect` takes.
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
    let kind = match args.kind.as_deref() {
        None | Some("") => None,
        // As docker has it, whose status here is that of no option.
        Some(text) => Some(Kind::from_str(text, false).map_err(|_| {
            Failure::new(format!("unknown type `{text}`: image, container, network or volume"))
        })?),
    };
    show(app, &args.names, &args.format, kind, args.size)
}

/// The same of containers alone.
pub(crate) fn of_containers(args: &OfContainers, app: &App) -> Outcome {
    show(app, &args.names, &args.format, Some(Kind::Container), args.size)
}

/// The same of images alone.
pub(crate) fn of_images(args: &OfImages, app: &App) -> Outcome {
    show(app, &args.names, &args.format, Some(Kind::Image), false)
}

fn show(app: &App, names: &[String], format: &str, kind: Option<Kind>, with_size: bool) -> Outcome {
    let store = app.store()?;
    show_each(names, format, |name| object(store, name, kind, with_size))
}

/// The first of what may have the name.
fn object(
    store: &Store,
    name: &str,
    kind: Option<Kind>,
    with_size: bool,
) -> Result<Value, Failure> {
    let may_be = |wanted| kind.is_none_or(|kind| kind == wanted);
    if may_be(Kind::Container) {
        match store.container(name) {
            Ok(found) => return container(store, &found, with_size),
            Err(layerfs::Error::ContainerNotFound { .. }) if kind.is_none() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if may_be(Kind::Image) {
        match store.resolve(name) {
            Ok(image) => return inspected::image(store, &image),
            Err(layerfs::Error::ImageNotFound { .. }) if kind.is_none() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if may_be(Kind::Network) {
        if let Some(network) = network::show::built_in(name) {
            return Ok(network);
        }
        let networks = Networks::lock(store)?;
        if name == DEFAULT {
            networks.ensure_default()?;
        }
        let found = match kind {
            None => networks.look_up(name)?,
            Some(_) => Some(networks.find(name)?),
        };
        if let Some(network) = found {
            return network::show::inspected(&network, &networks);
        }
    }
    match store.volume(name) {
        Ok(volume) => Ok(volume::show::inspected(&volume)),
        Err(layerfs::Error::VolumeNotFound { .. }) if kind.is_none() => {
            Err(Failure::new(format!("no such object: {name}")))
        }
        Err(error) => Err(error.into()),
    }
}

fn container(store: &Store, container: &Container, with_size: bool) -> Result<Value, Failure> {
    let mut value = inspected::container(container);
    if with_size {
        let own = tree_size(&container.upper())?;
        let image = container.image.as_ref().and_then(|id| store.resolve(&id.to_string()).ok());
        value["SizeRw"] = own.into();
        value["SizeRootFs"] = (own + image.map_or(0, |image| image.size)).into();
    }
    Ok(value)
}
