//! Records of build steps: a cache key, what came of it, and the layers that this rests on.

use oci::DiffId;
use serde_json::Value;

use super::Store;
use crate::state::{parse, records as rows};
use crate::{Error, Result};

/// What a build step left in the cache.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What the builder wrote.
    pub value: Value,
    /// The layers that the record keeps. They are all in the store, or there is no record.
    pub layers: Vec<DiffId>,
}

impl Store {
    /// The record of a cache key. It is used from now on, for the order of eviction.
    ///
    /// # Errors
    /// If the database fails.
    pub fn record(&self, key: &[u8; 32]) -> Result<Option<Record>> {
        let found = self.state().read("read a build record", |c| {
            let Some((value, renew)) = rows::get(c, key)? else { return Ok(None) };
            if !rows::is_whole(c, key)? {
                return Ok(None);
            }
            Ok(Some((value, rows::layers(c, key)?, renew)))
        })?;
        let Some((value, layers, renew)) = found else { return Ok(None) };
        if renew {
            self.state().write("note the use of a build record", |c| Ok(rows::touch(c, key)?))?;
        }
        let value = serde_json::from_str(&value)
            .map_err(|_| Error::StateValue { column: "build record", value })?;
        let layers =
            layers.iter().map(|text| parse("diff_id", text).map(DiffId)).collect::<Result<_>>()?;
        Ok(Some(Record { value, layers }))
    }

    /// Writes the record of a cache key, in place of an older one. The layers are kept from now
    /// on; they should be in the store, and pinned, already.
    ///
    /// # Errors
    /// If the database fails.
    pub fn put_record(&self, key: &[u8; 32], value: &Value, layers: &[DiffId]) -> Result<()> {
        let text = value.to_string();
        self.state().write("write a build record", |c| Ok(rows::put(c, key, &text, layers)?))
    }
}
