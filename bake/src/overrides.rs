//! `--set pattern.key=value`: what the command line says of targets.

use std::collections::BTreeMap;

use crate::error::shown;
use crate::surroundings::Surroundings;
use crate::target::{self, Attest, Cache, Export, Secret, Ssh, Target};
use crate::{Error, Result};

/// What is said about one key of one target.
#[derive(Debug, Clone, Default)]
struct Override {
    value: String,
    values: Vec<String>,
    appends: bool,
}

/// All that is said, by target and key.
#[derive(Debug, Default)]
pub(crate) struct Overrides(BTreeMap<String, BTreeMap<String, Override>>);

/// Keys that hold lists, of which each value is one.
const LISTS: [&str; 13] = [
    "output",
    "cache-to",
    "cache-from",
    "tags",
    "platform",
    "secrets",
    "ssh",
    "attest",
    "entitlements",
    "network",
    "annotations",
    "no-cache-filter",
    "ulimits",
];

impl Overrides {
    /// Reads them.
    pub(crate) fn read(
        texts: &[String],
        targets: &[Target],
        surroundings: &dyn Surroundings,
    ) -> Result<Overrides> {
        let mut overrides = Overrides::default();
        for text in texts {
            let (key, value) = match text.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (text.as_str(), None),
            };
            let (key, appends) = match key.strip_suffix('+') {
                Some(key) => (key, true),
                None => (key, false),
            };
            let parts: Vec<&str> = key.splitn(3, '.').collect();
            let [pattern, name, ..] = parts[..] else {
                return Err(Error::new(format!(
                    "invalid override key {}, expected target.name",
                    shown(key)
                )));
            };
            let value = match (value, name, parts.get(2)) {
                (Some(value), ..) => value.to_owned(),
                (None, "args", Some(arg)) => match surroundings.variable(arg) {
                    Some(value) => value,
                    None => continue,
                },
                _ => {
                    return Err(Error::new(format!(
                        "invalid override {}, expected target.name=value",
                        shown(text)
                    )));
                }
            };
            if matches!(name, "args" | "contexts") && parts.len() != 3 {
                return Err(Error::new(format!(
                    "invalid key {}, {name} requires name",
                    shown(key)
                )));
            }
            let key = parts[1..].join(".");
            for target in expanded(pattern, targets)? {
                let known = overrides.0.entry(target).or_default().entry(key.clone()).or_default();
                if LISTS.contains(&name) {
                    known.appends = appends;
                    known.values.push(value.clone());
                }
                known.value.clone_from(&value);
            }
        }
        Ok(overrides)
    }

    /// Applies what is said about a target.
    pub(crate) fn apply(&self, target: &mut Target) -> Result<()> {
        let Some(overrides) = self.0.get(&target.name) else { return Ok(()) };
        // What outputs there are decides about push and load.
        let is_late = |key: &str| matches!(key, "push" | "load");
        let early = overrides.iter().filter(|(key, _)| !is_late(key));
        for (key, said) in early.chain(overrides.iter().filter(|(key, _)| is_late(key))) {
            said.apply(key, target)?;
        }
        Ok(())
    }
}

/// The targets that a pattern means.
fn expanded(pattern: &str, targets: &[Target]) -> Result<Vec<String>> {
    let names = || targets.iter().map(|target| target.name.clone());
    if let Some(exact) = names().find(|name| name == pattern) {
        return Ok(vec![exact]);
    }
    let found: Vec<String> = names().filter(|name| matches(pattern, name)).collect();
    match found.is_empty() {
        true => Err(Error::new(format!("could not find any target matching '{}'", shown(pattern)))),
        false => Ok(found),
    }
}

impl Override {
    fn apply(&self, key: &str, target: &mut Target) -> Result<()> {
        let (name, inner) = match key.split_once('.') {
            Some((name, inner)) => (name, Some(inner.to_owned())),
            None => (key, None),
        };
        let value = || Some(self.value.clone());
        let inner = |what: &str| {
            inner
                .clone()
                .ok_or_else(|| Error::new(format!("{what} requires a name: {what}.<name>")))
        };
        match name {
            "context" => target.context = value(),
            "dockerfile" => target.dockerfile = value(),
            "args" => drop(target.args.insert(inner(name)?, value())),
            "contexts" => drop(target.contexts.insert(inner(name)?, self.value.clone())),
            "labels" => drop(target.labels.insert(inner(name)?, value())),
            "extra-hosts" => drop(target.extra_hosts.insert(inner(name)?, value())),
            "target" => target.target = value(),
            "call" => target.call = value(),
            "shm-size" => target.shm_size = value(),
            "network" => target.network = value(),
            "tags" => self.texts(&mut target.tags),
            "platform" => self.texts(&mut target.platforms),
            "no-cache-filter" => self.texts(&mut target.no_cache_filter),
            "ulimits" => self.texts(&mut target.ulimits),
            "entitlements" => target.entitlements.extend(self.values.iter().cloned()),
            "annotations" => target.annotations.extend(self.values.iter().cloned()),
            "cache-from" => {
                self.entries(&mut target.cache_from, Cache::parse_all, target::distinct)?;
            }
            "cache-to" => self.entries(&mut target.cache_to, Cache::parse_all, target::distinct)?,
            "output" => self.entries(&mut target.outputs, Export::parse_one, target::distinct)?,
            "secrets" => {
                self.entries(&mut target.secrets, Secret::parse_one, |all| {
                    target::by_key(all, |secret: &Secret| secret.id.clone())
                })?;
            }
            "ssh" => self.entries(&mut target.ssh, Ssh::parse_one, |all| {
                target::by_key(all, |ssh: &Ssh| ssh.id.clone())
            })?,
            "attest" => {
                let mut all = target.attest.take().unwrap_or_default();
                for text in self.values.iter().filter(|text| !text.is_empty()) {
                    all.push(Attest::parse(text)?);
                }
                target.attest = Some(target::by_key(all, |attest| attest.kind.clone()));
            }
            "no-cache" => target.no_cache = Some(self.truth(name)?),
            "pull" => target.pull = Some(self.truth(name)?),
            "push" => {
                let push = self.truth(name)?;
                target.outputs = Some(pushed(target.outputs.take().unwrap_or_default(), push));
            }
            "load" => {
                if self.truth(name)? {
                    target.outputs = Some(loaded(target.outputs.take().unwrap_or_default()));
                }
            }
            _ => return Err(Error::new(format!("unknown key: {}", shown(name)))),
        }
        Ok(())
    }

    fn truth(&self, name: &str) -> Result<bool> {
        match self.value.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            other => {
                Err(Error::new(format!("invalid value {} for boolean key {name}", shown(other))))
            }
        }
    }

    fn texts(&self, list: &mut Option<Vec<String>>) {
        match (self.appends, list) {
            (true, Some(list)) => list.extend(self.values.iter().cloned()),
            (_, list) => *list = Some(self.values.clone()),
        }
    }

    fn entries<T>(
        &self,
        list: &mut Option<Vec<T>>,
        parse: impl Fn(&str) -> Result<Vec<T>>,
        once: impl Fn(Vec<T>) -> Vec<T>,
    ) -> Result<()> {
        let mut new = Vec::new();
        for text in self.values.iter().filter(|text| !text.is_empty()) {
            new.extend(parse(text)?);
        }
        *list = Some(match (self.appends, list.take()) {
            (true, Some(mut known)) => {
                known.extend(new);
                once(known)
            }
            _ => new,
        });
        Ok(())
    }
}

/// The outputs with one that pushes, or without any.
fn pushed(mut outputs: Vec<Export>, push: bool) -> Vec<Export> {
    if !push {
        let mut at = 0;
        while at < outputs.len() {
            match outputs[at].kind.as_str() {
                "registry" => {
                    outputs.swap_remove(at);
                    continue;
                }
                "image" => drop(outputs[at].attributes.insert("push".into(), "false".into())),
                _ => {}
            }
            at += 1;
        }
        return outputs;
    }
    let adds = outputs.iter().all(|output| output.kind == "docker");
    for output in outputs.iter_mut().filter(|output| output.kind == "image") {
        output.attributes.insert("push".into(), "true".into());
    }
    if adds {
        let mut image = Export::of_kind("image");
        image.attributes.insert("push".into(), "true".into());
        outputs.push(image);
    }
    outputs
}

/// The outputs with one that loads, where none but images are.
fn loaded(mut outputs: Vec<Export>) -> Vec<Export> {
    for output in &outputs {
        match output.kind.as_str() {
            "docker" if output.destination.is_empty() => return outputs,
            "docker" | "image" | "registry" | "oci" => {}
            _ => return outputs,
        }
    }
    outputs.push(Export::of_kind("docker"));
    outputs
}

/// Whether a name matches a pattern of `*`, `?` and `[…]`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    // Where the last star was, and what of the name it stands for.
    let (mut at, mut in_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        let step = match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => class(&pattern[at..], name[in_name]),
            Some(c) if *c == name[in_name] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(step), _) => {
                at += step;
                in_name += 1;
            }
            (None, Some((begin, taken))) => {
                star = Some((begin, taken + 1));
                at = begin + 1;
                in_name = taken + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// How long the class at the beginning is, if the character is in it.
fn class(pattern: &[char], character: char) -> Option<usize> {
    let end = pattern.iter().position(|c| *c == ']')?;
    let mut inner = &pattern[1..end];
    let negated = inner.first() == Some(&'^');
    if negated {
        inner = &inner[1..];
    }
    let mut found = false;
    while let [first, rest @ ..] = inner {
        inner = match rest {
            ['-', last, rest @ ..] => {
                found |= (*first..=*last).contains(&character);
                rest
            }
            _ => {
                found |= *first == character;
                rest
            }
        };
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_shells_do() {
        for (pattern, name, expected) in [
            ("*", "app", true),
            ("app*", "app-1", true),
            ("*-1", "app-1", true),
            ("a?p", "app", true),
            ("a?p", "ap", false),
            ("[a-c]pp", "bpp", true),
            ("[^a-c]pp", "bpp", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
