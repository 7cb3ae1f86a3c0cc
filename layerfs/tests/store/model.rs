//! Any sequence of operations leaves exactly what something refers to.

use std::collections::{BTreeMap, BTreeSet};

use layerfs::{PruneImages, PruneOptions, Store};
use oci::ImageSink;
use oci::blob::MemoryBlobs;
use proptest::prelude::*;
use serde_json::json;

use crate::common::*;

const LAYERS: usize = 5;
const IMAGES: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    /// An image of these layers gets a name.
    Pull {
        image: usize,
        layers: BTreeSet<usize>,
        name: usize,
    },
    Untag(usize),
    Record {
        key: u8,
        layers: BTreeSet<usize>,
    },
    PruneRecords,
    PruneNameless,
    PruneUnused,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let layers = || proptest::collection::btree_set(0..LAYERS, 0..4);
    prop_oneof![
        4 => (0..IMAGES, layers(), 0..3_usize)
            .prop_map(|(image, layers, name)| Step::Pull { image, layers, name }),
        2 => (0..3_usize).prop_map(Step::Untag),
        2 => (0..3_u8, layers()).prop_map(|(key, layers)| Step::Record { key, layers }),
        1 => Just(Step::PruneRecords),
        1 => Just(Step::PruneNameless),
        1 => Just(Step::PruneUnused),
        1 => Just(Step::Reopen),
    ]
}

/// What should be in the store: layers of images by label, names, layers of records.
#[derive(Default)]
struct Model {
    images: BTreeMap<String, BTreeSet<usize>>,
    names: BTreeMap<usize, String>,
    records: BTreeMap<u8, BTreeSet<usize>>,
}

impl Model {
    fn live(&self) -> BTreeSet<usize> {
        self.images.values().chain(self.records.values()).flatten().copied().collect()
    }
}

fn apply(model: &mut Model, store: &mut Store, step: &Step, packed: &[Packed], all: &MemoryBlobs) {
    match step {
        Step::Pull { image: number, layers, name: tag } => {
            let label = format!("{number} {layers:?}");
            let layers_of: Vec<Packed> = layers.iter().map(|n| packed[*n].clone()).collect();
            let image = image(&layers_of, &label);
            store.put(&name(&format!("app:{tag}")), &image, all).unwrap();
            model.images.insert(label.clone(), layers.clone());
            model.names.insert(*tag, label);
        }
        Step::Untag(tag) => {
            let there = store.untag(&name(&format!("app:{tag}"))).is_ok();
            assert_eq!(there, model.names.remove(tag).is_some());
        }
        Step::Record { key, layers } => {
            let lease = store.lease().unwrap();
            let ids: Vec<_> = layers.iter().map(|n| packed[*n].diff_id.clone()).collect();
            for n in layers {
                let Packed { blob, diff_id } = &packed[*n];
                store.unpack(&lease, blob, diff_id, all, &quiet).unwrap();
            }
            store.put_record(&[*key; 32], &json!(key), &ids).unwrap();
            model.records.insert(*key, layers.clone());
        }
        Step::PruneRecords => {
            let options =
                PruneOptions { records_before: Some(i64::MAX), ..PruneOptions::default() };
            assert_eq!(store.prune(&options).unwrap().records, model.records.len());
            model.records.clear();
        }
        Step::PruneNameless => {
            let options = PruneOptions { images: PruneImages::Nameless, ..PruneOptions::default() };
            store.prune(&options).unwrap();
            model.images.retain(|label, _| model.names.values().any(|named| named == label));
        }
        Step::PruneUnused => {
            let options = PruneOptions { images: PruneImages::Unused, ..PruneOptions::default() };
            assert_eq!(store.prune(&options).unwrap().images.len(), model.images.len());
            model.images.clear();
            model.names.clear();
        }
        Step::Reopen => *store = open(store.root()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_referred_to_stays_and_the_rest_goes(
        steps in proptest::collection::vec(step(), 1..12),
    ) {
        let (_dir, mut store) = new_store();
        let all = MemoryBlobs::default();
        let packed: Vec<Packed> =
            (0..LAYERS).map(|n| pack(&all, &tar(&[(&format!("file-{n}"), "x")]))).collect();
        let mut model = Model::default();
        for step in &steps {
            apply(&mut model, &mut store, step, &packed, &all);
            store.collect().unwrap();
            let live = model.live();
            for (n, layer) in packed.iter().enumerate() {
                let there = store.layer(&layer.diff_id).unwrap().is_some();
                prop_assert_eq!(there, live.contains(&n), "layer {} after {:?}", n, step);
                let blob = store.blob_path(&layer.blob.digest).unwrap();
                prop_assert_eq!(blob.is_some_and(|path| path.exists()), live.contains(&n));
            }
            prop_assert_eq!(names_in(store.root().join("layers")).len(), live.len());
            prop_assert_eq!(names_in(store.root().join("blobs/sha256")).len(), live.len());
            prop_assert_eq!(store.images().unwrap().len(), model.images.len());
        }
    }
}
