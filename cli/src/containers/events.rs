//! What is asked of containers and images, and happens to them without a change of their records.

use std::collections::BTreeMap;

use layerfs::{Container, Store};

use super::ContainerConfig;

/// Notes it, with what is noted of every event of a container.
pub(crate) fn note(store: &Store, container: &Container, action: &str, more: &[(&str, String)]) {
    let config = ContainerConfig::of(container).ok();
    let labels = config.into_iter().flat_map(|config| config.runtime.labels);
    let mut attributes: BTreeMap<String, String> = labels.collect();
    attributes.insert("image".into(), container.image_name.clone());
    attributes.insert("name".into(), container.name.clone());
    attributes.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    // What was asked for is done all the same.
    if let Err(error) = store.note_event("container", action, &container.id, &attributes) {
        tracing::warn!(%error, action, "an event is not noted");
    }
}

/// Notes it of an image, by the name or id that was meant.
pub(crate) fn note_image(store: &Store, action: &str, id: &str, name: &str) {
    let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
    if let Err(error) = store.note_event("image", action, id, &attributes) {
        tracing::warn!(%error, action, "an event is not noted");
    }
}
