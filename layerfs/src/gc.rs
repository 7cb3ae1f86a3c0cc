//! Collection of what nobody needs any more.
//!
//! Three steps, so that a kill between any two of them, or a loss of power, leaves no record of
//! what is not there. One write transaction forgets. Another renames what has no record into the
//! collector's own staging directory; in it nobody else is between a rename and a record. The
//! deleting comes last, when others can already write again: if it does not come to that, the
//! next process sweeps the lease.

use oci::{Algorithm, DiffId, Digest};
use rusqlite::Connection;

use crate::lease::{self, Lease, entries};
use crate::state::{Abort, containers, gc as rows, layers};
use crate::store::{Store, container_of_row, move_away, reserve};
use crate::{Result, cache_mount, stat_index};

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PruneOptions {
    /// Containers that do not run. They go first: their images may then be unused.
    pub stopped_containers: bool,
    /// Of those only these, by id; all if nothing is said.
    pub only_containers: Option<Vec<String>>,
    /// Images.
    pub images: PruneImages,
    /// Of those only these; all if nothing is said.
    pub only_images: Option<Vec<Digest>>,
    /// Build records that were last used before this time, in seconds since 1970; `i64::MAX`
    /// means all, and the stat indexes of build contexts and the caches of RUN that nobody uses,
    /// too.
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
    /// How many caches of RUN.
    pub caches: usize,
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
    /// container, no build record and no live process. On a full disk the room that is kept for
    /// this is used.
    ///
    /// # Errors
    /// As [`collect`](Store::collect).
    pub fn prune(&self, options: &PruneOptions) -> Result<PruneReport> {
        let place = self.places().reserve();
        let report = match self.prune_in_room_there_is(options) {
            Err(error) if error.is_storage_full() && reserve::release(&place)? => {
                self.prune_in_room_there_is(options)
            }
            result => result,
        }?;
        reserve::keep(&place);
        Ok(report)
    }

    fn prune_in_room_there_is(&self, options: &PruneOptions) -> Result<PruneReport> {
        lease::sweep(self)?;
        lease::sweep_strays(self)?;
        stat_index::sweep(self)?;
        let lease = self.lease()?;
        let mut report = self.state().write("prune", |c| {
            let mut report = PruneReport::default();
            remove_named(self, c, &lease, options, &mut report)?;
            remove_unreferenced(c, &mut report)?;
            Ok(report)
        })?;
        if report != PruneReport::default() {
            self.state().sync()?;
        }
        Leftovers::look(self)?.clear_unrecorded(self, &lease)?;
        if options.records_before == Some(i64::MAX) {
            move_away(&self.places().cache().join(CONTEXTS), &lease)?;
            report.caches = cache_mount::prune(self, &lease)?;
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
            let is_meant =
                options.only_containers.as_ref().is_none_or(|only| only.contains(&container.id));
            if is_meant
                && !container.state.is_running()
                && !lease.is_others_container(c, &container.id)?
            {
                store.give_back(&container)?;
                containers::remove(c, &container.id)?;
                report.containers.push(container.id);
            }
        }
    }
    report.images = match options.images {
        PruneImages::None => Vec::new(),
        PruneImages::Nameless => rows::remove_images(c, false, options.only_images.as_deref())?,
        PruneImages::Unused => rows::remove_images(c, true, options.only_images.as_deref())?,
    };
    report.records = rows::remove_records(c, options.records_before.unwrap_or(i64::MIN))?;
    Ok(())
}

fn remove_unreferenced(c: &Connection, report: &mut PruneReport) -> Result<(), Abort> {
    for (_, size) in rows::remove_layers(c)? {
        report.layers += 1;
        report.bytes += size;
    }
    for (_, size) in rows::remove_blobs(c)? {
        report.blobs += 1;
        report.bytes += size;
    }
    Ok(rows::remove_documents(c)?)
}

/// Places of a store that may have something in them without a record: it was forgotten, or its
/// maker was killed before he wrote one.
#[derive(Default)]
pub(crate) struct Leftovers {
    /// Layers.
    pub(crate) layers: Vec<DiffId>,
    /// Blobs.
    pub(crate) blobs: Vec<Digest>,
    /// Ids of containers.
    pub(crate) containers: Vec<String>,
}

impl Leftovers {
    /// All in which there is something.
    fn look(store: &Store) -> Result<Leftovers> {
        let places = store.places();
        let (mut layers, mut blobs) = (Vec::new(), Vec::new());
        let layer_names = entries(&places.layers())?;
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = |name: &String| Digest::from_parts(algorithm, name).ok();
            layers.extend(layer_names.iter().filter_map(digest).map(DiffId));
            let blob_names = entries(&places.blobs().join(algorithm.as_str()))?;
            blobs.extend(blob_names.iter().filter_map(digest));
        }
        Ok(Leftovers { layers, blobs, containers: entries(&places.containers())? })
    }

    /// Moves away what has no record.
    pub(crate) fn clear_unrecorded(&self, store: &Store, lease: &Lease) -> Result<()> {
        let places = store.places();
        store.state().write("remove what has no record", |c| {
            for diff_id in &self.layers {
                if layers::layer_size(c, diff_id)?.is_none() {
                    move_away(&places.layer(diff_id), lease)?;
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
        })
    }
}
