//! A target as the command line of its build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bake::Target;

use crate::error::Failure;

/// The words for `tierce build`. `linked` is where the images of other targets are.
pub(super) fn words(
    target: &Target,
    linked: &BTreeMap<String, PathBuf>,
) -> Result<Vec<String>, Failure> {
    let mut words = Words::default();
    let context = target.context.as_deref().unwrap_or(".");
    let dockerfile = target.dockerfile.as_deref().unwrap_or("Dockerfile");
    if context == "-" || dockerfile == "-" {
        return Err(Failure::new(format!(
            "target {}: nothing is read from standard input here",
            target.name
        )));
    }
    words.add(
        "file",
        match &target.dockerfile_inline {
            Some(_) => "-".to_owned(),
            None => place_of(dockerfile, context),
        },
    );
    for (name, value) in &target.args {
        words.given(name, value, "build-arg");
    }
    for (name, value) in &target.labels {
        words.given(name, value, "label");
    }
    for (name, value) in &target.extra_hosts {
        let addresses = value.as_deref().unwrap_or_default().split(',');
        addresses.for_each(|address| words.add("add-host", format!("{name}:{address}")));
    }
    for (name, place) in &target.contexts {
        let place = match place.strip_prefix("target:") {
            Some(used) => match linked.get(used) {
                Some(layout) => format!("oci-layout://{}", layout.display()),
                None => return Err(Failure::new(format!("there is no target {used}"))),
            },
            None => place.strip_prefix("cwd://").unwrap_or(place).to_owned(),
        };
        words.add("build-context", format!("{name}={place}"));
    }
    let lists = [
        ("tag", target.tags.as_deref()),
        ("platform", target.platforms.as_deref()),
        ("no-cache-filter", target.no_cache_filter.as_deref()),
        ("ulimit", target.ulimits.as_deref()),
        ("annotation", Some(&target.annotations[..])),
        ("allow", Some(&target.entitlements[..])),
    ];
    for (option, list) in lists {
        list.unwrap_or_default().iter().for_each(|value| words.add(option, value.clone()));
    }
    words.each("cache-from", target.cache_from.as_deref(), bake::Cache::to_option);
    words.each("cache-to", target.cache_to.as_deref(), bake::Cache::to_option);
    words.each("secret", target.secrets.as_deref(), bake::Secret::to_option);
    words.each("ssh", target.ssh.as_deref(), bake::Ssh::to_option);
    words.each("output", target.outputs.as_deref(), bake::Export::to_option);
    words.each("attest", target.attest.as_deref(), bake::Attest::to_option);
    let texts = [
        ("target", &target.target),
        ("network", &target.network),
        ("shm-size", &target.shm_size),
        ("call", &target.call),
    ];
    for (option, text) in texts {
        if let Some(text) = text {
            words.add(option, text.clone());
        }
    }
    if target.pull == Some(true) {
        words.0.push("--pull".to_owned());
    }
    if target.no_cache == Some(true) {
        words.0.push("--no-cache".to_owned());
    }
    words.0.extend(["--".to_owned(), context.to_owned()]);
    Ok(words.0)
}

/// Where the Dockerfile is: in the context, unless that is elsewhere and looked through by the
/// build itself.
fn place_of(dockerfile: &str, context: &str) -> String {
    let is_remote = context.contains("://") || context.starts_with("git@");
    if let Some(here) = dockerfile.strip_prefix("cwd://") {
        return here.to_owned();
    }
    if is_remote || dockerfile.contains("://") || Path::new(dockerfile).is_absolute() {
        return dockerfile.to_owned();
    }
    Path::new(context).join(dockerfile).display().to_string()
}

#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn add(&mut self, option: &str, value: impl std::fmt::Display) {
        self.0.push(format!("--{option}={value}"));
    }

    /// `name=value`, if there is a value.
    fn given(&mut self, name: &str, value: &Option<String>, option: &str) {
        if let Some(value) = value {
            self.add(option, format!("{name}={value}"));
        }
    }

    fn each<T>(&mut self, option: &str, list: Option<&[T]>, text: impl Fn(&T) -> String) {
        list.unwrap_or_default().iter().for_each(|one| self.add(option, text(one)));
    }
}
