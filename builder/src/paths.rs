//! Paths inside an image: text with slashes, cleaned by Go's rules, which are Docker's.

/// `path` without empty and `.` components and with `..` resolved, by text alone. The result is
/// absolute: above the root there is the root.
pub(crate) fn clean_absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `path` without empty and `.` components and with `..` resolved as far as it can be, by text
/// alone; nothing at all is `.`.
pub(crate) fn clean(path: &str) -> String {
    if path.starts_with('/') {
        return clean_absolute(path);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// `path` seen from the directory `base`, clean but for what says that a directory is meant: a
/// slash or `/.` at the end is kept.
pub(crate) fn resolve_keeping_slash(base: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut clean = clean_absolute(&joined);
    if path.ends_with("/.") && clean != "/" {
        clean.push_str("/.");
    } else if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    clean
}

/// Whether a destination says by its spelling that it is a directory.
pub(crate) fn names_directory(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.")
}

/// The last component; empty for the root.
pub(crate) fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// The directory that holds `path`, a clean absolute path; that of the root is the root.
pub(crate) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (base, path, clean) in [
            ("/", "a", "/a"),
            ("/w", "a/b/", "/w/a/b/"),
            ("/w", "/a//b/../c", "/a/c"),
            ("/w", "../../..", "/"),
            ("/w", "./", "/w/"),
            ("/w/", ".", "/w"),
            ("/w", "a/.", "/w/a/."),
            ("/", "/", "/"),
            ("/", "./", "/"),
        ] {
            assert_eq!(resolve_keeping_slash(base, path), clean, "{base} {path}");
        }
    }

    #[test]
    fn relative_paths_stay_relative() {
        for (path, cleaned) in
            [("", "."), ("a/", "a"), ("./a//b/..", "a"), ("../a/../..", "../.."), ("/a/", "/a")]
        {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }

    #[test]
    fn parts_of_paths() {
        assert_eq!((parent("/a/b"), base_name("/a/b")), ("/a", "b"));
        assert_eq!((parent("/a"), base_name("/a/")), ("/", "a"));
        assert_eq!((parent("/"), base_name("/")), ("/", ""));
    }
}
