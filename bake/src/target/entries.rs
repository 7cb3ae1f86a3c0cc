//! Entries of lists that have attributes of their own, written as `key=value,…` or as objects.

use std::collections::BTreeMap;

use crate::csv;
use crate::error::shown;
use crate::value::Value;
use crate::{Error, Result};

/// What is to be said about an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attest {
    /// `provenance` or `sbom`.
    pub kind: String,
    /// Whether it is not to be said.
    pub disabled: bool,
    /// The rest.
    pub attributes: BTreeMap<String, String>,
}

/// Where results of steps come from or go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    /// What kind of place it is.
    pub kind: String,
    /// The rest.
    pub attributes: BTreeMap<String, String>,
}

/// What becomes of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    /// In what form.
    pub kind: String,
    /// Where, if it is a file or directory.
    pub destination: String,
    /// The rest.
    pub attributes: BTreeMap<String, String>,
}

/// A secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secret {
    /// What RUN knows it by.
    pub id: String,
    /// The file that holds it.
    pub file: String,
    /// The variable that holds it.
    pub variable: String,
}

/// An agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ssh {
    /// What RUN knows it by.
    pub id: String,
    /// Its socket, or files of keys.
    pub paths: Vec<String>,
}

/// `key=value` with the key in small letters.
fn pair(field: &str) -> Result<(String, String)> {
    let (key, value) = field
        .split_once('=')
        .ok_or_else(|| Error::new(format!("`{}` is not key=value", shown(field))))?;
    Ok((key.trim().to_lowercase(), value.to_owned()))
}

fn texts(object: &BTreeMap<String, Value>) -> Result<BTreeMap<String, String>> {
    let given = object.iter().filter(|(_, value)| **value != Value::Null);
    given.map(|(key, value)| Ok((key.clone(), value.to_text()?))).collect()
}

fn written<'a>(
    own: impl IntoIterator<Item = (&'a str, &'a str)>,
    attributes: &'a BTreeMap<String, String>,
) -> String {
    let own = own.into_iter().filter(|(_, value)| !value.is_empty());
    let rest = attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    csv::line(own.chain(rest).collect::<Vec<_>>())
}

impl Attest {
    pub(crate) fn parse(text: &str) -> Result<Attest> {
        let mut attest = Attest::default();
        for field in csv::fields(text)? {
            let (key, value) = pair(&field)?;
            attest.set(key, value)?;
        }
        attest.checked()
    }

    pub(crate) fn parse_one(text: &str) -> Result<Vec<Attest>> {
        Attest::parse(text).map(|one| vec![one])
    }

    pub(crate) fn of(object: &BTreeMap<String, Value>) -> Result<Attest> {
        let mut attest = Attest::default();
        for (key, value) in texts(object)? {
            attest.set(key, value)?;
        }
        attest.checked()
    }

    fn set(&mut self, key: String, value: String) -> Result<()> {
        match key.as_str() {
            "type" => self.kind = value,
            "disabled" => self.disabled = Value::Text(value).to_bool()?,
            _ => drop(self.attributes.insert(key, value)),
        }
        Ok(())
    }

    fn checked(self) -> Result<Attest> {
        match self.kind.is_empty() {
            true => Err(Error::new("attestation type not specified")),
            false => Ok(self),
        }
    }

    /// As `--attest` takes it.
    pub fn to_option(&self) -> String {
        let disabled = if self.disabled { "true" } else { "" };
        written([("type", self.kind.as_str()), ("disabled", disabled)], &self.attributes)
    }
}

impl Cache {
    /// The entries of a text: names alone, or one with attributes.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<Cache>> {
        let fields = csv::fields(text)?;
        if !text.contains('=') {
            let name = |name: String| Cache {
                kind: "registry".to_owned(),
                attributes: BTreeMap::from([("ref".to_owned(), name)]),
            };
            return Ok(fields.into_iter().map(name).collect());
        }
        let pairs = fields.iter().map(|field| pair(field)).collect::<Result<_>>()?;
        Cache::of_pairs(pairs).map(|one| vec![one])
    }

    pub(crate) fn of(object: &BTreeMap<String, Value>) -> Result<Cache> {
        Cache::of_pairs(texts(object)?)
    }

    fn of_pairs(mut attributes: BTreeMap<String, String>) -> Result<Cache> {
        match attributes.remove("type").filter(|kind| !kind.is_empty()) {
            Some(kind) => Ok(Cache { kind, attributes }),
            None => Err(Error::new("a cache needs a type")),
        }
    }

    /// As `--cache-from` and `--cache-to` take it.
    pub fn to_option(&self) -> String {
        written([("type", self.kind.as_str())], &self.attributes)
    }
}

impl Export {
    /// An output of which nothing more is said.
    pub(crate) fn of_kind(kind: &str) -> Export {
        Export { kind: kind.to_owned(), ..Export::default() }
    }

    pub(crate) fn parse_one(text: &str) -> Result<Vec<Export>> {
        let fields = csv::fields(text)?;
        if fields.len() == 1 && !text.contains('=') {
            let kind = if text == "-" { "tar" } else { "local" };
            return Ok(vec![Export { destination: text.to_owned(), ..Export::of_kind(kind) }]);
        }
        let pairs = fields.iter().map(|field| pair(field)).collect::<Result<_>>()?;
        Export::of_pairs(pairs).map(|one| vec![one])
    }

    pub(crate) fn of(object: &BTreeMap<String, Value>) -> Result<Export> {
        Export::of_pairs(texts(object)?)
    }

    fn of_pairs(mut attributes: BTreeMap<String, String>) -> Result<Export> {
        let destination = attributes.remove("dest").unwrap_or_default();
        match attributes.remove("type").filter(|kind| !kind.is_empty()) {
            Some(kind) => Ok(Export { kind, destination, attributes }),
            None => Err(Error::new("type is required for output")),
        }
    }

    /// As `--output` takes it.
    pub fn to_option(&self) -> String {
        let own = [("type", self.kind.as_str()), ("dest", self.destination.as_str())];
        written(own, &self.attributes)
    }
}

impl Secret {
    pub(crate) fn parse_one(text: &str) -> Result<Vec<Secret>> {
        let mut secret = Secret::default();
        let mut kind = String::new();
        for field in csv::fields(text)? {
            let (key, value) = pair(&field)?;
            match key.as_str() {
                "type" if value == "file" || value == "env" => kind = value,
                "type" => {
                    return Err(Error::new(format!("unsupported secret type `{}`", shown(&value))));
                }
                "id" => secret.id = value,
                "source" | "src" => secret.file = value,
                "env" => secret.variable = value,
                _ => return Err(Error::new(format!("unexpected key `{}`", shown(&key)))),
            }
        }
        if kind == "env" && secret.variable.is_empty() {
            secret.variable = std::mem::take(&mut secret.file);
        }
        Ok(vec![secret])
    }

    pub(crate) fn of(object: &BTreeMap<String, Value>) -> Result<Secret> {
        let mut texts = texts(object)?;
        let mut take = |key: &str| texts.remove(key).unwrap_or_default();
        Ok(Secret { id: take("id"), file: take("src"), variable: take("env") })
    }

    /// As `--secret` takes it.
    pub fn to_option(&self) -> String {
        let own = [("id", &self.id), ("src", &self.file), ("env", &self.variable)];
        written(own.map(|(key, value)| (key, value.as_str())), &BTreeMap::new())
    }
}

impl Ssh {
    pub(crate) fn parse_one(text: &str) -> Result<Vec<Ssh>> {
        let (id, paths) = match text.split_once('=') {
            Some((id, paths)) => (id, paths.split(',').map(str::to_owned).collect()),
            None => (text, Vec::new()),
        };
        Ok(vec![Ssh { id: id.to_owned(), paths }])
    }

    pub(crate) fn of(object: &BTreeMap<String, Value>) -> Result<Ssh> {
        let id = object.get("id").filter(|id| **id != Value::Null);
        let paths = object.get("paths").filter(|paths| **paths != Value::Null);
        Ok(Ssh {
            id: id.map(Value::to_text).transpose()?.unwrap_or_default(),
            paths: paths.map(Value::to_texts).transpose()?.unwrap_or_default(),
        })
    }

    /// As `--ssh` takes it.
    pub fn to_option(&self) -> String {
        match self.paths.is_empty() {
            true => self.id.clone(),
            false => format!("{}={}", self.id, self.paths.join(",")),
        }
    }
}
