//! The build cache.

use layerfs::PruneOptions;
use serde_json::json;

use crate::common::*;

#[test]
fn a_record_is_found_as_long_as_its_layers_are_there() {
    let (_dir, store) = new_store();
    let key = [7; 32];
    assert_eq!(store.record(&key).unwrap(), None);
    let layer = {
        let lease = store.lease().unwrap();
        let layer = build(&store, &lease, &[], &[("a", "1")]).layer;
        let layers = std::slice::from_ref(&layer.diff_id);
        store.put_record(&key, &json!({"user": "me"}), layers).unwrap();
        layer
    };
    store.collect().unwrap();
    let record = store.record(&key).unwrap().unwrap();
    assert_eq!(record.value, json!({"user": "me"}));
    assert_eq!(record.layers, std::slice::from_ref(&layer.diff_id));
    assert!(store.layer(&layer.diff_id).unwrap().is_some(), "the record keeps its layer");

    store.put_record(&key, &json!(2), &[]).unwrap();
    assert_eq!(store.record(&key).unwrap().unwrap().value, json!(2));
    store.collect().unwrap();
    assert!(store.layer(&layer.diff_id).unwrap().is_none(), "nobody keeps it any more");
}

#[test]
fn records_go_by_age_and_take_their_layers_along() {
    let (_dir, store) = new_store();
    let layer = {
        let lease = store.lease().unwrap();
        build(&store, &lease, &[], &[("a", "1")]).layer
    };
    store.put_record(&[1; 32], &json!(1), std::slice::from_ref(&layer.diff_id)).unwrap();
    let before = |time| PruneOptions { records_before: Some(time), ..PruneOptions::default() };
    assert_eq!(store.prune(&before(1)).unwrap().records, 0);
    assert!(store.record(&[1; 32]).unwrap().is_some());
    let report = store.prune(&before(i64::MAX)).unwrap();
    assert_eq!((report.records, report.layers), (1, 1));
    assert_eq!(report.bytes, layer.size);
    assert!(store.record(&[1; 32]).unwrap().is_none());
}
