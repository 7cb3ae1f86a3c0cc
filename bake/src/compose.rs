//! Compose files: their services with a `build` are targets.

mod extension;
mod interpolate;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::definitions::{File, check_name};
use crate::error::shown;
use crate::functions::clean;
use crate::plan::Group;
use crate::surroundings::Surroundings;
use crate::target::{Attest, Cache, Secret, Ssh, Target};
use crate::{Error, Result};

/// Whether a text reads as a compose file.
pub(crate) fn is_compose(text: &str) -> bool {
    yaml(text).is_ok_and(|file| file.contains_key("services"))
}

fn yaml(text: &str) -> Result<Map<String, Value>> {
    let value: Value =
        serde_saphyr::from_str(text).map_err(|error| Error::new(error.to_string()))?;
    match value {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Map::new()),
        _ => Err(Error::new("a compose file is a map")),
    }
}

/// Reads files, later ones over earlier ones: the group of all, and its targets.
pub(crate) fn read(
    files: &[&File],
    surroundings: &dyn Surroundings,
) -> Result<(Option<Group>, Vec<Target>)> {
    let mut all = Value::Object(Map::new());
    for file in files {
        let read = yaml(&file.text).map_err(|error| error.within(&file.name))?;
        let known = ["services", "secrets"];
        let kept = read.into_iter().filter(|(key, _)| known.contains(&key.as_str()));
        let kept = Value::Object(kept.collect());
        let kept = interpolate::value(&kept, surroundings).map_err(|e| e.within(&file.name))?;
        overlay(&mut all, kept);
    }
    let services = all.get("services").and_then(Value::as_object).cloned().unwrap_or_default();
    if services.is_empty() {
        return Ok((None, Vec::new()));
    }
    let secrets = all.get("secrets").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut targets = Vec::new();
    for (name, service) in &services {
        if let Some(target) = target(name, service, &secrets, surroundings)
            .map_err(|error| error.within(&format!("service {}", shown(name))))?
        {
            targets.push(target);
        }
    }
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    let group = Group {
        name: "default".to_owned(),
        description: String::new(),
        targets: targets.iter().map(|target| target.name.clone()).collect(),
    };
    Ok((Some(group), targets))
}

/// Puts one tree over another: maps into each other, lists behind each other.
fn overlay(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                match below.get_mut(&key) {
                    Some(known) => overlay(known, value),
                    None => drop(below.insert(key, value)),
                }
            }
        }
        (Value::Array(below), Value::Array(above)) => below.extend(above),
        (_, Value::Null) => {}
        (below, above) => *below = above,
    }
}

fn target(
    name: &str,
    service: &Value,
    secrets: &Map<String, Value>,
    surroundings: &dyn Surroundings,
) -> Result<Option<Target>> {
    if service.get("extends").is_some() {
        return Err(Error::new("`extends` is not there"));
    }
    let Some(build) = service.get("build").filter(|build| !build.is_null()) else {
        return match service.get("image") {
            Some(_) => Ok(None),
            None => Err(Error::new("it has neither an image nor a build")),
        };
    };
    let name = name.replace('.', "_");
    check_name(&name)?;
    let mut target = Target::named(&name);
    let build = match build {
        Value::String(context) => Map::from_iter([("context".to_owned(), context.clone().into())]),
        Value::Object(build) => build.clone(),
        _ => return Err(Error::new("`build` is a text or a map")),
    };
    let environment = pairs(service.get("environment"), '=')?;
    for (key, value) in build.iter().filter(|(_, value)| !value.is_null()) {
        let place = |error: Error| error.within(&format!("build.{}", shown(key)));
        let taken = take(&mut target, key, value, secrets, &environment, surroundings);
        taken.map_err(place)?;
    }
    if target.tags.as_ref().is_none_or(Vec::is_empty)
        && let Some(image) = service.get("image").and_then(Value::as_str)
    {
        target.tags = Some(vec![image.to_owned()]);
    }
    if let Some(extension) = build.get("x-bake") {
        extension::apply(&mut target, extension).map_err(|error| error.within("build.x-bake"))?;
    }
    Ok(Some(target))
}

fn take(
    target: &mut Target,
    key: &str,
    value: &Value,
    secrets: &Map<String, Value>,
    environment: &BTreeMap<String, Option<String>>,
    surroundings: &dyn Surroundings,
) -> Result<()> {
    let some = || text(value).map(|text| Some(text).filter(|text| !text.is_empty()));
    match key {
        "context" => target.context = some()?.map(|path| path_or_url(&path)),
        "dockerfile" => target.dockerfile = some()?,
        "dockerfile_inline" => target.dockerfile_inline = some()?,
        "target" => target.target = some()?,
        "network" => target.network = some()?,
        "tags" => target.tags = Some(texts(value)?),
        "platforms" => target.platforms = Some(texts(value)?),
        "no_cache" => target.no_cache = truth(value)?.then_some(true),
        "pull" => target.pull = truth(value)?.then_some(true),
        "args" => {
            let look_up = |name: &String| match environment.get(name) {
                Some(Some(value)) => Some(value.clone()),
                _ => surroundings.composed_variable(name),
            };
            let args = pairs(Some(value), '=')?.into_iter().filter_map(|(name, value)| {
                let value = value.or_else(|| look_up(&name))?;
                Some((name, Some(value)))
            });
            target.args = args.collect();
        }
        "labels" => {
            let labels = pairs(Some(value), '=')?.into_iter();
            target.labels =
                labels.map(|(name, value)| (name, Some(value.unwrap_or_default()))).collect();
        }
        "extra_hosts" => target.extra_hosts = hosts(value)?,
        "additional_contexts" => {
            for (name, place) in pairs(Some(value), '=')? {
                target.contexts.insert(name, context(&place.unwrap_or_default()));
            }
        }
        "cache_from" => target.cache_from = Some(caches(value)?),
        "cache_to" => target.cache_to = Some(caches(value)?),
        "secrets" => target.secrets = Some(secrets_of(value, secrets)?),
        "ssh" => target.ssh = Some(agents(value)?),
        "shm_size" => target.shm_size = Some(size(value)?),
        "ulimits" => target.ulimits = Some(limits(value)?),
        "provenance" | "sbom" => {
            let wanted = text(value)?;
            let attest = match wanted.as_str() {
                "true" => Attest::parse(&format!("type={key},disabled=false"))?,
                "false" => Attest::parse(&format!("type={key},disabled=true"))?,
                _ => Attest::parse(&format!("type={key},{wanted}"))?,
            };
            target.attest.get_or_insert_default().push(attest);
        }
        "entitlements" => target.entitlements = texts(value)?,
        // What is for others.
        "isolation" | "privileged" => {}
        key if key.starts_with("x-") => {}
        _ => return Err(Error::new("there is no such key")),
    }
    Ok(())
}

fn text(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        _ => Err(Error::new("a text is required here")),
    }
}

fn truth(value: &Value) -> Result<bool> {
    match text(value)?.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::new("true or false is required here")),
    }
}

fn texts(value: &Value) -> Result<Vec<String>> {
    match value {
        Value::Array(list) => list.iter().map(text).collect(),
        _ => Err(Error::new("a list is required here")),
    }
}

/// A map, or a list of `name=value`; a name alone has no value.
fn pairs(value: Option<&Value>, between: char) -> Result<BTreeMap<String, Option<String>>> {
    match value {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(object)) => object
            .iter()
            .map(|(key, value)| {
                let value = if value.is_null() { None } else { Some(text(value)?) };
                Ok((key.clone(), value))
            })
            .collect(),
        Some(list) => texts(list)?
            .into_iter()
            .map(|entry| {
                Ok(match entry.split_once(between) {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (entry, None),
                })
            })
            .collect(),
    }
}

/// `name:address`, `name=address`, or a map.
fn hosts(value: &Value) -> Result<BTreeMap<String, Option<String>>> {
    if let Value::Object(object) = value {
        let one = |(name, value): (&String, &Value)| {
            let addresses = match value {
                Value::Array(_) => texts(value)?.join(","),
                value => text(value)?,
            };
            Ok((name.clone(), Some(addresses)))
        };
        return object.iter().map(one).collect();
    }
    let mut hosts: BTreeMap<String, Option<String>> = BTreeMap::new();
    for entry in texts(value)? {
        let found = entry.split_once('=').or_else(|| entry.split_once(':'));
        let (name, address) =
            found.ok_or_else(|| Error::new(format!("`{}` is no host", shown(&entry))))?;
        match hosts.get_mut(name) {
            Some(Some(known)) => known.push_str(&format!(",{address}")),
            _ => drop(hosts.insert(name.to_owned(), Some(address.to_owned()))),
        }
    }
    Ok(hosts)
}

fn path_or_url(place: &str) -> String {
    let is_url = place.contains("://") || place.starts_with("git@");
    if is_url { place.to_owned() } else { clean(place) }
}

/// A named context; a service is a target.
pub(super) fn context(place: &str) -> String {
    for prefix in ["service:", "target:"] {
        if let Some(name) = place.strip_prefix(prefix) {
            return format!("target:{}", name.replace('.', "_"));
        }
    }
    path_or_url(place)
}

fn caches(value: &Value) -> Result<Vec<Cache>> {
    let mut all = Vec::new();
    for entry in texts(value)?.iter().filter(|entry| !entry.is_empty()) {
        all.extend(Cache::parse_all(entry)?);
    }
    Ok(all)
}

fn secrets_of(value: &Value, known: &Map<String, Value>) -> Result<Vec<Secret>> {
    let list = value.as_array().ok_or_else(|| Error::new("a list is required here"))?;
    let one = |entry: &Value| {
        let id = match entry {
            Value::Object(entry) => entry.get("source").map(text).transpose()?.unwrap_or_default(),
            entry => text(entry)?,
        };
        let of = known.get(&id).ok_or_else(|| {
            Error::new(format!("there is no secret `{}` in the file", shown(&id)))
        })?;
        if of.get("external").is_some_and(|external| *external == Value::Bool(true)) {
            return Err(Error::new(format!("unsupported external secret {}", shown(&id))));
        }
        let part = |key: &str| of.get(key).map(text).transpose().map(Option::unwrap_or_default);
        let file = match part("file")? {
            file if file.is_empty() => file,
            file => clean(&file),
        };
        Ok(Secret { id, file, variable: part("environment")? })
    };
    list.iter().map(one).collect()
}

fn agents(value: &Value) -> Result<Vec<Ssh>> {
    let mut all: Vec<Ssh> = match value {
        Value::String(id) => vec![Ssh { id: id.clone(), paths: Vec::new() }],
        value => pairs(Some(value), '=')?
            .into_iter()
            .map(|(id, path)| Ssh { id, paths: path.into_iter().collect() })
            .collect(),
    };
    all.sort_by(|one, other| (&one.id, &one.paths).cmp(&(&other.id, &other.paths)));
    Ok(all)
}

/// A size as docker prints it.
fn size(value: &Value) -> Result<String> {
    let written = text(value)?.to_lowercase();
    let wrong = || Error::new(format!("`{}` is no size", shown(&written)));
    let digits = written.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(written.len());
    let number: f64 = written[..digits].parse().map_err(|_| wrong())?;
    let factor = match written[digits..].trim().trim_end_matches("ib").trim_end_matches('b') {
        "" => 1.0,
        "k" => 1024.0,
        "m" => 1024.0 * 1024.0,
        "g" => 1024.0 * 1024.0 * 1024.0,
        "t" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let mut shown = number * factor;
    let mut unit = 0;
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    while shown >= 1024.0 && unit + 1 < UNITS.len() {
        shown /= 1024.0;
        unit += 1;
    }
    Ok(format!("{}{}", (shown * 1000.0).round() / 1000.0, UNITS[unit]))
}

fn limits(value: &Value) -> Result<Vec<String>> {
    let object = value.as_object().ok_or_else(|| Error::new("a map is required here"))?;
    let one = |(name, value): (&String, &Value)| match value {
        Value::Object(both) => {
            let part = |key: &str| both.get(key).map(text).transpose();
            let soft = part("soft")?.unwrap_or_default();
            let hard = part("hard")?.unwrap_or_else(|| soft.clone());
            Ok(format!("{name}={soft}:{hard}"))
        }
        both => {
            let both = text(both)?;
            Ok(format!("{name}={both}:{both}"))
        }
    };
    object.iter().map(one).collect()
}
