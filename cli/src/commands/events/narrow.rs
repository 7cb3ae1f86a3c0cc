//! `--filter` of `events`.

use std::collections::BTreeMap;

use layerfs::{Event, Store};

use crate::error::Failure;
use crate::ui::filter::{Filters, matches_label};

const FILTERS: [&str; 8] =
    ["type", "event", "container", "image", "volume", "network", "label", "scope"];

/// Which events are meant.
pub(super) struct Narrowed {
    filters: Filters,
    /// The ids of containers that are named.
    containers: BTreeMap<String, String>,
}

impl Narrowed {
    /// Reads filters. A container that is not there may be one that was, or will be.
    pub(super) fn read(store: &Store, given: &[String]) -> Result<Narrowed, Failure> {
        let filters = Filters::read(given, &FILTERS)?;
        let id = |name: &str| Some((name.to_owned(), store.container(name).ok()?.id));
        let containers = filters.values("container").filter_map(id).collect();
        Ok(Narrowed { filters, containers })
    }

    /// Whether one is meant.
    pub(super) fn takes(&self, event: &Event) -> bool {
        let filters = &self.filters;
        let of = |name: &str| event.attributes.get(name).map(String::as_str);
        let is_of = |kind: &str, wanted: &str| {
            event.kind == kind && (event.actor == wanted || of("name") == Some(wanted))
        };
        // `health_status: healthy` is one of `health_status`, too.
        let action = event.action.split(": ").next().unwrap_or_default();
        filters.any("type", |kind| kind == event.kind)
            && filters.any("event", |wanted| wanted == event.action || wanted == action)
            && filters.any("container", |wanted| self.is_about_container(event, wanted))
            && filters.any("image", |wanted| of("image") == Some(wanted) || is_image(event, wanted))
            && filters.any("volume", |wanted| is_of("volume", wanted))
            && filters.any("network", |wanted| is_of("network", wanted))
            && filters.any("scope", |scope| scope == "local")
            && filters.every("label", |label| matches_label(label, &event.attributes))
    }

    fn is_about_container(&self, event: &Event, wanted: &str) -> bool {
        let of = |name: &str| event.attributes.get(name).map(String::as_str);
        let is_it = |id: &str| {
            id == wanted
                || wanted.len() >= 12 && id.starts_with(wanted)
                || self.containers.get(wanted).is_some_and(|known| known == id)
        };
        match event.kind.as_str() {
            "container" => is_it(&event.actor) || of("name") == Some(wanted),
            // Of what a container is put on.
            _ => of("container").is_some_and(is_it),
        }
    }
}

/// Names are kept whole: `docker.io/library/busybox:latest`.
fn is_image(event: &Event, wanted: &str) -> bool {
    let whole = |name: &str| {
        let name = name.parse::<oci::Reference>().ok()?;
        let tag = name.tag().unwrap_or("latest").to_owned();
        Some((name.familiar_repository(), tag, name.digest().cloned()))
    };
    let name = event.attributes.get("name").and_then(|name| whole(name));
    event.kind == "image" && (event.actor == wanted || name.is_some() && name == whole(wanted))
}
