//! Results of build steps that travel between machines: a build tells which it used, and takes
//! over those of others.
//!
//! They travel as the config of an image whose layers are those that the steps made. Keys hold
//! content alone ([`crate::cache`]), so that what one machine made is what another one would.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use oci::{DiffId, ImageConfig, Platform};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cache::CacheKey;
use crate::images::BaseImage;

/// The field of the config that holds the records.
const FIELD: &str = "tierce.cache";
/// The form of the records.
const VERSION: u32 = 1;

/// Results of steps, and digests that were computed on the way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CacheRecords(Vec<Shared>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Shared {
    /// The cache key, in hexadecimal digits.
    key: String,
    /// What the builder keeps of the step.
    value: Value,
    /// The layers that this rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layers: Vec<DiffId>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    records: Vec<Shared>,
}

impl CacheRecords {
    /// Reads the records out of an image's config; `None` if it has none that are known here.
    pub fn read(config: &ImageConfig) -> Option<CacheRecords> {
        let document: Document = serde_json::from_value(config.extra.get(FIELD)?.clone()).ok()?;
        (document.version == VERSION).then_some(CacheRecords(document.records))
    }

    /// The config of an image that carries the records. `layers` are its layers, lowest first.
    pub fn to_config(&self, platform: &Platform, layers: &[DiffId]) -> ImageConfig {
        let mut config = ImageConfig::empty(platform);
        config.rootfs.diff_ids = layers.to_vec();
        let document = Document { version: VERSION, records: self.0.clone() };
        let value = serde_json::to_value(document).expect("records are plain documents");
        config.extra.insert(FIELD.to_owned(), value);
        config
    }

    /// The layers that the records rest on, each once.
    pub fn layers(&self) -> Vec<DiffId> {
        let mut seen = HashSet::new();
        let all = self.0.iter().flat_map(|record| &record.layers);
        all.filter(|layer| seen.insert(*layer)).cloned().collect()
    }

    /// Those that rest on some layers alone, or on none.
    #[must_use]
    pub fn within(&self, layers: &[DiffId]) -> CacheRecords {
        let known: HashSet<&DiffId> = layers.iter().collect();
        let fits = |record: &&Shared| record.layers.iter().all(|layer| known.contains(layer));
        CacheRecords(self.0.iter().filter(fits).cloned().collect())
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: CacheRecords) -> CacheRecords {
        for other in others.0 {
            if self.0.iter().all(|known| known.key != other.key) {
                self.0.push(other);
            }
        }
        self
    }
}

/// An image whose config carries records, as [`CacheRecords::to_config`] makes it.
#[derive(Debug, Clone)]
pub struct CacheImage {
    /// The image.
    pub image: BaseImage,
    /// Whether its blobs can still be had after the build, so that layers need not be fetched
    /// that nobody looks into.
    pub is_lasting: bool,
}

/// What a build takes over, and what it used.
#[derive(Default)]
pub(crate) struct SharedCache {
    imported: HashMap<CacheKey, Value>,
    used: Mutex<BTreeMap<CacheKey, (Value, Vec<DiffId>)>>,
}

impl SharedCache {
    /// Takes over what images carry; an earlier one counts.
    pub(crate) fn of(images: &[CacheImage]) -> SharedCache {
        let mut imported = HashMap::new();
        for image in images {
            let records = CacheRecords::read(&image.image.config).unwrap_or_default();
            let there: HashSet<&DiffId> = image.image.config.rootfs.diff_ids.iter().collect();
            for record in records.0 {
                let whole = record.layers.iter().all(|layer| there.contains(layer));
                if let (true, Some(key)) = (whole, from_hex(&record.key)) {
                    imported.entry(key).or_insert(record.value);
                }
            }
        }
        SharedCache { imported, used: Mutex::default() }
    }

    /// What another build made, if it says so.
    pub(crate) fn imported(&self, key: CacheKey) -> Option<Value> {
        self.imported.get(&key).cloned()
    }

    /// Notes what a step came to.
    pub(crate) fn note(&self, key: CacheKey, value: &Value, layers: &[DiffId]) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.entry(key).or_insert_with(|| (value.clone(), layers.to_vec()));
    }

    /// All that was noted.
    pub(crate) fn used(&self) -> CacheRecords {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = |(key, (value, layers)): (&CacheKey, &(Value, Vec<DiffId>))| Shared {
            key: format!("{key:?}"),
            value: value.clone(),
            layers: layers.clone(),
        };
        CacheRecords(used.iter().map(shared).collect())
    }
}

fn from_hex(text: &str) -> Option<CacheKey> {
    let mut key = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(CacheKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> DiffId {
        DiffId(oci::Digest::sha256(name.as_bytes()))
    }

    fn records() -> CacheRecords {
        let shared = SharedCache::default();
        shared.note(CacheKey([1; 32]), &Value::from("one"), &[layer("a")]);
        shared.note(CacheKey([2; 32]), &Value::from("two"), &[layer("b")]);
        shared.note(CacheKey([3; 32]), &Value::from("digest"), &[]);
        shared.note(CacheKey([4; 32]), &Value::from("four"), &[layer("a")]);
        shared.used()
    }

    #[test]
    fn records_travel_in_a_config() {
        let records = records();
        assert_eq!(records.layers(), [layer("a"), layer("b")]);
        let config = records.to_config(&Platform::host(), &records.layers());
        assert_eq!(CacheRecords::read(&config), Some(records.clone()));
        assert_eq!(CacheRecords::read(&ImageConfig::empty(&Platform::host())), None);
        assert_eq!(records.within(&[layer("a")]).0.len(), 3);
        assert_eq!(records.within(&[]).clone().and(records).0.len(), 4);
    }

    #[test]
    fn a_record_whose_layer_is_not_there_and_one_without_a_key_are_passed_over() {
        let mut config = records().to_config(&Platform::host(), &[layer("a")]);
        let broken = serde_json::json!({ "key": "zz", "value": 1 });
        config.extra[FIELD]["records"].as_array_mut().unwrap().push(broken);
        let image = BaseImage {
            name: String::new(),
            digest: None,
            config: oci::Raw::write(config),
            layers: vec![None],
            blobs: std::sync::Arc::new(oci::blob::DirBlobs::new("/nonexistent", "/nonexistent")),
        };
        let shared = SharedCache::of(&[CacheImage { image, is_lasting: true }]);
        assert_eq!(shared.imported(CacheKey([1; 32])), Some(Value::from("one")));
        assert_eq!(shared.imported(CacheKey([2; 32])), None);
        assert_eq!(shared.imported.len(), 3);
    }
}
