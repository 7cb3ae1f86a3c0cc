//! `x-bake`: what compose files have no words for.

use serde_json::Value;

use super::{context, text, truth};
use crate::target::{Cache, Export, Secret, Ssh, Target, by_key, distinct};
use crate::{Error, Result};

/// Adds what the extension says.
pub(super) fn apply(target: &mut Target, extension: &Value) -> Result<()> {
    let Some(extension) = extension.as_object() else {
        return Err(Error::new("a map is required here"));
    };
    for (key, value) in extension {
        match key.as_str() {
            "tags" => add(&mut target.tags, words(value)?),
            "platforms" => add(&mut target.platforms, words(value)?),
            "no-cache-filter" => add(&mut target.no_cache_filter, words(value)?),
            "cache-from" => join(&mut target.cache_from, value, Cache::parse_all, distinct)?,
            "cache-to" => join(&mut target.cache_to, value, Cache::parse_all, distinct)?,
            "output" => join(&mut target.outputs, value, Export::parse_one, distinct)?,
            "secret" => join(&mut target.secrets, value, Secret::parse_one, |all| {
                by_key(all, |secret: &Secret| secret.id.clone())
            })?,
            "ssh" => join(&mut target.ssh, value, Ssh::parse_one, |all| {
                by_key(all, |ssh: &Ssh| ssh.id.clone())
            })?,
            "pull" => target.pull = Some(truth(value)?),
            "no-cache" => target.no_cache = Some(truth(value)?),
            "contexts" => {
                let contexts = value.as_object();
                for (name, place) in contexts.ok_or_else(|| Error::new("contexts are a map"))? {
                    let place = context(&text(place)?);
                    target.contexts.entry(name.clone()).or_insert(place);
                }
            }
            other => {
                return Err(Error::new(format!(
                    "there is no key `{}`",
                    crate::error::shown(other)
                )));
            }
        }
    }
    Ok(())
}

/// A list, or words in one text.
fn words(value: &Value) -> Result<Vec<String>> {
    match value {
        Value::Array(list) => list.iter().map(text).collect(),
        one => Ok(text(one)?.split_whitespace().map(str::to_owned).collect()),
    }
}

fn add(list: &mut Option<Vec<String>>, more: Vec<String>) {
    let list = list.get_or_insert_default();
    for text in more {
        if !list.contains(&text) {
            list.push(text);
        }
    }
}

fn join<T>(
    list: &mut Option<Vec<T>>,
    value: &Value,
    parse: impl Fn(&str) -> Result<Vec<T>>,
    once: impl Fn(Vec<T>) -> Vec<T>,
) -> Result<()> {
    let mut all = list.take().unwrap_or_default();
    for text in words(value)?.iter().filter(|text| !text.is_empty()) {
        all.extend(parse(text)?);
    }
    *list = Some(once(all));
    Ok(())
}
