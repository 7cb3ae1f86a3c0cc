//! What all steps of a build share.

use layerfs::{IdMode, Lease, Store};
use oci::DiffId;
use serde_json::Value;

use super::{Brought, Outcome};
use crate::cache::{CacheKey, StepRecord};
use crate::cancel::Cancel;
use crate::context::Contexts;
use crate::error::StepCause;
use crate::graph::Graph;
use crate::layers::BaseLayers;
use crate::progress::{Event, Progress};
use crate::remote::Remotes;
use crate::request::BuildRequest;
use crate::shared_cache::SharedCache;

/// A build while it runs.
pub(crate) struct Session<'a> {
    pub(crate) store: &'a Store,
    pub(crate) lease: &'a Lease,
    pub(crate) request: &'a BuildRequest,
    pub(crate) remotes: &'a dyn Remotes,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
    pub(crate) ids: IdMode,
    pub(crate) contexts: Contexts<'a>,
    pub(crate) bases: BaseLayers<'a>,
    /// What other builds came to, and what this one did.
    pub(crate) shared: SharedCache,
    /// What ADD brought.
    pub(crate) brought: Brought,
    /// What is made now says that it was made then, RFC 3339.
    pub(crate) created: String,
}

impl Session<'_> {
    pub(crate) fn parallelism(&self) -> usize {
        self.request.parallelism.get()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    pub(crate) fn event(&self, event: Event<'_>) {
        self.progress.event(event);
    }

    /// The result of a step with this key, if one is kept and may be used instead of running.
    pub(crate) fn recorded(
        &self,
        key: CacheKey,
        below: &Outcome,
    ) -> Result<Option<Outcome>, StepCause> {
        if self.request.no_cache {
            return Ok(None);
        }
        Ok(self.lookup(key)?.map(|record| below.with(record)))
    }

    /// What a step with this key made before, here or elsewhere, if its layer can be had.
    pub(crate) fn lookup(&self, key: CacheKey) -> Result<Option<StepRecord>, StepCause> {
        // What another version wrote in another form is no result.
        let read = |value: Value| serde_json::from_value::<StepRecord>(value).ok();
        let here = self
            .store
            .record(&key.0)
            .map_err(StepCause::store("look a step up in the build cache"))?;
        let found = here.and_then(|record| read(record.value)).or_else(|| {
            let elsewhere = self.shared.imported(key).and_then(read);
            elsewhere.filter(|record| self.bases.has(&record.layer))
        });
        if let Some(record) = &found {
            self.note(key, record);
        }
        Ok(found)
    }

    fn note(&self, key: CacheKey, record: &StepRecord) -> Value {
        let value = serde_json::to_value(record).expect("a record is a plain document");
        self.shared.note(key, &value, std::slice::from_ref(&record.layer));
        value
    }

    /// Keeps the result of a step.
    pub(crate) fn record(&self, key: CacheKey, record: &StepRecord) -> Result<(), StepCause> {
        let value = self.note(key, record);
        self.put(key, &value, std::slice::from_ref(&record.layer))
    }

    /// A digest that was computed from layers, if it is kept.
    pub(crate) fn recorded_digest(&self, key: CacheKey) -> Result<Option<CacheKey>, StepCause> {
        let record = self
            .store
            .record(&key.0)
            .map_err(StepCause::store("look a digest up in the build cache"))?;
        let value = record.map(|record| record.value).or_else(|| self.shared.imported(key));
        let digest = value.as_ref().and_then(|value| serde_json::from_value(value.clone()).ok());
        if let (Some(value), true) = (&value, digest.is_some()) {
            self.shared.note(key, value, &[]);
        }
        Ok(digest.map(CacheKey))
    }

    /// Keeps a digest that was computed from layers.
    pub(crate) fn record_digest(&self, key: CacheKey, digest: CacheKey) -> Result<(), StepCause> {
        let value = serde_json::to_value(digest.0).expect("bytes are a plain document");
        self.shared.note(key, &value, &[]);
        self.put(key, &value, &[])
    }

    pub(super) fn put(
        &self,
        key: CacheKey,
        value: &Value,
        layers: &[DiffId],
    ) -> Result<(), StepCause> {
        self.store
            .put_record(&key.0, value, layers)
            .map_err(StepCause::store("write to the build cache"))
    }

    /// Makes sure that the files of a stack of layers are there.
    pub(crate) fn ensure(&self, layers: &[DiffId], graph: &Graph) -> Result<(), StepCause> {
        self.bases.ensure(layers, self.store, self.lease, graph, self.progress)
    }
}

impl Outcome {
    /// With the layer of `record` on top.
    pub(crate) fn with(&self, record: StepRecord) -> Outcome {
        let layers = self.layers.iter().cloned().chain([record.layer]);
        let created = self.created.iter().cloned().chain([record.created]);
        Outcome { layers: layers.collect(), created: created.collect() }
    }

    /// With all layers of another on top.
    pub(crate) fn under(&self, other: &Outcome) -> Outcome {
        let layers = self.layers.iter().chain(&*other.layers).cloned();
        let created = self.created.iter().chain(&*other.created).cloned();
        Outcome { layers: layers.collect(), created: created.collect() }
    }
}
