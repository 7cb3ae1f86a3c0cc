//! The layers of base images, fetched when somebody needs their files.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use layerfs::{Lease, Store};
use oci::{Descriptor, DiffId, Digest};

use crate::error::StepCause;
use crate::graph::Graph;
use crate::images::BaseImage;
use crate::progress::{Event, Progress, StepId};
use crate::shared_cache::CacheImage;

/// The base images of a build and the layers that can be fetched for them.
pub(crate) struct BaseLayers<'a> {
    /// The base images, and after them images with results of other builds.
    bases: Vec<(StepId, &'a BaseImage)>,
    /// How many of them are base images.
    base_images: usize,
    /// Those of the others whose blobs cannot be had after the build.
    passing: HashSet<usize>,
    /// For each layer with a blob: the first base that has it, and the blob.
    blobs: HashMap<DiffId, (usize, Descriptor)>,
    /// One per base: who fetches holds it, so that others wait instead of fetching, too.
    fetching: Vec<Mutex<()>>,
}

impl<'a> BaseLayers<'a> {
    pub(crate) fn new(
        base_images: &'a [(StepId, BaseImage)],
        caches: &[(StepId, &'a CacheImage)],
    ) -> BaseLayers<'a> {
        let mut bases: Vec<_> = base_images.iter().map(|(step, base)| (*step, base)).collect();
        bases.extend(caches.iter().map(|(step, cache)| (*step, &cache.image)));
        let passing = caches.iter().enumerate().filter(|(_, (_, cache))| !cache.is_lasting);
        let passing = passing.map(|(number, _)| base_images.len() + number).collect();
        let mut blobs = HashMap::new();
        for (number, (_, base)) in bases.iter().enumerate() {
            for (diff_id, blob) in base.config.rootfs.diff_ids.iter().zip(&base.layers) {
                if let Some(blob) = blob {
                    blobs.entry(diff_id.clone()).or_insert_with(|| (number, blob.clone()));
                }
            }
        }
        let fetching = bases.iter().map(|_| Mutex::new(())).collect();
        BaseLayers { bases, base_images: base_images.len(), passing, blobs, fetching }
    }

    /// The blob of a layer, if an image has it that will still be there after the build.
    pub(crate) fn blob(&self, layer: &DiffId) -> Option<&Descriptor> {
        let (number, blob) = self.blobs.get(layer)?;
        (!self.passing.contains(number)).then_some(blob)
    }

    /// Whether the files of a layer can be had.
    pub(crate) fn has(&self, layer: &DiffId) -> bool {
        self.blobs.contains_key(layer)
    }

    /// The layers of images with results of other builds that will still be there.
    pub(crate) fn cached(&self) -> Vec<(DiffId, Descriptor)> {
        let of_caches = self.blobs.iter().filter(|(_, (number, _))| {
            *number >= self.base_images && !self.passing.contains(number)
        });
        of_caches.map(|(layer, (_, blob))| (layer.clone(), blob.clone())).collect()
    }

    /// Fetches and unpacks what of `layers` the store lacks.
    pub(crate) fn ensure(
        &self,
        layers: &[DiffId],
        store: &Store,
        lease: &Lease,
        graph: &Graph,
        progress: &dyn Progress,
    ) -> Result<(), StepCause> {
        let failed = StepCause::store("look up layers");
        let mut wanted: HashSet<usize> = HashSet::new();
        for layer in layers {
            if let Some((base, _)) = self.blobs.get(layer)
                && store.layer(layer).map_err(&failed)?.is_none()
            {
                wanted.insert(*base);
            }
        }
        let mut wanted: Vec<usize> = wanted.into_iter().collect();
        wanted.sort_unstable();
        for base in wanted {
            self.fetch(base, layers, store, lease, graph, progress)?;
        }
        Ok(())
    }

    fn fetch(
        &self,
        base: usize,
        layers: &[DiffId],
        store: &Store,
        lease: &Lease,
        graph: &Graph,
        progress: &dyn Progress,
    ) -> Result<(), StepCause> {
        let _alone = self.fetching[base].lock().unwrap_or_else(PoisonError::into_inner);
        let failed = StepCause::store("unpack the base image");
        let mut missing: Vec<(&DiffId, &Descriptor)> = Vec::new();
        for layer in layers {
            match self.blobs.get(layer) {
                Some((number, blob)) if *number == base => {
                    let seen = missing.iter().any(|(known, _)| *known == layer);
                    if !seen && store.layer(layer).map_err(&failed)?.is_none() {
                        missing.push((layer, blob));
                    }
                }
                _ => {}
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let (step, image) = self.bases[base];
        let started = Instant::now();
        progress.event(Event::Started { step, name: &graph.get(step).name });
        let counter = Counter::new(step, &missing, progress);
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = missing
                .iter()
                .map(|(diff_id, blob)| {
                    let counter = &counter;
                    scope.spawn(move || {
                        let report = |blob: &Descriptor, bytes| counter.report(blob, bytes);
                        store.unpack(lease, blob, diff_id, &*image.blobs, &report)
                    })
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect()
        });
        for result in results {
            if let Err(error) = result {
                let error = failed(error);
                progress.event(Event::Failed { step, message: &error.to_string() });
                return Err(error);
            }
        }
        progress.event(Event::Done { step, duration: started.elapsed() });
        Ok(())
    }
}

/// Adds up how far the blobs of a base have come.
struct Counter<'a> {
    step: StepId,
    total: u64,
    blobs: HashMap<Digest, AtomicU64>,
    progress: &'a dyn Progress,
}

impl<'a> Counter<'a> {
    fn new(
        step: StepId,
        blobs: &[(&DiffId, &Descriptor)],
        progress: &'a dyn Progress,
    ) -> Counter<'a> {
        let total = blobs.iter().map(|(_, blob)| blob.size).sum();
        let blobs = blobs.iter().map(|(_, blob)| (blob.digest.clone(), AtomicU64::new(0)));
        Counter { step, total, blobs: blobs.collect(), progress }
    }

    fn report(&self, blob: &Descriptor, bytes: u64) {
        if let Some(counter) = self.blobs.get(&blob.digest) {
            counter.store(bytes, Ordering::Relaxed);
        }
        let current = self.blobs.values().map(|counter| counter.load(Ordering::Relaxed)).sum();
        let event = Event::Progress { step: self.step, current, total: Some(self.total) };
        self.progress.event(event);
    }
}
