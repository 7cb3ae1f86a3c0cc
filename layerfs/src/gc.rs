//! Collection of what nobody needs any more.
//!
//! One write transaction decides, and renames what goes into the collector's own staging
//! directory; the deleting comes after it, when others can already write again. A collector that
//! is killed meanwhile leaves a lease, and the next process deletes the rest.

use oci::{Algorithm, Digest};
use rusqlite::Connection;

use crate::lease::{self, Lease, entries};
use crate::state::{Abort, containers, gc as rows, layers};
use crate::store::{Store, container_of_row, move_away};
use crate::{Result, stat_index};

/// Which images go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PruneImages {
    /// None.
    #[default]
    None,
    /// Those without any name that no container is based on.
    Nameless,
    /// All that no container is based on.
    Unused,
}

/// What to remove besides what nothing refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PruneOptions {
    /// Containers that do not run. They go first: their images may then be unused.
    pub stopped_containers: bool,
    /// Images.
    pub images: PruneImages,
    /// Build records that were last used before this time, in seconds since 1970; `i64::MAX`
    /// means all, and the stat indexes of build contexts, too.
    pub records_before: Option<i64>,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PruneReport {
    /// Ids of containers.
    pub containers: Vec<String>,
    /// Ids of images.
    pub images: Vec<Digest>,
    /// How many layers.
    pub layers: usize,
    /// How many blobs.
    pub blobs: usize,
    /// How many build records.
    pub records: usize,
    /// The bytes of those layers, as tars, and blobs. What lay about without a record comes on top
    /// and is not counted.
    pub bytes: u64,
}

/// The name below `cache/` of the stat indexes of build contexts.
pub(crate) const CONTEXTS: &str = "contexts";

impl Store {
    /// Removes layers, blobs and documents that nothing refers to, and what lies about.
    ///
    /// # Errors
    /// If the database or the file system fails. What has been removed until then is gone.
    pub fn collect(&self) -> Result<PruneReport> {
        self.prune(&PruneOptions::default())
    }

    /// Removes what `options` say, and then everything that nothing refers to: no image, no
    /// container, no build record and no live process.
    ///
    /// # Errors
    /// As [`collect`](Store::collect).
    pub fn prune(&self, options: &PruneOptions) -> Result<PruneReport> {
        lease::sweep(self)?;
        lease::sweep_strays(self)?;
        stat_index::sweep(self)?;
        let lease = self.lease()?;
        let found = Found::look(self)?;
        let report = self.state().write("prune", |c| {
            let mut report = PruneReport::default();
            remove_named(self, c, &lease, options, &mut report)?;
            remove_unreferenced(self, c, &lease, &mut report)?;
            found.remove_unrecorded(self, c, &lease)?;
            Ok(report)
        })?;
        if options.records_before == Some(i64::MAX) {
            move_away(&self.places().cache().join(CONTEXTS), &lease)?;
        }
        Ok(report)
    }
}

fn remove_named(
    store: &Store,
    c: &Connection,
    lease: &Lease,
    options: &PruneOptions,
    report: &mut PruneReport,
) -> Result<(), Abort> {
    if options.stopped_containers {
        for row in containers::all(c)? {
            let container = container_of_row(store, c, row)?;
            if !container.state.is_running() && !lease.is_others_container(c, &container.id)? {
                containers::remove(c, &container.id)?;
                move_away(&container.dir, lease)?;
                report.containers.push(container.id);
            }
        }
    }
    report.images = match options.images {
        PruneImages::None => Vec::new(),
        PruneImages::Nameless => rows::remove_images(c, false)?,
        PruneImages::Unused => rows::remove_images(c, true)?,
    };
    report.records = rows::remove_records(c, options.records_before.unwrap_or(i64::MIN))?;
    Ok(())
}

fn remove_unreferenced(
    store: &Store,
    c: &Connection,
    lease: &Lease,
    report: &mut PruneReport,
) -> Result<(), Abort> {
    for (diff_id, size) in rows::remove_layers(c)? {
        move_away(&store.places().layer(&diff_id), lease)?;
        report.layers += 1;
        report.bytes += size;
    }
    for (digest, size) in rows::remove_blobs(c)? {
        move_away(&store.places().blob(&digest), lease)?;
        report.blobs += 1;
        report.bytes += size;
    }
    rows::remove_documents(c)?;
    Ok(())
}

/// What stands in the store's directories, with a record or without.
struct Found {
    layers: Vec<String>,
    blobs: Vec<Digest>,
    containers: Vec<String>,
}

impl Found {
    fn look(store: &Store) -> Result<Found> {
        let places = store.places();
        let mut blobs = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for name in entries(&places.blobs().join(algorithm.as_str()))? {
                blobs.extend(Digest::from_parts(algorithm, &name));
            }
        }
        let layers = entries(&places.layers())?;
        Ok(Found { layers, blobs, containers: entries(&places.containers())? })
    }

    /// Takes away what has no record: its maker was killed between a rename and the record. That
    /// is decided inside the transaction, in which nobody else is between the two.
    fn remove_unrecorded(&self, store: &Store, c: &Connection, lease: &Lease) -> Result<(), Abort> {
        let places = store.places();
        for hex in &self.layers {
            if !rows::has_layer_named(c, hex)? {
                move_away(&places.layers().join(hex), lease)?;
            }
        }
        for digest in &self.blobs {
            if layers::blob_size(c, digest)?.is_none() {
                move_away(&places.blob(digest), lease)?;
            }
        }
        for id in &self.containers {
            if containers::by_prefix(c, id, 1)?.is_empty() {
                move_away(&places.container(id), lease)?;
            }
        }
        Ok(())
    }
}
