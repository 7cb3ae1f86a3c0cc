//! Names of entries as paths from the root.

use super::EntryFault;

/// An archive's name as a path from the root: without `.`, `..` and needless slashes. `..` is
/// taken by name, as other tools do, and may not climb out of the root.
pub(crate) fn clean(name: &[u8]) -> Result<Vec<u8>, EntryFault> {
    if name.contains(&0) {
        return Err(EntryFault::NulInName);
    }
    let mut clean: Vec<u8> = Vec::with_capacity(name.len());
    for component in name.split(|b| *b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                if clean.is_empty() {
                    return Err(EntryFault::OutsideRoot);
                }
                let end = clean.iter().rposition(|b| *b == b'/').unwrap_or(0);
                clean.truncate(end);
            }
            component => {
                if !clean.is_empty() {
                    clean.push(b'/');
                }
                clean.extend_from_slice(component);
            }
        }
    }
    Ok(clean)
}

/// The clean path `path` below the clean path `base`.
pub(crate) fn below(base: &[u8], path: &[u8]) -> Vec<u8> {
    match (base, path) {
        (b"", path) | (path, b"") => path.to_vec(),
        _ => [base, b"/", path].concat(),
    }
}

/// The directory and the last component of a clean path; `None` for the root.
pub(crate) fn split_clean(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    Some(match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_that_stay_inside() {
        for (name, path) in [
            ("", ""),
            ("./", ""),
            ("/", ""),
            ("a", "a"),
            ("/a//b/./c/", "a/b/c"),
            ("a/../b", "b"),
            ("a/b/../../c", "c"),
            ("a/..", ""),
            ("...", "..."),
        ] {
            assert_eq!(clean(name.as_bytes()), Ok(path.into()), "{name}");
        }
        for name in ["..", "../a", "/..", "a/../..", "a/../../a"] {
            assert_eq!(clean(name.as_bytes()), Err(EntryFault::OutsideRoot), "{name}");
        }
        assert_eq!(clean(b"a\0b"), Err(EntryFault::NulInName));
    }
}
