//! What is different between two images or containers, for people and for programs.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use layerfs::{Aspect, Difference, Entry, FileKind, Metadata, Timestamp};
use serde_json::{Value, json};

/// What two images or containers say of how they run, and differently.
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) before: Value,
    pub(super) after: Value,
}

/// Compares two configs as `inspect` shows them. What one of them has no word for is not there.
pub(super) fn settings(before: &Value, after: &Value) -> Vec<Setting> {
    let empty = serde_json::Map::new();
    let (before, after) =
        (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let both = before.iter().filter_map(|(name, was)| Some((name, was, after.get(name)?)));
    both.filter(|(_, was, is)| !is_nothing(was, is) && was != is)
        .map(|(name, was, is)| Setting {
            name: name.clone(),
            before: was.clone(),
            after: is.clone(),
        })
        .collect()
}

/// Whether both are ways to say nothing.
fn is_nothing(a: &Value, b: &Value) -> bool {
    let nothing = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    nothing(a) && nothing(b)
}

/// Everything as one document.
pub(super) fn as_json(files: &[Difference], config: &[Setting]) -> Value {
    let files: Vec<Value> = files
        .iter()
        .map(|one| {
            json!({
                "Kind": letter(one).to_string(),
                "Path": Path::new("/").join(&one.path).to_string_lossy(),
                "Aspects": one.aspects.iter().map(|aspect| name(*aspect)).collect::<Vec<_>>(),
                "Before": one.before.as_ref().map(entry),
                "After": one.after.as_ref().map(entry),
            })
        })
        .collect();
    let config: Vec<Value> = config
        .iter()
        .map(|one| json!({ "Name": one.name, "Before": one.before, "After": one.after }))
        .collect();
    json!({ "Files": files, "Config": config })
}

fn entry(entry: &Entry) -> Value {
    let metadata = &entry.metadata;
    json!({
        "Type": kind(metadata.kind),
        "Mode": format!("{:04o}", metadata.mode),
        "Uid": metadata.uid,
        "Gid": metadata.gid,
        "Size": metadata.size,
        "ModTime": time(metadata.mtime),
        "Target": entry.target.as_ref().map(|target| target.to_string_lossy()),
    })
}

/// A line for each: a letter and the path, as `diff` of a container has them, then what it is.
pub(super) fn as_text(
    files: &[Difference],
    config: &[Setting],
    out: &mut dyn Write,
) -> std::io::Result<()> {
    for one in files {
        write!(out, "{} /", letter(one))?;
        // A path is bytes; what is no text is printed as it is.
        out.write_all(one.path.as_os_str().as_bytes())?;
        writeln!(out, "\t{}", described(one))?;
    }
    for one in config {
        writeln!(out, "C config.{}\t{} -> {}", one.name, one.before, one.after)?;
    }
    Ok(())
}

fn letter(one: &Difference) -> char {
    match (&one.before, &one.after) {
        (None, _) => 'A',
        (_, None) => 'D',
        _ => 'C',
    }
}

fn described(one: &Difference) -> String {
    let (before, after) = match (&one.before, &one.after) {
        (Some(before), Some(after)) => (before, after),
        (Some(alone), None) | (None, Some(alone)) => return listed(alone),
        (None, None) => return String::new(),
    };
    if before.metadata.kind != after.metadata.kind {
        return format!("{} -> {}", listed(before), listed(after));
    }
    let values = one.aspects.iter().map(|aspect| {
        let value = |entry: &Entry| value(*aspect, entry);
        match (value(before), value(after)) {
            (Some(before), Some(after)) => format!("{} {before} -> {after}", name(*aspect)),
            _ => name(*aspect).to_owned(),
        }
    });
    values.collect::<Vec<_>>().join(", ")
}

/// What something is: `file 0755 0:0 1024`, `symlink 0:0 -> target`.
fn listed(entry: &Entry) -> String {
    let Metadata { kind: file_kind, mode, uid, gid, size, .. } = entry.metadata;
    match (&entry.target, file_kind) {
        (Some(target), _) => format!("symlink {uid}:{gid} -> {}", target.display()),
        (None, FileKind::File) => format!("file {mode:04o} {uid}:{gid} {size}"),
        (None, other) => format!("{} {mode:04o} {uid}:{gid}", kind(other)),
    }
}

/// What is compared, where it can be written down.
fn value(aspect: Aspect, entry: &Entry) -> Option<String> {
    let metadata = &entry.metadata;
    match aspect {
        Aspect::Mode => Some(format!("{:04o}", metadata.mode)),
        Aspect::Owner => Some(format!("{}:{}", metadata.uid, metadata.gid)),
        Aspect::Size => Some(metadata.size.to_string()),
        Aspect::Time => Some(time(metadata.mtime)),
        Aspect::Target => entry.target.as_ref().map(|target| target.display().to_string()),
        Aspect::Device => Some(format!("{}:{}", metadata.rdev.0, metadata.rdev.1)),
        Aspect::Content | Aspect::Attributes => None,
    }
}

fn name(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Mode => "mode",
        Aspect::Owner => "owner",
        Aspect::Size => "size",
        Aspect::Content => "content",
        Aspect::Time => "time",
        Aspect::Target => "target",
        Aspect::Device => "device",
        Aspect::Attributes => "attributes",
    }
}

fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Dir => "directory",
        FileKind::Symlink => "symlink",
        FileKind::CharDevice => "character device",
        FileKind::BlockDevice => "block device",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
    }
}

fn time(at: Timestamp) -> String {
    let nanoseconds = i32::try_from(at.nanoseconds).unwrap_or(0);
    match jiff::Timestamp::new(at.seconds, nanoseconds) {
        Ok(time) => time.to_string(),
        Err(_) => at.seconds.to_string(),
    }
}
