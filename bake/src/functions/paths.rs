//! Paths.

use super::{exactly, text};
use crate::surroundings::Surroundings;
use crate::value::Value;
use crate::{Error, Result};

/// Calls a function of paths.
pub(super) fn call(
    name: &str,
    args: &[Value],
    surroundings: &dyn Surroundings,
) -> Option<Result<Value>> {
    Some(match name {
        "basename" => exactly(args).and_then(|[of]| text(base(&of.to_text()?))),
        "dirname" => exactly(args).and_then(|[of]| {
            let of = of.to_text()?;
            let directory = of.rfind('/').map_or("", |slash| &of[..=slash]);
            text(clean(directory))
        }),
        "homedir" => exactly(args).and_then(|[]: &[Value; 0]| {
            let home = surroundings.home();
            home.map(Value::Text).ok_or_else(|| Error::new("there is no home directory"))
        }),
        _ => return None,
    })
}

fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    match trimmed.is_empty() {
        true => "/",
        false => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// The shortest path that means the same without a look at files.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            _ => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_without_a_look_at_files() {
        let cleaned = ["", "./a/", "a//b/../c", "../a", "/..", "/a/./b"].map(clean);
        assert_eq!(cleaned, [".", "a", "a/c", "../a", "/", "/a/b"]);
        assert_eq!(["", "/", "a/b", "a/b/"].map(base), [".", "/", "b", "b"]);
    }
}
