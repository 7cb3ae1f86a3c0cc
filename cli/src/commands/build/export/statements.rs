//! What is said about files: statements beside them.

use std::io::{Read, Write};
use std::path::Path;

use layerfs::{Dir, FileKind, Root};
use oci::attestation::{Predicate, Statement, Subject};
use oci::{Algorithm, Digest};

use crate::error::{Doing, Failure};

/// How deep a tree may be. Each level holds a directory open.
const MAX_DEPTH: usize = 800;

/// What a predicate says about all files of a tree, for people to read.
pub(super) fn about_files(tree: &Root, predicate: &Predicate) -> Result<Vec<u8>, Failure> {
    let mut subjects = Vec::new();
    add(&tree.open_dir("/")?, "", 0, &mut subjects)?;
    Ok(Statement::new(predicate, &subjects).to_pretty())
}

fn add(dir: &Dir, below: &str, depth: usize, subjects: &mut Vec<Subject>) -> Result<(), Failure> {
    let cannot = || format!("cannot examine the files in /{below}");
    if depth > MAX_DEPTH {
        return Err(Failure::new(format!("the directory /{below} is too deep")));
    }
    let mut entries = dir.read().doing(cannot)?;
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, kind) in entries {
        let path = format!("{below}{}", name.to_string_lossy());
        match kind {
            FileKind::File => {
                let mut file = dir.open_file(&name).doing(cannot)?;
                let digest = digest(&mut file).doing(|| format!("cannot read /{path}"))?;
                subjects.push(Subject::new(path, &digest));
            }
            FileKind::Dir => {
                add(&dir.open_dir(&name).doing(cannot)?, &format!("{path}/"), depth + 1, subjects)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn digest(file: &mut impl Read) -> std::io::Result<Digest> {
    let mut hasher = Algorithm::Sha256.hasher();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Writes a statement as a file of a directory, readable by its owner alone as docker has it.
pub(super) fn write(directory: &Root, name: &str, text: &[u8]) -> Result<(), Failure> {
    let path = Path::new(name);
    // What is there may be a link to elsewhere.
    if directory.stat(path)?.is_some() {
        directory.unlink(path)?;
    }
    let mut file = directory.create_file(path, 0o600)?;
    file.write_all(text).doing(|| format!("cannot write {name}"))
}
