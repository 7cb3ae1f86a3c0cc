//! Layers that copies made before, for those that are made of the same sources now.

use layerfs::BuildSnapshot;
use oci::DiffId;
use serde_json::Value;

use super::Session;
use super::step::Sources;
use crate::cache::CacheKey;
use crate::error::StepCause;
use crate::op::Copy;
use crate::op::copy::{self, Earlier};

impl Session<'_> {
    /// What the layer of a copy is kept under for the next one of the same instruction, if that
    /// can be made of it: files of a layer may be parts of another only where nothing is ever
    /// written to the layers themselves, as below a mount.
    pub(super) fn copied_before(
        &self,
        op: &Copy,
        sources: &Sources,
        snapshot: &BuildSnapshot,
    ) -> Option<CacheKey> {
        let context = sources.context.as_ref()?.lasting_path()?;
        let may = snapshot.active.mount.is_some() && copy::is_worth_it(&sources.found);
        copy::earlier_key(op, context).filter(|_| may)
    }

    /// What the instruction made before. That it cannot be had costs time and nothing else.
    pub(super) fn earlier(&self, key: CacheKey) -> Option<Earlier> {
        if self.request.no_cache {
            return None;
        }
        let earlier = || -> Result<Option<Earlier>, StepCause> {
            let failed = StepCause::store("look for the layer made before");
            let record = self.store.record(&key.0).map_err(&failed)?;
            let Some(record) = record else { return Ok(None) };
            let layers = self.store.pin_layers(self.lease, &record.layers).map_err(&failed)?;
            layers.unwrap_or_default().first().map_or(Ok(None), Earlier::open)
        };
        earlier().unwrap_or_else(|error| {
            tracing::warn!(%error, "what was copied before is copied again");
            None
        })
    }

    /// Keeps what a copy made for the next one of the same instruction.
    pub(super) fn keep_copied(&self, key: CacheKey, layer: &DiffId) -> Result<(), StepCause> {
        self.put(key, &Value::Null, std::slice::from_ref(layer))
    }
}
