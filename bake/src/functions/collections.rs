//! Lists and maps.

use std::collections::BTreeMap;

use super::{count, exactly, truth, whole_index};
use crate::value::Value;
use crate::{Error, Result};

/// Calls a function of lists or maps.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value>> {
    Some(match name {
        "length" => exactly(args).and_then(|[of]| match of {
            Value::List(list) => Ok(count(list.len())),
            Value::Object(object) => Ok(count(object.len())),
            other => other.as_list().map(|list| count(list.len())),
        }),
        "concat" => concat(args),
        "reverselist" => exactly(args)
            .and_then(|[of]| Ok(Value::List(of.as_list()?.iter().rev().cloned().collect()))),
        "sort" => exactly(args).and_then(|[of]| {
            let mut texts = of.to_texts()?;
            texts.sort();
            Ok(Value::List(texts.into_iter().map(Value::Text).collect()))
        }),
        "distinct" => exactly(args).and_then(|[of]| {
            let mut kept: Vec<Value> = Vec::new();
            for value in of.as_list()? {
                if !kept.contains(value) {
                    kept.push(value.clone());
                }
            }
            Ok(Value::List(kept))
        }),
        "compact" => exactly(args).and_then(|[of]| {
            let given = of.as_list()?.iter().filter(|v| !matches!(v, Value::Null));
            let texts: Vec<String> = given.map(Value::to_text).collect::<Result<_>>()?;
            let kept = texts.into_iter().filter(|text| !text.is_empty());
            Ok(Value::List(kept.map(Value::Text).collect()))
        }),
        "flatten" => exactly(args).and_then(|[of]| {
            let mut flat = Vec::new();
            flatten(of, &mut flat)?;
            Ok(Value::List(flat))
        }),
        "contains" => {
            exactly(args).and_then(|[list, value]| truth(list.as_list()?.contains(value)))
        }
        "element" => exactly(args).and_then(|[list, at]| {
            let list = list.as_list()?;
            match list.get(whole_index(at)?.checked_rem(list.len()).unwrap_or(0)) {
                Some(found) => Ok(found.clone()),
                None => Err(Error::new("an empty list has no elements")),
            }
        }),
        "index" => exactly(args).and_then(|[of, at]| of.element(at)),
        "hasindex" => exactly(args).and_then(|[of, at]| truth(of.element(at).is_ok())),
        "indexof" => exactly(args).and_then(|[list, value]| {
            let found = list.as_list()?.iter().position(|known| known == value);
            found.map(count).ok_or_else(|| Error::new("item not found"))
        }),
        "slice" => exactly(args).and_then(|[list, from, to]| {
            let part = list.as_list()?.get(whole_index(from)?..whole_index(to)?);
            part.map(|part| Value::List(part.to_vec()))
                .ok_or_else(|| Error::new("it has no such part"))
        }),
        "chunklist" => exactly(args).and_then(|[list, size]| {
            let list = list.as_list()?;
            let size = match whole_index(size)? {
                0 => list.len().max(1),
                size => size,
            };
            Ok(Value::List(list.chunks(size).map(|part| Value::List(part.to_vec())).collect()))
        }),
        "coalesce" => first(args, |value| *value != Value::Null),
        "coalescelist" => first(args, |value| matches!(value, Value::List(l) if !l.is_empty())),
        "keys" => exactly(args)
            .and_then(|[of]| Ok(Value::List(of.as_object()?.keys().map(Value::text).collect()))),
        "values" => exactly(args)
            .and_then(|[of]| Ok(Value::List(of.as_object()?.values().cloned().collect()))),
        "lookup" => exactly(args).and_then(|[of, key, otherwise]| {
            Ok(of.as_object()?.get(&key.to_text()?).unwrap_or(otherwise).clone())
        }),
        "merge" => merge(args),
        "zipmap" => exactly(args).and_then(|[keys, values]| {
            let (keys, values) = (keys.to_texts()?, values.as_list()?);
            if keys.len() != values.len() {
                return Err(Error::new("there are not as many keys as values"));
            }
            Ok(Value::Object(keys.into_iter().zip(values.iter().cloned()).collect()))
        }),
        "csvdecode" => exactly(args).and_then(|[of]| table(&of.to_text()?)),
        _ => return None,
    })
}

fn concat(lists: &[Value]) -> Result<Value> {
    let mut all = Vec::new();
    for list in lists {
        all.extend(list.as_list()?.iter().cloned());
    }
    Ok(Value::List(all))
}

fn flatten(value: &Value, flat: &mut Vec<Value>) -> Result<()> {
    for value in value.as_list()? {
        match value {
            Value::List(_) => flatten(value, flat)?,
            other => flat.push(other.clone()),
        }
    }
    Ok(())
}

fn first(values: &[Value], is_it: impl Fn(&Value) -> bool) -> Result<Value> {
    let found = values.iter().find(|value| is_it(value)).cloned();
    found.ok_or_else(|| Error::new("none of the arguments has a value"))
}

fn merge(maps: &[Value]) -> Result<Value> {
    let mut all = BTreeMap::new();
    for map in maps.iter().filter(|map| **map != Value::Null) {
        all.extend(map.as_object()?.clone());
    }
    Ok(Value::Object(all))
}

/// Rows below a row of names.
fn table(of: &str) -> Result<Value> {
    let mut rows = of.lines().filter(|line| !line.is_empty()).map(crate::csv::fields);
    let Some(names) = rows.next().transpose()? else { return Ok(Value::List(Vec::new())) };
    let mut all = Vec::new();
    for row in rows {
        let row = row?;
        if row.len() != names.len() {
            return Err(Error::new("a row has another number of fields than the first"));
        }
        let pairs = names.iter().cloned().zip(row.into_iter().map(Value::Text));
        all.push(Value::Object(pairs.collect()));
    }
    Ok(Value::List(all))
}
