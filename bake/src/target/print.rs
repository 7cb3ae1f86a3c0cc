//! A target as `bake --print` shows it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Attest, Cache, Export, Secret, Ssh, Target};

/// A text as a file would have to hold it.
fn escaped(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

fn map(pairs: &BTreeMap<String, Option<String>>) -> Value {
    let value = |value: &Option<String>| value.as_deref().map(escaped);
    pairs.iter().map(|(key, text)| (key.clone(), json!(value(text)))).collect::<Map<_, _>>().into()
}

impl Target {
    /// As JSON, what is not said left out.
    pub(crate) fn to_json(&self) -> Value {
        let mut all = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            let is_empty = |value: &Value| match value {
                Value::Array(list) => list.is_empty(),
                Value::Object(object) => object.is_empty(),
                _ => false,
            };
            if let Some(value) = value.filter(|value| !is_empty(value)) {
                all.insert(key.to_owned(), value);
            }
        };
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let list = |list: &Option<Vec<String>>| list.clone().map(Value::from);
        let description = Some(self.description.clone()).filter(|text| !text.is_empty());
        put("description", text(&description));
        put("annotations", Some(self.annotations.iter().map(|text| escaped(text)).collect()));
        put("attest", entries(&self.attest, attest));
        put("context", text(&self.context));
        put("contexts", Some(json!(self.contexts)));
        put("dockerfile", text(&self.dockerfile));
        put("dockerfile-inline", self.dockerfile_inline.as_deref().map(escaped).map(Value::from));
        put("args", Some(map(&self.args)));
        put("labels", Some(map(&self.labels)));
        put("tags", list(&self.tags));
        put("cache-from", entries(&self.cache_from, cache));
        put("cache-to", entries(&self.cache_to, cache));
        put("target", text(&self.target));
        put("secret", entries(&self.secrets, secret));
        put("ssh", entries(&self.ssh, ssh));
        put("platforms", list(&self.platforms));
        put("output", entries(&self.outputs, export));
        put("pull", self.pull.map(Value::from));
        put("no-cache", self.no_cache.map(Value::from));
        put("network", text(&self.network));
        put("no-cache-filter", list(&self.no_cache_filter));
        put("shm-size", text(&self.shm_size));
        put("ulimits", list(&self.ulimits));
        put("call", text(&self.call));
        put("entitlements", Some(json!(self.entitlements)));
        put("extra-hosts", Some(map(&self.extra_hosts)));
        Value::Object(all)
    }
}

fn entries<T>(list: &Option<Vec<T>>, show: impl Fn(&T) -> Value) -> Option<Value> {
    list.as_ref().map(|list| list.iter().map(show).collect())
}

/// Attributes with some more, sorted.
fn sorted<'a>(
    attributes: &BTreeMap<String, String>,
    more: impl IntoIterator<Item = (&'a str, Value)>,
) -> Value {
    let mut all: BTreeMap<String, Value> =
        attributes.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect();
    all.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
    all.into_iter().collect::<Map<_, _>>().into()
}

fn attest(attest: &Attest) -> Value {
    let disabled = attest.disabled.then(|| ("disabled", true.into()));
    let kind = ("type", Value::from(attest.kind.clone()));
    sorted(&attest.attributes, [kind].into_iter().chain(disabled))
}

fn cache(cache: &Cache) -> Value {
    sorted(&cache.attributes, [("type", Value::from(cache.kind.clone()))])
}

fn export(export: &Export) -> Value {
    let destination = Some(&export.destination).filter(|text| !text.is_empty());
    let destination = destination.map(|text| ("dest", Value::from(text.clone())));
    let kind = ("type", Value::from(export.kind.clone()));
    sorted(&export.attributes, [kind].into_iter().chain(destination))
}

fn secret(secret: &Secret) -> Value {
    let parts = [("id", &secret.id), ("src", &secret.file), ("env", &secret.variable)];
    let given = parts.into_iter().filter(|(_, text)| !text.is_empty());
    given
        .map(|(key, text)| (key.to_owned(), Value::from(text.clone())))
        .collect::<Map<_, _>>()
        .into()
}

fn ssh(ssh: &Ssh) -> Value {
    let mut all = Map::new();
    if !ssh.id.is_empty() {
        all.insert("id".to_owned(), ssh.id.clone().into());
    }
    if !ssh.paths.is_empty() {
        all.insert("paths".to_owned(), json!(ssh.paths));
    }
    all.into()
}
