//! An image as it stands in an archive that `docker save` or a like command wrote, read without
//! any code of Tierce's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tar_core::EntryType;
use tar_core::parse::{Limits, ParseEvent, ParsedEntry, Parser};

use crate::step::Result;

/// How long a text is shown, in bytes.
const SHORT: usize = 120;

/// An image, its layers put together.
#[derive(Debug, Default)]
pub(crate) struct Image {
    /// The config document.
    pub(crate) document: Value,
    /// Everything in it, by path without a leading slash.
    pub(crate) tree: BTreeMap<String, Entry>,
}

/// One thing in an image's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `-`, `d`, `l`, `c`, `b` or `p`.
    pub(crate) kind: char,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds after 1970.
    pub(crate) mtime: u64,
    /// A symlink's target, or a device's numbers.
    pub(crate) target: String,
    /// A file's content.
    pub(crate) content: Vec<u8>,
    /// The first name of a file that has several.
    pub(crate) same_as: Option<String>,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
}

impl Image {
    /// Reads the only image of an archive.
    pub(crate) fn read(archive: &Path) -> Result<Image> {
        let at = |what: &str| format!("{}: {what}", archive.display());
        let bytes = std::fs::read(archive).map_err(|e| at(&e.to_string()))?;
        let files: BTreeMap<String, Vec<u8>> = entries(&bytes)?
            .into_iter()
            .filter(|(_, entry)| entry.kind == '-')
            .map(|(path, entry)| (path, entry.content))
            .collect();
        let file = |name: &str| files.get(name).ok_or_else(|| at(&format!("no file {name}")));
        let json = |name: &str| -> Result<Value> {
            serde_json::from_slice(file(name)?).map_err(|e| at(&e.to_string()))
        };
        let listed = json("manifest.json")?;
        let image = &listed[0];
        let name = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| at("no name"));
        let mut tree = BTreeMap::new();
        for layer in image["Layers"].as_array().into_iter().flatten() {
            apply(&mut tree, &plain(file(&name(layer)?)?)?)?;
        }
        Ok(Image { document: json(&name(&image["Config"])?)?, tree })
    }
}

impl Entry {
    /// Type, mode, owner, path, and a target or a size.
    pub(crate) fn line(&self, path: &str) -> String {
        let Entry { kind, mode, uid, gid, .. } = self;
        let mut line = format!("{kind}{mode:04o} {uid}:{gid} /{path}");
        let _ = match kind {
            'l' => write!(line, " -> {}", self.target),
            '-' => write!(line, " {}", self.content.len()),
            _ => Ok(()),
        };
        line
    }

    /// The content, if it is a short text; else a short name of it.
    pub(crate) fn gist(&self) -> String {
        match std::str::from_utf8(&self.content) {
            Ok(text) if text.len() <= SHORT => format!("{text:?}"),
            _ => Sha256::digest(&self.content)
                .iter()
                .take(6)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        }
    }
}

/// A layer's tar, decompressed if it is compressed.
fn plain(layer: &[u8]) -> Result<Vec<u8>> {
    let mut tar = Vec::new();
    if layer.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(layer)
            .read_to_end(&mut tar)
            .map_err(|e| format!("cannot decompress a layer: {e}"))?;
    } else {
        tar.extend_from_slice(layer);
    }
    Ok(tar)
}

/// Puts a layer on what is below it.
fn apply(tree: &mut BTreeMap<String, Entry>, tar: &[u8]) -> Result<()> {
    let entries = entries(tar)?;
    for (path, _) in &entries {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(hidden) = name.strip_prefix(".wh.") else { continue };
        let gone = match (dir, hidden) {
            (dir, ".wh..opq") => format!("{dir}/"),
            ("", hidden) => hidden.to_owned(),
            (dir, hidden) => format!("{dir}/{hidden}"),
        };
        remove(tree, &gone);
    }
    for (path, mut entry) in entries {
        if path.rsplit('/').next().is_some_and(|name| name.starts_with(".wh.")) {
            continue;
        }
        if let Some(first) = &entry.same_as
            && let Some(found) = tree.get(first)
        {
            let same_as = found.same_as.clone().or(entry.same_as.take());
            entry = Entry { same_as, ..found.clone() };
        }
        if entry.kind != 'd' || tree.get(&path).is_some_and(|old| old.kind != 'd') {
            remove(tree, &path);
        }
        tree.insert(path, entry);
    }
    Ok(())
}

/// Removes a path and all below it; one that ends in a slash, only what is below.
fn remove(tree: &mut BTreeMap<String, Entry>, path: &str) {
    let dir = path.trim_end_matches('/');
    let below = format!("{dir}/");
    let stays = path.ends_with('/');
    tree.retain(|name, _| !(name.starts_with(&below) || (!stays && name == dir)));
}

/// What is in a tar.
fn entries(tar: &[u8]) -> Result<Vec<(String, Entry)>> {
    let mut parser = Parser::new(Limits::default());
    parser.set_ignore_pax_errors(true);
    let (mut found, mut at) = (Vec::new(), 0);
    loop {
        match parser.parse(&tar[at..]).map_err(|e| format!("a tar is unreadable: {e}"))? {
            ParseEvent::Entry { consumed, entry } => {
                let begin = at + consumed;
                let size = usize::try_from(entry.size).map_err(|e| e.to_string())?;
                let content = tar.get(begin..begin + size).ok_or("a tar ends too early")?;
                let path = entry.path_lossy();
                let path = path.trim_start_matches("./").trim_matches('/').to_owned();
                found.push((path, as_entry(&entry, content)));
                at = begin + usize::try_from(entry.padded_size()).map_err(|e| e.to_string())?;
            }
            ParseEvent::GlobalExtensions { consumed, .. } => at += consumed,
            ParseEvent::End { .. } => return Ok(found),
            other => return Err(format!("a tar is unreadable: {other:?}")),
        }
    }
}

fn as_entry(entry: &ParsedEntry<'_>, content: &[u8]) -> Entry {
    let link = entry.link_target_lossy().map(Cow::into_owned);
    let kind = match entry.entry_type {
        EntryType::Directory => 'd',
        EntryType::Symlink => 'l',
        EntryType::Char => 'c',
        EntryType::Block => 'b',
        EntryType::Fifo => 'p',
        _ => '-',
    };
    let is_hard = entry.is_hard_link();
    let target = match kind {
        'l' => link.clone().unwrap_or_default(),
        'c' | 'b' => format!("{:?}:{:?}", entry.dev_major, entry.dev_minor),
        _ => String::new(),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Entry {
        kind,
        mode: if kind == 'l' { 0o777 } else { entry.mode & 0o7777 },
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime,
        target,
        content: content.to_vec(),
        same_as: link
            .filter(|_| is_hard)
            .map(|first| first.trim_start_matches("./").trim_matches('/').to_owned()),
        xattrs: entry.xattrs.iter().map(|(key, value)| (text(key), value.to_vec())).collect(),
    }
}
