//! `build --cache-from` and `--cache-to`: results of steps that travel between machines, as
//! images in registries or layouts.

use std::path::PathBuf;
use std::str::FromStr;

use builder::instruction::csv_fields;
use builder::{BaseImages, CacheImage, CacheRecords};
use layerfs::{Lease, NewImage, StoreOrigin};
use oci::transfer::CopyOptions;
use oci::{Descriptor, DiffId, Platform, Raw, Reference};

use super::Args;
use crate::app::App;
use crate::copying::{self, Location};
use crate::error::{Doing, Failure};
use crate::layouts::BasesAndLayouts;
use crate::pulling;

// The options.
#[derive(clap::Args)]
pub(super) struct CacheArgs {
    /// Take over the results of other builds: an image in a registry that `--cache-to` made, or
    /// type=local,src=DIR. What is not there is passed over
    #[arg(long, value_name = "NAME|type=…")]
    cache_from: Vec<CacheFrom>,
    /// Put the results of this build there: type=registry,ref=NAME or type=local,dest=DIR; with
    /// mode=max those of all stages, else those of the image
    #[arg(long, value_name = "type=…")]
    cache_to: Vec<CacheTo>,
}

/// Where results are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Registry(Reference),
    Local(PathBuf, String),
}

/// A `--cache-from`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CacheFrom(Place);

/// A `--cache-to`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CacheTo {
    place: Place,
    all_stages: bool,
    ignore_error: bool,
}

/// The fields of both.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    reference: Option<Reference>,
    directory: Option<PathBuf>,
    tag: Option<String>,
    all_stages: bool,
    ignore_error: bool,
}

impl Fields {
    fn read(text: &str, directory: &str) -> Result<Fields, String> {
        let is_export = directory == "dest";
        let mut fields = Fields::default();
        if !text.contains('=') {
            fields.kind = Some("registry".to_owned());
            fields.reference = Some(text.parse().map_err(|error: oci::Error| error.to_string())?);
            return Ok(fields);
        }
        for field in csv_fields(text).map_err(|error| error.message)? {
            let (key, value) =
                field.split_once('=').ok_or_else(|| format!("`{field}` is not KEY=VALUE"))?;
            match (key, value) {
                ("type", _) => fields.kind = Some(value.to_owned()),
                ("ref", _) => {
                    let name = value.parse().map_err(|error: oci::Error| error.to_string())?;
                    fields.reference = Some(name);
                }
                ("tag", _) => fields.tag = Some(value.to_owned()),
                ("mode", "min" | "max") if is_export => fields.all_stages = value == "max",
                ("ignore-error", "true" | "false") if is_export => {
                    fields.ignore_error = value == "true";
                }
                // So they are always.
                ("image-manifest" | "oci-mediatypes", "true") | ("compression", "gzip")
                    if is_export => {}
                (key, _) if key == directory => fields.directory = Some(value.into()),
                _ => return Err(format!("a cache has no `{field}` here")),
            }
        }
        Ok(fields)
    }

    fn place(&mut self, directory: &str) -> Result<Place, String> {
        if self.tag.is_some() && self.kind.as_deref() != Some("local") {
            return Err(
                "only a local cache has a tag: that of a registry is in ref=NAME".to_owned()
            );
        }
        let tag = self.tag.take().unwrap_or_else(|| "cache".to_owned());
        match (self.kind.as_deref(), self.reference.take(), self.directory.take()) {
            (Some("registry"), Some(name), None) => Ok(Place::Registry(name.with_default_tag())),
            (Some("registry"), ..) => Err("a cache in a registry needs ref=NAME alone".to_owned()),
            (Some("local"), None, Some(path)) => Ok(Place::Local(path, tag)),
            (Some("local"), ..) => Err(format!("a local cache needs {directory}=DIRECTORY alone")),
            (Some(other), ..) => {
                Err(format!("caches of type `{other}` are not there: these are: registry, local"))
            }
            (None, ..) => Err("a cache needs a type".to_owned()),
        }
    }
}

impl FromStr for CacheFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<CacheFrom, String> {
        Fields::read(text, "src")?.place("src").map(CacheFrom)
    }
}

impl FromStr for CacheTo {
    type Err = String;

    fn from_str(text: &str) -> Result<CacheTo, String> {
        let mut fields = Fields::read(text, "dest")?;
        let place = fields.place("dest")?;
        Ok(CacheTo { place, all_stages: fields.all_stages, ignore_error: fields.ignore_error })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Registry(name) => f.write_str(&name.familiar()),
            Place::Local(path, tag) => write!(f, "{}:{tag}", path.display()),
        }
    }
}

impl CacheArgs {
    /// What other builds came to. A cache that is not there is no reason not to build.
    pub(super) fn images(&self, bases: &BasesAndLayouts, quiet: bool) -> Vec<CacheImage> {
        let mut images = Vec::new();
        for CacheFrom(place) in &self.cache_from {
            let (name, is_lasting) = match place {
                Place::Registry(name) => (name.to_string(), true),
                Place::Local(path, tag) => {
                    (format!("oci-layout://{}:{tag}", path.display()), false)
                }
            };
            let problem = match bases.resolve(&name, &Platform::host(), true) {
                Ok(image) if CacheRecords::read(&image.config).is_some() => {
                    images.push(CacheImage { image, is_lasting });
                    continue;
                }
                Ok(_) => "it has no results of builds".to_owned(),
                Err(error) => crate::error::chain(&error),
            };
            if !quiet {
                anstream::eprintln!("note: nothing taken over from {place}: {problem}");
            }
        }
        images
    }

    /// Whether results are to be kept elsewhere.
    pub(super) fn is_exported(&self) -> bool {
        !self.cache_to.is_empty()
    }
}

/// What the builds of all platforms came to.
#[derive(Default)]
pub(super) struct Results {
    pub(super) records: CacheRecords,
    /// The layers of the images.
    pub(super) layers: Vec<DiffId>,
    /// The blobs that caches have of layers which may not be here.
    pub(super) cached: Vec<(DiffId, Descriptor)>,
}

impl Results {
    /// Puts them where they are to be.
    pub(super) fn export(&self, args: &Args, app: &App, lease: &Lease) -> Result<(), Failure> {
        for to in &args.cache.cache_to {
            let put = self.put(to, args, app, lease);
            match put.doing(|| format!("cannot write the cache to {}", to.place)) {
                Err(failure) if to.ignore_error => anstream::eprintln!("note: {}", failure.message),
                other => other?,
            }
        }
        Ok(())
    }

    fn put(&self, to: &CacheTo, args: &Args, app: &App, lease: &Lease) -> Result<(), Failure> {
        let store = app.store()?;
        let records = match to.all_stages {
            true => self.records.clone(),
            false => self.records.within(&self.layers),
        };
        // What is not here comes first: the store takes it as the base of an image.
        let blob = |layer: &DiffId| {
            let known = self.cached.iter().find(|(known, _)| known == layer);
            known.map(|(_, blob)| blob.clone())
        };
        let (mut elsewhere, mut here) = (Vec::new(), Vec::new());
        let mut base = Vec::new();
        for layer in records.layers() {
            match (store.layer(&layer)?, blob(&layer)) {
                (None, Some(blob)) => {
                    base.push(blob);
                    elsewhere.push(layer);
                }
                _ => here.push(layer),
            }
        }
        elsewhere.append(&mut here);
        let config = Raw::write(records.to_config(&Platform::host(), &elsewhere));
        let image =
            NewImage { config: &config, names: &[], manifest: None, index: None, base: &base };
        let before = store.images()?;
        let record = store.put_image(lease, &image)?;
        let carried =
            store.manifest(lease, &record, None).map_err(Failure::from).and_then(|image| {
                let connection = &args.connection;
                let blobs = pulling::anywhere(app, connection, oci::DEFAULT_REGISTRY)?;
                let place = match &to.place {
                    Place::Registry(name) => Location::Registry(name.clone()),
                    Place::Local(path, tag) => Location::Layout(path.clone(), Some(tag.clone())),
                };
                let end = copying::destination(app, lease, &place, connection)?;
                let options = CopyOptions::default();
                copying::carry(app, &StoreOrigin::new(image, blobs), end, &options, args.quiet)
            });
        // It was there to be carried alone.
        if before.iter().all(|known| known.id != record.id) {
            store.remove_image(&record.id)?;
        }
        carried.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_written_as_buildx_writes_them() {
        let registry = Place::Registry("r.io/c:latest".parse().unwrap());
        let local = |tag: &str| Place::Local("d".into(), tag.to_owned());
        for (text, expected) in [
            ("r.io/c", Some(registry.clone())),
            ("type=registry,ref=r.io/c", Some(registry.clone())),
            ("type=local,src=d", Some(local("cache"))),
            ("type=local,src=d,tag=x", Some(local("x"))),
            ("type=local,dest=d", None),
            ("type=gha", None),
            ("type=registry", None),
            ("ref=r.io/c", None),
            ("type=registry,ref=r.io/c,tag=x", None),
            ("type=registry,ref=r.io/c,mode=max", None),
        ] {
            assert_eq!(text.parse().ok(), expected.map(CacheFrom), "{text}");
        }
        let to: CacheTo = "type=registry,ref=r.io/c,mode=max,ignore-error=true".parse().unwrap();
        assert_eq!(to, CacheTo { place: registry, all_stages: true, ignore_error: true });
        assert!("type=inline".parse::<CacheTo>().is_err());
        assert!("type=local,dest=d,mode=most".parse::<CacheTo>().is_err());
    }
}
