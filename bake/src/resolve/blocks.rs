//! What blocks stand for, and their attributes.

use std::collections::HashSet;

use super::{GROUP, Instance, Resolver};
use crate::definitions::check_name;
use crate::error::shown;
use crate::evaluate::Scope;
use crate::syntax::Block;
use crate::value::Value;
use crate::{Error, Result};

impl Resolver<'_> {
    /// The targets that a block stands for.
    pub(super) fn instances(&self, number: usize) -> Result<Vec<Instance>> {
        if let Some(known) = self.state.borrow().instances.get(&number) {
            return Ok(known.clone());
        }
        let block = self.blocks[number];
        let key = format!("the name of {} `{}`", block.kind, shown(&block.labels[0]));
        let instances = self.once(&key, || self.compute_instances(block))?;
        self.state.borrow_mut().instances.insert(number, instances.clone());
        Ok(instances)
    }

    fn compute_instances(&self, block: &Block) -> Result<Vec<Instance>> {
        let label = &block.labels[0];
        check_name(label)?;
        let (matrix, name) = (block.body.attribute("matrix"), block.body.attribute("name"));
        if block.kind == GROUP && (matrix.is_some() || name.is_some()) {
            return Err(Error::new("groups have no `matrix` and no `name`"));
        }
        let mut instances = Vec::new();
        let combinations = match matrix {
            Some(matrix) => combinations(&Scope::new(self, Vec::new()).value(matrix)?)?,
            None if name.is_some() => return Err(Error::new("`name` requires `matrix`")),
            None => vec![Vec::new()],
        };
        for locals in combinations {
            let name = match name {
                Some(name) => Scope::new(self, locals.clone()).value(name)?.to_text()?,
                None => label.clone(),
            };
            check_name(&name)?;
            if instances.iter().any(|known: &Instance| known.name == name) {
                return Err(Error::new(format!("duplicate name `{name}`")));
            }
            instances.push(Instance { name, locals });
        }
        Ok(instances)
    }

    /// An attribute of the blocks of a name; later ones count more.
    pub(super) fn attribute_of(&self, kind: &str, name: &str, attribute: &str) -> Result<Value> {
        let key = format!("{kind}.{name}.{attribute}");
        if attribute == "name" {
            return Ok(Value::text(name));
        }
        self.once(&key, || {
            for (number, block) in self.blocks.iter().enumerate().rev() {
                let Some(value) = block.body.attribute(attribute) else { continue };
                if block.kind != kind {
                    continue;
                }
                let instances = self.instances(number)?.into_iter();
                if let Some(found) = instances.into_iter().find(|found| found.name == name) {
                    return Scope::new(self, found.locals).value(value);
                }
            }
            Ok(Value::Null)
        })
    }

    /// All attributes of the blocks of a name.
    pub(super) fn whole_block(&self, kind: &str, name: &str) -> Result<Value> {
        let mut found = false;
        let mut names = HashSet::new();
        for (number, block) in self.blocks.iter().enumerate().filter(|(_, b)| b.kind == kind) {
            if self.instances(number)?.iter().any(|instance| instance.name == name) {
                found = true;
                names.extend(block.body.attributes.iter().map(|a| a.name.clone()));
            }
        }
        if !found {
            return Err(Error::new(format!("there is no {kind} `{}`", shown(name))));
        }
        let attributes = names.into_iter().filter(|name| name != "matrix" && name != "name");
        let pairs = attributes.map(|attribute| {
            let value = self.attribute_of(kind, name, &attribute)?;
            Ok((attribute, value))
        });
        Ok(Value::Object(pairs.collect::<Result<_>>()?))
    }
}

/// How many targets a matrix may make.
const MAX_COMBINATIONS: usize = 10_000;

/// Each choice of one value a key.
fn combinations(matrix: &Value) -> Result<Vec<Vec<(String, Value)>>> {
    let Value::Object(matrix) = matrix else { return Err(Error::new("matrix must be a map")) };
    let mut all = vec![Vec::new()];
    for (key, values) in matrix {
        let Value::List(values) = values else {
            return Err(Error::new("matrix values must be a list"));
        };
        let mut more = Vec::new();
        for value in values {
            for locals in &all {
                let mut locals = locals.clone();
                locals.push((key.clone(), value.clone()));
                more.push(locals);
            }
        }
        if more.len() > MAX_COMBINATIONS {
            return Err(Error::new("a matrix makes too many targets"));
        }
        all = more;
    }
    Ok(all)
}
