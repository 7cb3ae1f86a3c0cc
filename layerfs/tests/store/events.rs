//! What happened is noted, and forgotten after a while.

use std::collections::BTreeMap;

use layerfs::{ContainerSpec, ContainerState, Event};
use serde_json::json;

use crate::common::*;

fn actions(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.action.as_str()).collect()
}

#[test]
fn what_is_written_down_is_noted_once() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let spec = ContainerSpec {
        name: Some("web".into()),
        image: None,
        image_name: "app".into(),
        layers: Vec::new(),
        config: json!({ "runtime": { "Labels": { "a": "b" } } }),
    };
    let container = store.create_container(&lease, &spec).unwrap();
    let made = store.latest_event().unwrap();
    let us = ContainerState::running(std::process::id()).unwrap();
    let ContainerState::Running(run) = us else { panic!("it runs") };
    let runs = |paused| {
        let run = layerfs::Run { keeper: Some(run.process), paused, ..run };
        store.set_container_state(&container.id, ContainerState::Running(run)).unwrap();
    };
    // It is only being made, then it runs; the same once more is nothing new.
    store.set_container_state(&container.id, us).unwrap();
    [false, false, true, true, false].into_iter().for_each(runs);
    store.set_container_state(&container.id, us.ended(3)).unwrap();
    store.remove_container(&lease, &container.id).unwrap();
    let events = store.events(0, 100).unwrap();
    let expected = ["create", "start", "pause", "unpause", "die", "destroy"];
    assert_eq!(actions(&events), expected);
    assert!(events.iter().all(|event| event.actor == container.id && event.millis > 0));
    let die = &events[4].attributes;
    let pairs =
        [("a", "b"), ("execDuration", "0"), ("exitCode", "3"), ("image", "app"), ("name", "web")];
    assert_eq!(*die, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(actions(&store.events(made, 2).unwrap()), ["start", "pause"]);
}

/// Its keeper may be slower than the container.
#[test]
fn what_ended_at_once_was_started_too() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let spec = ContainerSpec {
        name: Some("brief".into()),
        image: None,
        image_name: "app".into(),
        layers: Vec::new(),
        config: json!({}),
    };
    let starting = ContainerState::running(std::process::id()).unwrap();
    for (state, expected) in [
        (starting.ended(0), &["create", "start", "die", "destroy"][..]),
        (starting.failed(127), &["create", "destroy"]),
    ] {
        let before = store.latest_event().unwrap();
        let container = store.create_container(&lease, &spec).unwrap();
        store.begin_container(&lease, &container.id, starting).unwrap();
        store.set_container_state(&container.id, state).unwrap();
        store.remove_container(&lease, &container.id).unwrap();
        assert_eq!(actions(&store.events(before, 100).unwrap()), expected);
    }
}

#[test]
fn only_so_many_events_are_kept() {
    let (_dir, store) = new_store();
    let attributes = BTreeMap::from([("name".to_owned(), "lan".to_owned())]);
    for _ in 0..10_800 {
        store.note_event("network", "connect", "id", &attributes).unwrap();
    }
    let kept = store.events(0, 20_000).unwrap();
    assert!((10_240..10_240 + 256).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap().number, store.latest_event().unwrap());
    assert_eq!(kept[0].attributes, attributes);
}
