//! What is asked for, out of all that is defined.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::definitions::Definitions;
use crate::error::shown;
use crate::overrides::{Overrides, matches};
use crate::surroundings::Surroundings;
use crate::target::{Export, Target};
use crate::{Error, Result};

/// Targets under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: String,
    /// What its definition says about it.
    pub description: String,
    /// Targets, and other groups.
    pub targets: Vec<String>,
}

/// What is to be built.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The groups that were asked for, and `default`, which has all that was.
    pub groups: BTreeMap<String, Group>,
    /// The targets.
    pub targets: BTreeMap<String, Target>,
    /// Those of them that only others need.
    pub linked: BTreeSet<String>,
}

/// How deep targets may inherit from each other, and use each other.
const MAX_DEPTH: usize = 100;

/// The targets and groups below each group that was looked at.
type Members = BTreeMap<String, (Vec<String>, Vec<String>)>;

impl Definitions {
    /// Picks targets by their names, groups or patterns; `overrides` are texts as
    /// `pattern.key=value`.
    ///
    /// # Errors
    /// What is not there, or wrong.
    pub fn plan(
        &self,
        names: &[String],
        overrides: &[String],
        surroundings: &dyn Surroundings,
    ) -> Result<Plan> {
        let overrides = Overrides::read(overrides, &self.targets, surroundings)?;
        let mut wanted: Vec<String> = Vec::new();
        for name in names {
            for name in self.named(&name.replace('.', "_"))? {
                if !wanted.contains(&name) {
                    wanted.push(name);
                }
            }
        }
        let mut plan = Plan::default();
        for name in &wanted {
            let (targets, groups) = self.members(name, &mut Members::new());
            for target in targets {
                let resolved = self.target(&target, &overrides)?;
                plan.targets.insert(target, resolved);
            }
            for group in groups {
                if let Some(found) = self.groups.iter().find(|found| found.name == group) {
                    plan.groups.insert(group, found.clone());
                }
            }
        }
        plan.gather_default(&wanted);
        for name in plan.targets.keys().cloned().collect::<Vec<_>>() {
            self.link(&name, &mut plan, &overrides, &mut Vec::new())?;
        }
        Ok(plan)
    }

    /// The names that a pattern means; a plain name is its own.
    fn named(&self, pattern: &str) -> Result<Vec<String>> {
        if !pattern.contains(['*', '?', '[', ']']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let groups = self.groups.iter().map(|group| &group.name);
        let all = groups.chain(self.targets.iter().map(|target| &target.name));
        let found: Vec<String> = all.filter(|name| matches(pattern, name)).cloned().collect();
        match found.is_empty() {
            true => Err(Error::new(format!("no target matches `{}`", shown(pattern)))),
            false => Ok(found),
        }
    }

    /// The targets and groups below a name.
    fn members(&self, name: &str, visited: &mut Members) -> (Vec<String>, Vec<String>) {
        let Some(group) = self.groups.iter().find(|group| group.name == name) else {
            return (vec![name.to_owned()], Vec::new());
        };
        if let Some(known) = visited.get(name) {
            return known.clone();
        }
        // Nothing for whoever is its own member.
        visited.insert(name.to_owned(), (Vec::new(), Vec::new()));
        let (mut targets, mut groups) = (Vec::new(), vec![name.to_owned()]);
        for member in &group.targets {
            let (below, more) = self.members(member, visited);
            // A group that is its own member means a target of that name.
            match below.is_empty() {
                true => targets.push(member.clone()),
                false => targets.extend(below),
            }
            groups.extend(more);
        }
        for list in [&mut targets, &mut groups] {
            let mut seen = BTreeSet::new();
            list.retain(|name| seen.insert(name.clone()));
        }
        visited.insert(name.to_owned(), (targets.clone(), groups.clone()));
        (targets, groups)
    }

    /// A target with all that it inherits, and with what is overridden.
    fn target(&self, name: &str, overrides: &Overrides) -> Result<Target> {
        let mut target = self.inherited(name, overrides, &mut Vec::new())?;
        target.complete();
        Ok(target)
    }

    fn inherited(
        &self,
        name: &str,
        overrides: &Overrides,
        visited: &mut Vec<String>,
    ) -> Result<Target> {
        let Some(own) = self.targets.iter().find(|target| target.name == name) else {
            return Err(Error::new(format!("failed to find target {}", shown(name))));
        };
        visited.push(name.to_owned());
        if visited.len() > MAX_DEPTH {
            return Err(Error::new(format!("target {name} inherits from too many")));
        }
        let mut target = Target::named(name);
        for parent in &own.inherits {
            // Whoever inherits from itself gets nothing from that.
            if !visited.contains(parent) {
                target.merge(&self.inherited(parent, overrides, visited)?);
            }
        }
        visited.pop();
        target.merge(own);
        overrides.apply(&mut target)?;
        target.normalize();
        Ok(target)
    }

    /// Adds what a target uses by `target:NAME`.
    fn link(
        &self,
        name: &str,
        plan: &mut Plan,
        overrides: &Overrides,
        visited: &mut Vec<String>,
    ) -> Result<()> {
        visited.push(name.to_owned());
        if visited.len() > MAX_DEPTH {
            return Err(Error::new(format!("target {name} uses too many others")));
        }
        let Some(target) = plan.targets.get(name).cloned() else { return Ok(()) };
        for used in target.uses() {
            if used == name {
                return Err(Error::new(format!("target {used} cannot link to itself")));
            }
            if visited.iter().any(|known| known == used) {
                return Err(Error::new(format!("infinite loop from {name} to {used}")));
            }
            if !plan.targets.contains_key(used) {
                let mut linked = self.target(used, overrides)?;
                linked.outputs = Some(vec![Export::of_kind("cacheonly")]);
                plan.targets.insert(used.to_owned(), linked);
                plan.linked.insert(used.to_owned());
            }
            self.link(used, plan, overrides, visited)?;
            let linked = plan.targets.get(used).cloned().unwrap_or_default();
            if let Some(own) = plan.targets.get_mut(name) {
                own.inherit_entitlements(&linked);
            }
            let (mine, theirs) = (target.platform_list(), linked.platform_list());
            if mine.len() > 1 && theirs.len() > 1 && mine.iter().any(|one| !theirs.contains(one)) {
                return Err(Error::new(format!(
                    "target {used} can't be used by {name} because its platforms {theirs:?} do \
                     not include all of {mine:?}"
                )));
            }
        }
        visited.pop();
        Ok(())
    }
}

impl Plan {
    /// Puts all that was asked for into the group `default`.
    fn gather_default(&mut self, wanted: &[String]) {
        const DEFAULT: &str = "default";
        for name in wanted {
            if name == DEFAULT && self.groups.contains_key(DEFAULT) {
                continue;
            }
            let group = self.groups.entry(DEFAULT.to_owned()).or_insert_with(|| Group {
                name: DEFAULT.to_owned(),
                description: String::new(),
                targets: Vec::new(),
            });
            if !group.targets.contains(name) {
                group.targets.push(name.clone());
            }
        }
        if let Some(group) = self.groups.get_mut(DEFAULT) {
            group.targets.sort();
        }
    }

    /// The plan as buildx prints it.
    pub fn to_json(&self) -> String {
        let mut all = Map::new();
        if !self.groups.is_empty() {
            let groups = self.groups.iter().map(|(name, group)| (name.clone(), group.to_json()));
            all.insert("group".to_owned(), groups.collect());
        }
        let targets = self.targets.iter().map(|(name, target)| (name.clone(), target.to_json()));
        all.insert("target".to_owned(), targets.collect());
        let text = format!("{:#}", Value::Object(all));
        // As Go writes texts; outside of them there are no such characters.
        text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
    }
}

impl Group {
    fn to_json(&self) -> Value {
        match self.description.is_empty() {
            true => json!({ "targets": self.targets }),
            false => json!({ "description": self.description, "targets": self.targets }),
        }
    }
}
