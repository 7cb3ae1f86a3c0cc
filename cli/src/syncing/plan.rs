//! What is to be brought where, as a file says it. Its form is that of regsync, as far as it goes.

use oci::Platform;
use regex::Regex;
use serde::Deserialize;

use crate::error::{Doing, Failure};

/// A file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    /// Of the form; there is one.
    version: Option<u32>,
    defaults: Defaults,
    sync: Vec<Written>,
}

/// What counts where an entry says nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Defaults {
    parallel: Option<usize>,
    referrers: bool,
    platforms: Vec<String>,
    tags: Patterns,
}

/// An entry as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    source: String,
    target: String,
    #[serde(rename = "type")]
    kind: Option<Kind>,
    #[serde(default)]
    tags: Option<Patterns>,
    #[serde(default)]
    repos: Patterns,
    referrers: Option<bool>,
    #[serde(default)]
    platforms: Option<Vec<String>>,
    platform: Option<String>,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// One image, by tag or digest.
    Image,
    /// The tags of a repository.
    Repository,
    /// The repositories of a registry.
    Registry,
}

/// Regular expressions for whole names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Patterns {
    allow: Vec<String>,
    deny: Vec<String>,
}

/// Which names are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    allow: Vec<Regex>,
    deny: Vec<Regex>,
}

impl Filter {
    /// Names that one of `allow` matches as a whole, or all if there is none, and none of `deny`.
    pub(crate) fn new(allow: &[String], deny: &[String]) -> Result<Filter, Failure> {
        let read = |patterns: &[String]| -> Result<Vec<Regex>, Failure> {
            let one = |text: &String| {
                let whole = Regex::new(&format!("^(?:{text})$"));
                whole.doing(|| format!("`{text}` is no regular expression"))
            };
            patterns.iter().map(one).collect()
        };
        Ok(Filter { allow: read(allow)?, deny: read(deny)? })
    }

    /// Whether a name is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let any = |list: &[Regex]| list.iter().any(|pattern| pattern.is_match(name));
        (self.allow.is_empty() || any(&self.allow)) && !any(&self.deny)
    }
}

/// Something to be brought somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) kind: Kind,
    pub(crate) tags: Filter,
    pub(crate) repositories: Filter,
    pub(crate) referrers: bool,
    /// All, if there is none.
    pub(crate) platforms: Vec<Platform>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) entries: Vec<Entry>,
    /// How many images are on their way at once.
    pub(crate) parallel: Option<usize>,
}

impl Plan {
    /// Reads a file's text.
    pub(crate) fn read(text: &str) -> Result<Plan, Failure> {
        let file: File = serde_saphyr::from_str(text)?;
        if file.version.is_some_and(|version| version != 1) {
            return Err(Failure::new("only version 1 of the form is known"));
        }
        let defaults = &file.defaults;
        let entries = file.sync.iter().map(|written| entry(written, defaults));
        Ok(Plan { entries: entries.collect::<Result<_, _>>()?, parallel: defaults.parallel })
    }
}

fn entry(written: &Written, defaults: &Defaults) -> Result<Entry, Failure> {
    let tags = written.tags.as_ref().unwrap_or(&defaults.tags);
    let mut platforms = written.platforms.as_ref().unwrap_or(&defaults.platforms).clone();
    platforms.extend(written.platform.clone());
    let platforms = platforms.iter().map(|text| text.parse::<Platform>());
    Ok(Entry {
        source: written.source.clone(),
        target: written.target.clone(),
        kind: written.kind.unwrap_or_else(|| kind_of(&written.source)),
        tags: Filter::new(&tags.allow, &tags.deny)?,
        repositories: Filter::new(&written.repos.allow, &written.repos.deny)?,
        referrers: written.referrers.unwrap_or(defaults.referrers),
        platforms: platforms.collect::<Result<_, _>>()?,
    })
}

/// What a source is that does not say it: with a tag or digest it is an image.
fn kind_of(source: &str) -> Kind {
    let last = source.rsplit('/').next().unwrap_or(source);
    let host = source.split(':').next().unwrap_or(source);
    let is_registry = !source.contains('/') && (host.contains('.') || host == "localhost");
    match last.contains([':', '@']) {
        _ if is_registry => Kind::Registry,
        true => Kind::Image,
        false => Kind::Repository,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_goes_where() {
        let plan = Plan::read(
            "version: 1\n\
             defaults:\n  parallel: 2\n  referrers: true\n  tags: {deny: ['.*-rc.*']}\n\
             sync:\n\
             - {source: 'a.example/app', target: 'b.example/app'}\n\
             - {source: 'a.example/x:1', target: 'b.example/x:1', referrers: false, \
                platform: linux/arm64}\n\
             - source: a.example\n  target: b.example/mirror\n  type: registry\n  \
               repos: {allow: ['team/.*']}\n  tags: {allow: ['v1']}\n",
        )
        .unwrap();
        let [app, image, all] = &plan.entries[..] else { panic!("three entries") };
        assert_eq!((plan.parallel, app.kind, app.referrers), (Some(2), Kind::Repository, true));
        assert!(app.tags.wants("1.0") && !app.tags.wants("1.0-rc1"));
        assert_eq!((image.kind, image.referrers), (Kind::Image, false));
        assert_eq!(image.platforms, ["linux/arm64".parse().unwrap()]);
        assert_eq!(all.kind, Kind::Registry);
        assert!(all.repositories.wants("team/a") && !all.repositories.wants("other/team/a"));
        assert!(all.tags.wants("v1") && !all.tags.wants("v11"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "sync: [{source: a}]",
            "sync: [{source: a, target: b, more: 1}]",
            "version: 2",
            "sync: [{source: a/b, target: b, tags: {allow: ['(']}}]",
            "sync: [{source: a/b, target: b, type: galaxy}]",
        ] {
            assert!(Plan::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_source_tells_what_it_is() {
        for (source, kind) in [
            ("alpine", Kind::Repository),
            ("alpine:3.19", Kind::Image),
            ("localhost:5000", Kind::Registry),
            ("registry.example", Kind::Registry),
            ("localhost:5000/a", Kind::Repository),
            ("localhost:5000/a:1", Kind::Image),
        ] {
            assert_eq!(kind_of(source), kind, "{source}");
        }
    }
}
