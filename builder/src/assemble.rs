//! The image's config, once its layers are known.

use jiff::Timestamp;
use oci::{ImageConfig, Platform, Raw};

use crate::environment::Environment;
use crate::lower::Lowered;
use crate::request::{BuildRequest, ImageChanges};
use crate::solve::Outcome;

/// The config of the image that `lowered` describes and whose tree is `outcome`.
///
/// Times are those at which the layers were made, also when that was by an earlier build: a build
/// that finds all of its layers makes the same image again, to the byte.
pub(crate) fn assemble(
    request: &BuildRequest,
    lowered: Lowered,
    outcome: &Outcome,
) -> Raw<ImageConfig> {
    let Lowered { mut draft, inherited_history, epoch, .. } = lowered;
    for (name, value) in &request.labels {
        draft.config.config.labels.insert(name.clone(), value.clone());
    }
    change(&mut draft.config, &request.changes);
    draft.sort_sets();
    let mut config = draft.config;
    config.rootfs.diff_ids = outcome.layers.to_vec();
    date_layers(&mut config, inherited_history, &outcome.created);
    date_others(&mut config);
    let last = config.history.iter().rev().find_map(|entry| entry.created.clone());
    config.created = match epoch.and_then(|epoch| Timestamp::from_second(epoch).ok()) {
        Some(epoch) => Some(epoch.to_string()),
        None => last,
    };
    set_platform(&mut config, request.platform.as_ref());
    if request.changes.drops_history {
        config.history.clear();
    }
    Raw::write(config)
}

/// Takes from an image what it is not to have.
fn change(config: &mut ImageConfig, changes: &ImageChanges) {
    changes.unset_labels.iter().for_each(|name| drop(config.config.labels.shift_remove(name)));
    if !changes.unset_env.is_empty() {
        let mut env = Environment::from_config(&config.config.env);
        changes.unset_env.iter().for_each(|name| env.unset(name));
        config.config.env = env.to_config();
    }
}

/// Dates the entries of layers made here; `created` is in their order.
fn date_layers(config: &mut ImageConfig, inherited: usize, created: &[String]) {
    let own = config.history.iter_mut().skip(inherited).filter(|entry| !entry.empty_layer);
    for (entry, created) in own.zip(created) {
        entry.created.get_or_insert_with(|| created.clone());
    }
}

/// Dates the entries that made no layer as BuildKit does: as the layer before them, or where none
/// of the first entries has a date, as the first layer with one.
fn date_others(config: &mut ImageConfig) {
    let undated = config.history.iter().position(|entry| entry.created.is_none());
    let Some(undated) = undated else { return };
    let dates = |range: &[oci::History]| range.iter().find_map(|entry| entry.created.clone());
    let mut date = dates(&config.history[undated..])
        .or_else(|| config.history.iter().rev().find_map(|entry| entry.created.clone()));
    for entry in &mut config.history[undated..] {
        match &entry.created {
            Some(own) => date = Some(own.clone()),
            None => entry.created.clone_from(&date),
        }
    }
}

fn set_platform(config: &mut ImageConfig, asked: Option<&Platform>) {
    if let Some(platform) = asked {
        let same = platform.os == config.os && platform.architecture == config.architecture;
        config.os.clone_from(&platform.os);
        config.architecture.clone_from(&platform.architecture);
        if platform.variant.is_some() || !same {
            config.variant.clone_from(&platform.variant);
        }
        if platform.os_version.is_some() || !same {
            config.os_version.clone_from(&platform.os_version);
        }
    }
}

#[cfg(test)]
mod tests {
    use oci::{History, ImageConfig};

    use super::*;

    fn entry(created: Option<&str>, empty_layer: bool) -> History {
        let created = created.map(str::to_owned);
        History { created, empty_layer, ..History::default() }
    }

    #[test]
    fn entries_without_a_layer_are_dated_by_their_neighbours() {
        let platform = "linux/amd64".parse().unwrap();
        let mut config = ImageConfig::empty(&platform);
        config.history = vec![
            entry(Some("base"), false),
            entry(None, true),
            entry(None, false),
            entry(None, true),
            entry(None, false),
        ];
        date_layers(&mut config, 1, &["one".to_owned(), "two".to_owned()]);
        date_others(&mut config);
        let dates: Vec<_> = config.history.iter().filter_map(|e| e.created.as_deref()).collect();
        assert_eq!(dates, ["base", "one", "one", "one", "two"]);
    }

    #[test]
    fn metadata_alone_is_dated_as_the_base() {
        let mut config = ImageConfig::empty(&"linux/amd64".parse().unwrap());
        config.history = vec![entry(Some("base"), false), entry(None, true)];
        date_layers(&mut config, 1, &[]);
        date_others(&mut config);
        assert_eq!(config.history[1].created.as_deref(), Some("base"));
    }
}
