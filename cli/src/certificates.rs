//! Certificates for single registries, as docker and containers keep them (containers-certs.d(5)):
//! a directory a registry, with `*.crt` to trust, and `NAME.cert` and `NAME.key` to be known by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use registry_client::HostTls;

/// What stands below these directories, of which an earlier one hides what a later one has for
/// the same registry. What cannot be read is not there.
pub(crate) fn read(directories: &[PathBuf]) -> BTreeMap<String, HostTls> {
    let mut all = BTreeMap::new();
    for directory in directories {
        for path in entries(directory) {
            let Some(registry) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let tls = of_registry(&path);
            if tls != HostTls::default() {
                all.entry(registry.to_owned()).or_insert(tls);
            }
        }
    }
    all
}

fn of_registry(directory: &Path) -> HostTls {
    let mut tls = HostTls::default();
    for path in entries(directory) {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => tls.roots.push(path),
            Some("cert") if tls.identity.is_none() => {
                let key = path.with_extension("key");
                tls.identity = key.is_file().then_some((path, key));
            }
            _ => {}
        }
    }
    tls
}

/// What is in a directory, sorted.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(list) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = list.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_directory_that_knows_a_registry_counts() {
        let scratch = testutil::Scratch::new();
        for file in
            ["one/a.example:5000/ca.crt", "two/a.example:5000/other.crt", "two/b.example/c.cert"]
        {
            let path = scratch.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::write(scratch.join("two/b.example/c.key"), "").unwrap();
        std::fs::create_dir_all(scratch.join("two/empty.example")).unwrap();
        let found = read(&["one", "two", "three"].map(|dir| scratch.join(dir)));
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["a.example:5000", "b.example"]);
        assert_eq!(found["a.example:5000"].roots, [scratch.join("one/a.example:5000/ca.crt")]);
        let key = scratch.join("two/b.example/c.key");
        assert_eq!(found["b.example"].identity, Some((key.with_extension("cert"), key)));
    }
}
