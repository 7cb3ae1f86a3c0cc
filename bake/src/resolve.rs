//! What names mean: variables, functions and attributes of blocks, each computed when something
//! asks for it, and once.

mod blocks;
mod variables;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::definitions::Definitions;
use crate::error::shown;
use crate::evaluate::{Names, Scope};
use crate::plan::Group;
use crate::surroundings::Surroundings;
use crate::syntax::{Block, Body, Expression};
use crate::target::Target;
use crate::value::Value;
use crate::{Error, Result};

const TARGET: &str = "target";
const GROUP: &str = "group";

/// How many calls of functions may wait for each other.
const MAX_CALLS: usize = 100;

/// How many parts a value may have, and bytes its texts.
const MAX_WEIGHT: usize = 4 << 20;

/// Finds what names mean.
pub(crate) struct Resolver<'a> {
    surroundings: &'a dyn Surroundings,
    given: HashMap<String, String>,
    variables: BTreeMap<String, &'a Block>,
    attributes: HashMap<String, &'a Expression>,
    functions: HashMap<String, &'a Block>,
    /// Targets and groups, in order.
    blocks: Vec<&'a Block>,
    state: RefCell<State>,
    depth: Cell<usize>,
}

#[derive(Default)]
struct State {
    values: HashMap<String, Value>,
    instances: HashMap<usize, Vec<Instance>>,
    in_progress: HashSet<String>,
    calls: usize,
}

/// One of the targets that a block stands for.
#[derive(Debug, Clone)]
struct Instance {
    name: String,
    locals: Vec<(String, Value)>,
}

impl<'a> Resolver<'a> {
    /// Over the bodies of files, later ones over earlier ones.
    pub(crate) fn new(
        bodies: &'a [Body],
        given: &[(String, String)],
        surroundings: &'a dyn Surroundings,
    ) -> Result<Resolver<'a>> {
        let mut resolver = Resolver {
            surroundings,
            given: given.iter().cloned().collect(),
            variables: BTreeMap::new(),
            attributes: HashMap::new(),
            functions: HashMap::new(),
            blocks: Vec::new(),
            state: RefCell::default(),
            depth: Cell::default(),
        };
        for body in bodies {
            for attribute in &body.attributes {
                let name = attribute.name.clone();
                if resolver.attributes.insert(name, &attribute.value).is_some() {
                    let message = format!("the attribute `{}` is there twice", attribute.name);
                    let value = &attribute.value;
                    return Err(Error::new(message).at(&value.file, value.line));
                }
            }
            for block in &body.blocks {
                resolver.take(block).map_err(|error| error.at(&block.file, block.line))?;
            }
        }
        Ok(resolver)
    }

    fn take(&mut self, block: &'a Block) -> Result<()> {
        let [label] = &block.labels[..] else {
            return Err(Error::new(format!("a block `{}` has one name", shown(&block.kind))));
        };
        let is_taken = self.given.contains_key(label);
        match block.kind.as_str() {
            "variable" if is_taken => {}
            "variable" => drop(self.variables.insert(label.clone(), block)),
            "function" => drop(self.functions.insert(label.clone(), block)),
            TARGET | GROUP => self.blocks.push(block),
            other => return Err(Error::new(format!("there are no blocks `{}`", shown(other)))),
        }
        Ok(())
    }

    /// Computes all of it.
    pub(crate) fn define(&self, definitions: &mut Definitions) -> Result<()> {
        for (name, block) in &self.variables {
            let place = |error: Error| error.at(&block.file, block.line);
            let value = self.variable(name).map_err(place)?.unwrap_or(Value::Null);
            definitions.variables.push(variables::info(name, block, &value)?);
        }
        for block in self.variables.values() {
            self.validate(block)?;
        }
        for (name, block) in &self.functions {
            for part in ["params", "result"] {
                if block.body.attribute(part).is_none() {
                    let message = format!("the function `{name}` has no `{part}`");
                    return Err(Error::new(message).at(&block.file, block.line));
                }
            }
        }
        let mut names: BTreeMap<&String, Vec<String>> = BTreeMap::new();
        for (number, block) in self.blocks.iter().enumerate() {
            let place = |error: Error| error.at(&block.file, block.line);
            let instances = self.instances(number).map_err(place)?;
            if block.kind == TARGET {
                let own = instances.iter().map(|instance| instance.name.clone());
                names.entry(&block.labels[0]).or_default().extend(own);
            }
            for instance in instances {
                let scope = Scope::new(self, instance.locals);
                let evaluate = |value: &Expression| scope.value(value);
                match block.kind.as_str() {
                    GROUP => add_group(definitions, group(block, &evaluate).map_err(place)?),
                    _ => {
                        let target = Target::decode(&instance.name, &block.body, &evaluate);
                        definitions.add(target.map_err(place)?);
                    }
                }
            }
        }
        for name in self.attributes.keys() {
            self.variable(name)?;
        }
        definitions
            .groups
            .extend(names.into_iter().filter_map(|(label, names)| renamed(label, names)));
        Ok(())
    }

    /// Computes something that may ask for others, but not for itself.
    fn once<T>(&self, key: &str, compute: impl FnOnce() -> Result<T>) -> Result<T> {
        if !self.state.borrow_mut().in_progress.insert(key.to_owned()) {
            return Err(Error::new(format!("{key} needs itself")));
        }
        let result = compute();
        self.state.borrow_mut().in_progress.remove(key);
        result
    }
}

impl Names for Resolver<'_> {
    fn variable(&self, name: &str) -> Result<Option<Value>> {
        if let Some(value) = self.given.get(name) {
            return Ok(Some(Value::text(value)));
        }
        if let Some(value) = self.state.borrow().values.get(name) {
            return Ok(Some(value.clone()));
        }
        let key = format!("the variable `{}`", shown(name));
        let value = self.once(&key, || self.compute_variable(name))?;
        if let Some(value) = &value {
            if value.weight() > MAX_WEIGHT {
                return Err(Error::new("the value becomes too large").within(&key));
            }
            self.state.borrow_mut().values.insert(name.to_owned(), value.clone());
        }
        Ok(value)
    }

    fn block(&self, kind: &str, path: &[String]) -> Result<Option<Value>> {
        if kind != TARGET && kind != GROUP {
            return Ok(None);
        }
        let [name, rest @ ..] = path else {
            return Err(Error::new(format!("`{kind}` cannot be used as a variable")));
        };
        let mut value = match rest.first() {
            Some(attribute) => {
                // Whether there is one at all.
                let known = self.blocks.iter().enumerate().filter(|(_, block)| block.kind == kind);
                let mut is_there = false;
                for (number, _) in known {
                    is_there |= self.instances(number)?.iter().any(|found| found.name == *name);
                }
                if !is_there {
                    return Err(Error::new(format!("there is no {kind} `{}`", shown(name))));
                }
                self.attribute_of(kind, name, attribute)?
            }
            None => self.whole_block(kind, name)?,
        };
        for part in rest.iter().skip(1) {
            value = value.element(&Value::text(part))?;
        }
        Ok(Some(value))
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Option<Value>> {
        let Some(function) = self.functions.get(name) else { return Ok(None) };
        let wrong = |message: &str| Error::new(format!("the function `{}` {message}", shown(name)));
        let Some(Expression { kind: crate::syntax::Kind::List(params), .. }) =
            function.body.attribute("params")
        else {
            return Err(wrong("has no list `params`"));
        };
        let name_of = |param: &Expression| {
            param.as_keyword().ok_or_else(|| wrong("has a parameter that is no name"))
        };
        let names: Vec<String> = params.iter().map(name_of).collect::<Result<_>>()?;
        let variadic = function.body.attribute("variadic_params").map(name_of).transpose()?;
        if args.len() < names.len() || (args.len() > names.len() && variadic.is_none()) {
            return Err(wrong(&format!("takes {} arguments", names.len())));
        }
        let rest = args[names.len()..].to_vec();
        let mut locals: Vec<(String, Value)> =
            names.into_iter().zip(args.iter().cloned()).collect();
        locals.extend(variadic.map(|name| (name, Value::List(rest))));
        let Some(result) = function.body.attribute("result") else {
            return Err(wrong("has no `result`"));
        };
        self.state.borrow_mut().calls += 1;
        if self.state.borrow().calls > MAX_CALLS {
            return Err(wrong("calls itself"));
        }
        let value = Scope::new(self, locals).value(result);
        self.state.borrow_mut().calls -= 1;
        value.map(Some)
    }

    fn depth(&self) -> &Cell<usize> {
        &self.depth
    }

    fn surroundings(&self) -> &dyn Surroundings {
        self.surroundings
    }
}

fn group(block: &Block, evaluate: &dyn Fn(&Expression) -> Result<Value>) -> Result<Group> {
    let Some(targets) = block.body.attribute("targets") else {
        return Err(Error::new(format!("the group `{}` has no `targets`", block.labels[0])));
    };
    let description = match block.body.attribute("description") {
        Some(text) => evaluate(text)?.to_text()?,
        None => String::new(),
    };
    let mut seen = HashSet::new();
    let mut targets = evaluate(targets)?.to_texts()?;
    targets.retain(|target| seen.insert(target.clone()));
    Ok(Group { name: block.labels[0].clone(), description, targets })
}

/// The group that stands for the targets of a matrix.
fn renamed(label: &str, mut names: Vec<String>) -> Option<Group> {
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let (name, description) = (label.to_owned(), String::new());
    (names != [label]).then_some(Group { name, description, targets: names })
}

/// A group takes the place of one of its name.
fn add_group(definitions: &mut Definitions, group: Group) {
    match definitions.groups.iter_mut().find(|known| known.name == group.name) {
        Some(known) => *known = group,
        None => definitions.groups.push(group),
    }
}
