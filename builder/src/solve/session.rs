//! What all steps of a build share.

use layerfs::{IdMode, Lease, Store};
use oci::DiffId;
use serde_json::Value;

use super::Outcome;
use crate::cache::{CacheKey, StepRecord};
use crate::cancel::Cancel;
use crate::context::Contexts;
use crate::error::StepCause;
use crate::graph::Graph;
use crate::layers::BaseLayers;
use crate::progress::{Event, Progress};
use crate::remote::Remotes;
use crate::request::BuildRequest;

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

    /// What a step with this key made before, if its layer is still there.
    pub(crate) fn lookup(&self, key: CacheKey) -> Result<Option<StepRecord>, StepCause> {
        let record = self
            .store
            .record(&key.0)
            .map_err(StepCause::store("look a step up in the build cache"))?;
        // What another version wrote in another form is no result.
        Ok(record.and_then(|record| serde_json::from_value(record.value).ok()))
    }

    /// Keeps the result of a step.
    pub(crate) fn record(&self, key: CacheKey, record: &StepRecord) -> Result<(), StepCause> {
        let value = serde_json::to_value(record).expect("a record is a plain document");
        self.put(key, &value, std::slice::from_ref(&record.layer))
    }

    /// A digest that was computed from layers, if it is kept.
    pub(crate) fn recorded_digest(&self, key: CacheKey) -> Result<Option<CacheKey>, StepCause> {
        let record = self
            .store
            .record(&key.0)
            .map_err(StepCause::store("look a digest up in the build cache"))?;
        Ok(record.and_then(|record| serde_json::from_value(record.value).ok()).map(CacheKey))
    }

    /// Keeps a digest that was computed from layers.
    pub(crate) fn record_digest(&self, key: CacheKey, digest: CacheKey) -> Result<(), StepCause> {
        let value = serde_json::to_value(digest.0).expect("bytes are a plain document");
        self.put(key, &value, &[])
    }

    fn put(&self, key: CacheKey, value: &Value, layers: &[DiffId]) -> Result<(), StepCause> {
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
