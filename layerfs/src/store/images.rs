//! Images: what they are called and what they consist of.

use oci::{Descriptor, DiffId, Digest, Image, ImageConfig, Manifest, Raw, Reference};
use rusqlite::Connection;

use super::Store;
use crate::lease::Lease;
use crate::state::images::{self as rows, ManifestRow};
use crate::state::{Abort, layers as layer_rows, parse};
use crate::{Error, Result};

/// The shortest beginning of an image's id is one digit; the longest is all of it.
const ID_DIGITS: std::ops::RangeInclusive<usize> = 1..=128;

/// An image of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// The digest of its config.
    pub id: Digest,
    /// Its names with tags, sorted.
    pub names: Vec<Reference>,
    /// Its names with digests, as registries know it, sorted.
    pub digests: Vec<Reference>,
    /// The manifest that came with the name that was looked up, or else its youngest; `None` for
    /// an image built here that no manifest was needed for yet.
    pub manifest: Option<Digest>,
    /// What it goes by in the registry it came from: the digest of the index or of the manifest.
    pub target: Option<Digest>,
    /// When it was added to the store, in seconds since 1970.
    pub added: i64,
    /// Sum of the sizes of its unpacked layers as tars, in bytes.
    pub size: u64,
}

/// An image on its way into the store. Its layers are there already, or claimed.
#[derive(Debug, Clone, Copy)]
pub struct NewImage<'a> {
    /// Its config.
    pub config: &'a Raw<ImageConfig>,
    /// Names to give it, taken from the images that have them. `latest` is filled in; a name with
    /// a digest says how registries know it.
    pub names: &'a [Reference],
    /// The manifest that it came with.
    pub manifest: Option<&'a Raw<Manifest>>,
    /// The digest of the index that the manifest was found through.
    pub index: Option<&'a Digest>,
    /// For images without a manifest: what a base image's manifest says about the lowest layers,
    /// so that they need not be unpacked or compressed here.
    pub base: &'a [Descriptor],
}

impl<'a> NewImage<'a> {
    /// An image as a registry or archive has it, all of its layers included.
    pub fn whole(image: &'a Image, names: &'a [Reference]) -> NewImage<'a> {
        NewImage {
            config: &image.config,
            names,
            manifest: Some(&image.manifest),
            index: image.index.as_ref(),
            base: &[],
        }
    }
}

/// What the removal of a name came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untagged {
    /// The names that are gone: the one asked for, and those by digest that hung on it.
    pub names: Vec<Reference>,
    /// The image that had them.
    pub image: Digest,
    /// Whether the image has no name any more.
    pub is_nameless: bool,
}

impl Store {
    /// Adds an image, or gives one that is there more names. What it consists of is synced to
    /// disk before, and the record after; where nothing changes, nothing is written.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`] if a layer is neither there nor claimed by manifest or base;
    /// [`Error::LayerCountMismatch`] if manifest and config disagree.
    pub fn put_image(&self, lease: &Lease, image: &NewImage<'_>) -> Result<ImageRecord> {
        let new = Prepared::new(image)?;
        let unchanged = self.state().read("compare an image", |c| new.is_there(c))?;
        if !unchanged {
            self.sync_files()?;
            self.state().write("record an image", |c| new.put(c))?;
            self.state().sync()?;
        }
        tracing::debug!(id = %new.id(), lease = lease.id(), unchanged, "image recorded");
        self.image_record(new.id())
    }

    /// Gives an image another name, taking it from the image that has it.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`] if there is no such image.
    pub fn tag(&self, image: &ImageRecord, name: &Reference) -> Result<()> {
        let name = stored_name(name);
        self.state().write("tag an image", |c| {
            require(c, &image.id)?;
            let (manifest, target) = (image.manifest.as_ref(), image.target.as_ref());
            rows::put_name(c, &name, &image.id, manifest, target)?;
            Ok(())
        })
    }

    /// Removes a name. When that was the image's last tag in its repository, its digests there go
    /// with it, as docker has it.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`] if nothing goes by this name.
    pub fn untag(&self, name: &Reference) -> Result<Untagged> {
        let stored = stored_name(name);
        self.state().write("remove a name", |c| {
            let image = rows::remove_name(c, &stored)?
                .ok_or_else(|| Error::ImageNotFound { name: name.familiar() })?;
            let mut names: Vec<Reference> = vec![parse("name", &stored)?];
            let left = parse_names(&rows::names(c, &image)?)?;
            let same_repository = |other: &&Reference| {
                other.registry() == name.registry() && other.repository() == name.repository()
            };
            if left.iter().filter(same_repository).all(|other| other.tag().is_none()) {
                for digest in left.iter().filter(same_repository) {
                    rows::remove_name(c, &digest.to_string())?;
                    names.push(digest.clone());
                }
            }
            let is_nameless = rows::names(c, &image)?.is_empty();
            Ok(Untagged { names, image: parse("image", &image)?, is_nameless })
        })
    }

    /// Removes an image with all its names. Its layers stay until they are
    /// [collected](Store::collect).
    ///
    /// # Errors
    /// [`Error::ImageInUse`] if a container is based on it, [`Error::ImageNotFound`] if there is
    /// no such image.
    pub fn remove_image(&self, id: &Digest) -> Result<()> {
        self.remove_image_unless(id, |_| true)
    }

    /// The same, even if a container is based on it, which has its layers all the same, unless one
    /// of those runs.
    ///
    /// # Errors
    /// [`Error::ImageInUse`], [`Error::ImageNotFound`].
    pub fn remove_image_of_stopped(&self, id: &Digest) -> Result<()> {
        let running = self.containers()?.into_iter().filter(|one| one.state.is_running());
        let running: Vec<String> = running.map(|container| container.name).collect();
        self.remove_image_unless(id, |user| running.iter().any(|name| name == user))
    }

    fn remove_image_unless(&self, id: &Digest, keeps: impl Fn(&str) -> bool) -> Result<()> {
        self.state().write("remove an image", |c| {
            require(c, id)?;
            let users = rows::users(c, &id.to_string())?;
            if let Some(container) = users.into_iter().find(|user| keeps(user)) {
                return Err(Error::ImageInUse { image: id.clone(), container }.into());
            }
            Ok(rows::remove(c, &id.to_string())?)
        })
    }

    /// All images, the latest added first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn images(&self) -> Result<Vec<ImageRecord>> {
        self.state().read("list the images", |c| {
            rows::ids(c)?.iter().map(|id| record(c, id, None)).collect()
        })
    }

    /// The image that `text` means: a name with tag (`latest` if there is none) or digest, the
    /// digest of its config or manifest, or the beginning of its id.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`]; [`Error::AmbiguousId`] if an id's beginning means several.
    pub fn resolve(&self, text: &str) -> Result<ImageRecord> {
        self.state().read("look an image up", |c| find(c, text))
    }

    /// The image of this name.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`] if there is none.
    pub fn resolve_name(&self, name: &Reference) -> Result<ImageRecord> {
        self.state().read("look an image up", |c| {
            find_name(c, name)?.ok_or_else(|| Error::ImageNotFound { name: name.familiar() }.into())
        })
    }

    /// The config of an image.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`] if there is no such image.
    pub fn config(&self, id: &Digest) -> Result<Raw<ImageConfig>> {
        let bytes = self.document(id)?.ok_or_else(|| not_found(id))?;
        Ok(Raw::parse_verified(bytes, id, "image config")?)
    }

    /// The layers of an image, lowest first, each with the descriptor that the manifest of the
    /// image or of its base claims for it.
    ///
    /// # Errors
    /// If the database fails.
    pub fn image_layers(&self, id: &Digest) -> Result<Vec<(DiffId, Option<Descriptor>)>> {
        self.state().read("list the layers of an image", |c| rows::layers(c, id))
    }

    fn image_record(&self, id: &Digest) -> Result<ImageRecord> {
        self.state().read("read an image", |c| record(c, &id.to_string(), None))
    }
}

/// An image with its parts in the form of rows.
struct Prepared<'a> {
    config: &'a Raw<ImageConfig>,
    manifest: Option<&'a Raw<Manifest>>,
    target: Option<&'a Digest>,
    names: Vec<String>,
    layers: Vec<(DiffId, Option<Descriptor>)>,
}

impl<'a> Prepared<'a> {
    fn new(image: &NewImage<'a>) -> Result<Prepared<'a>> {
        let diff_ids = &image.config.rootfs.diff_ids;
        let claims = match image.manifest {
            Some(manifest) => &manifest.layers[..],
            None => image.base,
        };
        let fits = match image.manifest {
            Some(_) => claims.len() == diff_ids.len(),
            None => claims.len() <= diff_ids.len(),
        };
        if !fits {
            return Err(Error::LayerCountMismatch {
                manifest: image.manifest.map_or(image.config.digest(), Raw::digest).clone(),
                blobs: claims.len(),
                diff_ids: diff_ids.len(),
            });
        }
        let claims = claims.iter().cloned().map(Some).chain(std::iter::repeat(None));
        Ok(Prepared {
            config: image.config,
            manifest: image.manifest,
            target: image.manifest.map(|manifest| image.index.unwrap_or(manifest.digest())),
            names: image.names.iter().map(stored_name).collect(),
            layers: diff_ids.iter().cloned().zip(claims).collect(),
        })
    }

    fn id(&self) -> &'a Digest {
        self.config.digest()
    }

    /// Whether [`put`](Prepared::put) would change nothing but the order of age.
    fn is_there(&self, c: &Connection) -> Result<bool, Abort> {
        let id = self.id().to_string();
        if rows::added(c, &id)?.is_none() || rows::document_size(c, self.id())?.is_none() {
            return Ok(false);
        }
        let row = (
            self.manifest.map(|manifest| manifest.digest().to_string()),
            self.target.map(Digest::to_string),
        );
        if row.0.is_some() && rows::manifest(c, &id)?.as_ref() != Some(&row) {
            return Ok(false);
        }
        for name in &self.names {
            match rows::name(c, name)? {
                Some(found) if found.image == id && found.manifest == row => {}
                _ => return Ok(false),
            }
        }
        let there = rows::layers(c, self.id())?;
        Ok(there.len() == self.layers.len()
            && there
                .iter()
                .zip(&self.layers)
                .all(|((_, old), (_, new))| new.is_none() || old == new))
    }

    fn put(&self, c: &Connection) -> Result<(), Abort> {
        for (diff_id, claim) in &self.layers {
            if claim.is_none() && layer_rows::layer_size(c, diff_id)?.is_none() {
                return Err(Error::LayerNotFound { diff_id: diff_id.clone() }.into());
            }
        }
        rows::put_document(c, self.id(), self.config.bytes())?;
        rows::put_image(c, self.id(), &self.layers)?;
        if let (Some(manifest), Some(target)) = (self.manifest, self.target) {
            rows::put_document(c, manifest.digest(), manifest.bytes())?;
            rows::put_manifest(c, self.id(), manifest.digest(), target)?;
        }
        for name in &self.names {
            rows::put_name(c, name, self.id(), self.manifest.map(Raw::digest), self.target)?;
        }
        Ok(())
    }
}

fn find(c: &Connection, text: &str) -> Result<ImageRecord, Abort> {
    if let Ok(digest) = text.parse::<Digest>() {
        return find_digest(c, &digest)?.ok_or_else(|| not_found(text).into());
    }
    if let Ok(name) = text.parse::<Reference>()
        && let Some(found) = find_name(c, &name)?
    {
        return Ok(found);
    }
    let (algorithm, hex) = text.split_once(':').unwrap_or(("sha256", text));
    let is_id = matches!(algorithm, "sha256" | "sha512")
        && ID_DIGITS.contains(&hex.len())
        && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_id {
        return Err(not_found(text).into());
    }
    let ids = rows::ids_with_prefix(c, &format!("{algorithm}:{hex}"), 1000)?;
    match &ids[..] {
        [] => Err(not_found(text).into()),
        [id] => record(c, id, None),
        several => {
            let (kind, prefix) = ("image", text.to_owned());
            Err(Error::AmbiguousId { kind, prefix, count: several.len() }.into())
        }
    }
}

fn find_digest(c: &Connection, digest: &Digest) -> Result<Option<ImageRecord>, Abort> {
    let text = digest.to_string();
    if rows::added(c, &text)?.is_some() {
        return record(c, &text, None).map(Some);
    }
    let Some(row) = rows::id_of_manifest(c, &text)? else { return Ok(None) };
    record(c, &row.image, Some(row.manifest)).map(Some)
}

fn find_name(c: &Connection, name: &Reference) -> Result<Option<ImageRecord>, Abort> {
    let mut row = rows::name(c, &stored_name(name))?;
    if let (None, Some(digest)) = (&row, name.digest()) {
        let repository = format!("{}/{}", name.registry(), name.repository());
        row = rows::name_by_digest(c, &repository, digest)?;
    }
    row.map(|row| record(c, &row.image, Some(row.manifest))).transpose()
}

fn record(c: &Connection, id: &str, through: Option<ManifestRow>) -> Result<ImageRecord, Abort> {
    let added = rows::added(c, id)?.ok_or_else(|| not_found(id))?;
    let (manifest, target) = match through {
        Some(row @ (Some(_), _)) => row,
        _ => rows::manifest(c, id)?.unwrap_or_default(),
    };
    let names = parse_names(&rows::names(c, id)?)?;
    let (names, digests) = names.into_iter().partition(|name| name.digest().is_none());
    let id: Digest = parse("image", id)?;
    Ok(ImageRecord {
        names,
        digests,
        manifest: manifest.as_deref().map(|text| parse("manifest", text)).transpose()?,
        target: target.as_deref().map(|text| parse("target", text)).transpose()?,
        added,
        size: rows::size(c, &id)?,
        id,
    })
}

fn require(c: &Connection, id: &Digest) -> Result<(), Abort> {
    match rows::added(c, &id.to_string())? {
        Some(_) => Ok(()),
        None => Err(not_found(id).into()),
    }
}

fn parse_names(names: &[String]) -> Result<Vec<Reference>> {
    names.iter().map(|name| parse("name", name)).collect()
}

/// A name as it stands in the database: in full, and by digest alone if it has one.
fn stored_name(name: &Reference) -> String {
    match name.digest() {
        Some(digest) => name.with_digest(digest.clone()).to_string(),
        None => name.clone().with_default_tag().to_string(),
    }
}

fn not_found(name: impl std::fmt::Display) -> Error {
    Error::ImageNotFound { name: name.to_string() }
}
