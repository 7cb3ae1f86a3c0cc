//! Texts.

use super::{count, exactly, text, whole_index};
use crate::value::Value;
use crate::{Error, Result};

/// Calls a function of texts.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value>> {
    Some(match name {
        "lower" => one(args, str::to_lowercase),
        "upper" => one(args, str::to_uppercase),
        "title" => one(args, title),
        "reverse" => one(args, |of| of.chars().rev().collect()),
        "chomp" => one(args, |of| of.trim_end_matches(['\n', '\r']).to_owned()),
        "trimspace" => one(args, |of| of.trim().to_owned()),
        "strlen" => exactly(args).and_then(|[of]| Ok(count(of.to_text()?.chars().count()))),
        "byteslen" => exactly(args).and_then(|[of]| Ok(count(of.to_text()?.len()))),
        "trim" => two(args, |of, set| of.trim_matches(|c| set.contains(c)).to_owned()),
        "trimprefix" => two(args, |of, prefix| of.strip_prefix(prefix).unwrap_or(of).to_owned()),
        "trimsuffix" => two(args, |of, suffix| of.strip_suffix(suffix).unwrap_or(of).to_owned()),
        "replace" => exactly(args).and_then(|[of, from, to]| {
            text(of.to_text()?.replace(&from.to_text()?, &to.to_text()?))
        }),
        "split" => exactly(args).and_then(|[by, of]| {
            let (by, of) = (by.to_text()?, of.to_text()?);
            let parts: Vec<Value> = match by.is_empty() {
                true => of.chars().map(|c| Value::text(c.to_string())).collect(),
                false => of.split(&by).map(Value::text).collect(),
            };
            Ok(Value::List(parts))
        }),
        "join" => join(args),
        "indent" => exactly(args).and_then(|[by, of]| {
            let spaces = " ".repeat(whole_index(by)?.min(1000));
            text(of.to_text()?.replace('\n', &format!("\n{spaces}")))
        }),
        "substr" => part(args),
        "bytesslice" => Err(Error::new("this function is not here")),
        "sanitize" => one(args, |of| {
            let kept = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            of.chars().map(|c| if kept(c) { c } else { '_' }).collect()
        }),
        _ => return None,
    })
}

fn one(args: &[Value], of: impl Fn(&str) -> String) -> Result<Value> {
    let [arg] = exactly(args)?;
    text(of(&arg.to_text()?))
}

fn two(args: &[Value], of: impl Fn(&str, &str) -> String) -> Result<Value> {
    let [one, other] = exactly(args)?;
    text(of(&one.to_text()?, &other.to_text()?))
}

fn title(of: &str) -> String {
    let mut titled = String::new();
    let mut begins = true;
    for c in of.chars() {
        match begins {
            true => titled.extend(c.to_uppercase()),
            false => titled.push(c),
        }
        begins = !(c.is_alphanumeric() || c == '_' || c == '\'');
    }
    titled
}

fn join(args: &[Value]) -> Result<Value> {
    let [by, lists @ ..] = args else { return Err(Error::new("a separator is required")) };
    if lists.is_empty() {
        return Err(Error::new("a list is required"));
    }
    let mut parts = Vec::new();
    for list in lists {
        parts.extend(list.to_texts()?);
    }
    text(parts.join(&by.to_text()?))
}

fn part(args: &[Value]) -> Result<Value> {
    let [of, offset, length] = exactly(args)?;
    let (of, offset, length) = (of.to_text()?, offset.to_whole()?, length.to_whole()?);
    let characters: Vec<char> = of.chars().collect();
    let from = match usize::try_from(offset) {
        Ok(from) => from.min(characters.len()),
        Err(_) => {
            let back = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            characters.len().saturating_sub(back)
        }
    };
    let to = match usize::try_from(length) {
        Ok(length) => from.saturating_add(length).min(characters.len()),
        Err(_) => characters.len(),
    };
    text(characters[from..to].iter().collect::<String>())
}
