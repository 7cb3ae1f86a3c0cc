//! The texts of files become targets, groups and variables.

use crate::compose;
use crate::error::shown;
use crate::plan::Group;
use crate::resolve::Resolver;
use crate::surroundings::Surroundings;
use crate::syntax::{self, Body};
use crate::target::Target;
use crate::{Error, Result};

/// A file of definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, which tells HCL from JSON and compose files.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A variable, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableInfo {
    /// Its name.
    pub name: String,
    /// What its definition says about it.
    pub description: String,
    /// Its type, if it was declared with one.
    pub kind: Option<String>,
    /// Its value, if it has one.
    pub value: Option<String>,
}

/// All that files define.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Definitions {
    /// The groups, in order.
    pub groups: Vec<Group>,
    /// The targets, in order.
    pub targets: Vec<Target>,
    /// The variables, sorted.
    pub variables: Vec<VariableInfo>,
}

/// What kind of file it is.
enum Content {
    Hcl(Body),
    Compose,
}

impl Definitions {
    /// Reads files, later ones over earlier ones. `given` are variables with values that nothing
    /// overrides.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(
        files: &[File],
        given: &[(String, String)],
        surroundings: &dyn Surroundings,
    ) -> Result<Definitions> {
        let mut definitions = Definitions::default();
        let (mut bodies, mut composed) = (Vec::new(), Vec::new());
        for file in files {
            match content(file)? {
                Content::Hcl(body) => bodies.push(body),
                Content::Compose => composed.push(file),
            }
        }
        if !composed.is_empty() {
            let (group, targets) = compose::read(&composed, surroundings)?;
            definitions.groups.extend(group);
            for target in targets {
                definitions.add(target);
            }
        }
        if !bodies.is_empty() {
            Resolver::new(&bodies, given, surroundings)?.define(&mut definitions)?;
        }
        Ok(definitions)
    }

    /// Adds a target; one of a name that is there goes over it.
    pub(crate) fn add(&mut self, target: Target) {
        match self.targets.iter_mut().find(|known| known.name == target.name) {
            Some(known) => known.merge(&target),
            None => self.targets.push(target),
        }
    }
}

fn content(file: &File) -> Result<Content> {
    let name = file.name.to_lowercase();
    let ends = |ending: &str| name.ends_with(ending);
    if ends(".yml") || ends(".yaml") {
        return Ok(Content::Compose);
    }
    if ends(".json") {
        return syntax::json_body(&file.name, &file.text).map(Content::Hcl);
    }
    let hcl = syntax::hcl_body(&file.name, &file.text);
    if ends(".hcl") || hcl.is_ok() {
        return hcl.map(Content::Hcl);
    }
    if let Ok(body) = syntax::json_body(&file.name, &file.text) {
        return Ok(Content::Hcl(body));
    }
    match compose::is_compose(&file.text) {
        true => Ok(Content::Compose),
        false => hcl.map(Content::Hcl),
    }
}

/// Refuses what cannot be the name of a target.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_part) {
        true => Ok(()),
        false => Err(Error::new(format!(
            "invalid name `{}`: letters, digits, `_` and `-` are allowed",
            shown(name)
        ))),
    }
}
