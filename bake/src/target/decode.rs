//! Targets out of the attributes of blocks.

use std::collections::BTreeMap;

use super::{Attest, Cache, Export, Secret, Ssh, Target};
use crate::syntax::{Body, Expression};
use crate::value::Value;
use crate::{Error, Result};

impl Target {
    /// The target that a block describes.
    pub(crate) fn decode(
        name: &str,
        body: &Body,
        evaluate: &dyn Fn(&Expression) -> Result<Value>,
    ) -> Result<Target> {
        let mut target = Target::named(name);
        if let Some(block) = body.blocks.first() {
            let message = format!("a target has no block `{}`", crate::error::shown(&block.kind));
            return Err(Error::new(message).at(&block.file, block.line));
        }
        for attribute in &body.attributes {
            let expression = &attribute.value;
            let place =
                |error: Error| error.within(&attribute.name).at(&expression.file, expression.line);
            if matches!(attribute.name.as_str(), "matrix" | "name") {
                continue;
            }
            let value = evaluate(expression).map_err(place)?;
            if value != Value::Null {
                target.take(&attribute.name, &value).map_err(place)?;
            }
        }
        Ok(target)
    }

    fn take(&mut self, name: &str, value: &Value) -> Result<()> {
        let text = || value.to_text().map(Some);
        match name {
            "description" => self.description = value.to_text()?,
            "inherits" => self.inherits = value.to_texts()?,
            "annotations" => self.annotations = value.to_texts()?,
            "attest" => self.attest = Some(entries(value, Attest::parse_one, Attest::of)?),
            "context" => self.context = text()?,
            "contexts" => {
                let pairs = value.as_object()?.iter();
                let pairs = pairs.map(|(key, value)| Ok((key.clone(), value.to_text()?)));
                self.contexts = pairs.collect::<Result<_>>()?;
            }
            "dockerfile" => self.dockerfile = text()?,
            "dockerfile-inline" => self.dockerfile_inline = text()?,
            "args" => self.args = map(value)?,
            "labels" => self.labels = map(value)?,
            "tags" => self.tags = Some(value.to_texts()?),
            "cache-from" => self.cache_from = Some(entries(value, Cache::parse_all, Cache::of)?),
            "cache-to" => self.cache_to = Some(entries(value, Cache::parse_all, Cache::of)?),
            "target" => self.target = text()?,
            "secret" => self.secrets = Some(entries(value, Secret::parse_one, Secret::of)?),
            "ssh" => self.ssh = Some(entries(value, Ssh::parse_one, Ssh::of)?),
            "platforms" => self.platforms = Some(value.to_texts()?),
            "output" => self.outputs = Some(entries(value, Export::parse_one, Export::of)?),
            "pull" => self.pull = Some(value.to_bool()?),
            "no-cache" => self.no_cache = Some(value.to_bool()?),
            "network" => self.network = text()?,
            "no-cache-filter" => self.no_cache_filter = Some(value.to_texts()?),
            "shm-size" => self.shm_size = text()?,
            "ulimits" => self.ulimits = Some(value.to_texts()?),
            "call" => self.call = text()?,
            "entitlements" => self.entitlements = value.to_texts()?,
            "extra-hosts" => self.extra_hosts = map(value)?,
            _ => return Err(Error::new("a target has no such attribute")),
        }
        Ok(())
    }
}

/// A map of texts; null stands for what is not given.
fn map(value: &Value) -> Result<BTreeMap<String, Option<String>>> {
    let pair = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::Null => None,
            value => Some(value.to_text()?),
        };
        Ok((key.clone(), value))
    };
    value.as_object()?.iter().map(pair).collect()
}

/// A list of texts and objects.
fn entries<T>(
    value: &Value,
    parse: impl Fn(&str) -> Result<Vec<T>>,
    of: impl Fn(&BTreeMap<String, Value>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for entry in value.as_list()? {
        match entry {
            Value::Text(text) if text.is_empty() => {}
            Value::Text(text) => all.extend(parse(text)?),
            Value::Object(object) => all.push(of(object)?),
            other => {
                return Err(Error::new(format!("a {} is no entry of such a list", other.kind())));
            }
        }
    }
    Ok(all)
}
