//! Real files: compression and hashing are judged by what images hold.

use std::fs;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::step::Result;

/// Where the files come from.
const SOURCE: &str = "/usr";
/// How far a layer's bytes may run ahead of its share, so that big files come in too.
const SLACK: u64 = 16 << 20;
/// How many of a layer's files are kept back for the big ones that were passed over.
const BIG: u64 = 40;

/// How big a tree is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Size {
    /// Regular files.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl Size {
    /// Copies a file of the machine into a folder; one that cannot be read is left out.
    fn take(&mut self, folder: &Path, path: &Path, length: u64) -> Result<()> {
        if copy(path, &folder.join(path.strip_prefix("/").unwrap_or(path)))? {
            *self = Size { files: self.files + 1, bytes: self.bytes + length };
        }
        Ok(())
    }
}

/// The regular files below `/usr`, in the order of their names.
struct Walk {
    todo: Vec<PathBuf>,
}

impl Walk {
    fn new() -> Self {
        Walk { todo: vec![PathBuf::from(SOURCE)] }
    }
}

impl Iterator for Walk {
    type Item = (PathBuf, u64);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(path) = self.todo.pop() {
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if meta.is_file() {
                return Some((path, meta.len()));
            }
            if meta.is_dir()
                && let Ok(entries) = fs::read_dir(&path)
            {
                let mut below: Vec<PathBuf> =
                    entries.filter_map(|e| Some(e.ok()?.path())).collect();
                below.sort();
                self.todo.extend(below.into_iter().rev());
            }
        }
        None
    }
}

/// The first bytes of the machine's own files.
pub(crate) fn sample(bytes: usize) -> Result<Vec<u8>> {
    let mut sample = Vec::with_capacity(bytes);
    for (path, _) in Walk::new() {
        let left = bytes - sample.len();
        if left == 0 {
            break;
        }
        if let Ok(file) = fs::File::open(&path) {
            // A file that cannot be read is left out.
            let _ = file.take(left as u64).read_to_end(&mut sample);
        }
    }
    while sample.len() < bytes {
        let filling = filling(sample.len() as u64, (bytes - sample.len()).min(1 << 20));
        sample.extend_from_slice(&filling);
    }
    Ok(sample)
}

/// Bytes that deflate as programs and texts do together: half words, half noise.
fn filling(seed: u64, length: usize) -> Vec<u8> {
    const WORDS: [&str; 8] =
        ["layer ", "return ", "static ", "manifest ", "the ", "of ", "digest\n", "\t\t"];
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(length + 16);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let random = (state >> 33) as usize;
        if random % 16 < 13 {
            bytes.extend_from_slice(WORDS[random / 16 % WORDS.len()].as_bytes());
        } else {
            bytes.extend_from_slice(&(state >> 16).to_le_bytes()[..6]);
        }
    }
    bytes.truncate(length);
    bytes
}

/// Fills folders with real files: `files` and `bytes` in all, evenly spread; where the machine has
/// too few, the rest is made up.
pub(crate) fn layers(folders: &[PathBuf], files: u64, bytes: u64) -> Result<Size> {
    let count = folders.len() as u64;
    let share = Size { files: files / count, bytes: bytes / count };
    let mut walk = Walk::new();
    let mut all = Size::default();
    for folder in folders {
        let size = layer(folder, share, &mut walk)?;
        all = Size { files: all.files + size.files, bytes: all.bytes + size.bytes };
    }
    Ok(all)
}

fn layer(folder: &Path, share: Size, walk: &mut Walk) -> Result<Size> {
    let mut size = Size::default();
    let mut passed_over = Vec::new();
    while size.files + BIG < share.files {
        let Some((path, length)) = walk.next() else { break };
        // Large and small files keep to the average that is asked for.
        let due = share.bytes * (size.files + 1) / share.files + SLACK;
        if size.bytes + length > due.min(share.bytes) {
            passed_over.push((path, length));
        } else {
            size.take(folder, &path, length)?;
        }
    }
    for (path, length) in passed_over {
        if size.files + 1 < share.files && size.bytes + length <= share.bytes {
            size.take(folder, &path, length)?;
        }
    }
    let missing = share.files - size.files;
    let each = (share.bytes.saturating_sub(size.bytes) / missing.max(1)).max(1);
    for i in 0..missing {
        let made = filling(i, usize::try_from(each).unwrap_or(1));
        write(&folder.join(format!("usr/made/{}/{i}", i / 500)), &made)?;
        size = Size { files: size.files + 1, bytes: size.bytes + each };
    }
    Ok(size)
}

/// Copies a file's content and mode; `false` if it cannot be read.
fn copy(from: &Path, to: &Path) -> Result<bool> {
    let Ok(bytes) = fs::read(from) else { return Ok(false) };
    write(to, &bytes)?;
    let mode = fs::metadata(from).map_or(0o644, |m| m.permissions().mode() & 0o755 | 0o600);
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
        .map_err(|e| format!("cannot set the mode of {}: {e}", to.display()))?;
    Ok(true)
}

/// Many small files, each the beginning of a real one, and some large ones.
pub(crate) fn mixed(folder: &Path, small: u64, large: u64, large_bytes: u64) -> Result<Size> {
    let mut size = small_files(folder, small, 4096)?;
    for i in 0..large {
        let sample = sample(usize::try_from(large_bytes).unwrap_or(0))?;
        // Different at the front, so that no two are the same file.
        let mut bytes = format!("{i}\n").into_bytes();
        bytes.extend_from_slice(&sample);
        write(&folder.join(format!("large/{i}")), &bytes)?;
        size = Size { files: size.files + 1, bytes: size.bytes + bytes.len() as u64 };
    }
    Ok(size)
}

/// Files with the first bytes of real ones, 250 to a folder.
pub(crate) fn small_files(folder: &Path, count: u64, most: usize) -> Result<Size> {
    let mut size = Size::default();
    let mut walk = Walk::new();
    for i in 0..count {
        let mut bytes = format!("{i}\n").into_bytes();
        if let Some(file) = walk.next().and_then(|(path, _)| fs::File::open(path).ok()) {
            // A file that cannot be read leaves its number alone.
            let _ = file.take(most as u64).read_to_end(&mut bytes);
        }
        write(&folder.join(format!("small/{}/{i}", i / 250)), &bytes)?;
        size = Size { files: size.files + 1, bytes: size.bytes + bytes.len() as u64 };
    }
    Ok(size)
}

/// Writes a file, and the folders above it; its time is long past, as that of a file in a
/// checkout is.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e| format!("cannot write {}: {e}", path.display());
    let file = match fs::File::create(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(path)).map_err(failed)?;
            fs::File::create(path)
        }
        other => other,
    }
    .map_err(failed)?;
    let mut writer = BufWriter::new(&file);
    writer.write_all(bytes).and_then(|()| writer.flush()).map_err(failed)?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).map_err(failed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn layers_have_the_number_of_files_that_was_asked_for() {
        let folder = std::env::temp_dir().join(format!("corpus-{}", std::process::id()));
        let folders = [folder.join("1"), folder.join("2")];
        let size = layers(&folders, 40, 200_000).unwrap();
        assert_eq!(size.files, 40);
        assert!((100_000..=220_000).contains(&size.bytes), "{size:?}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn filling_deflates_about_as_files_do() {
        let bytes = filling(1, 1 << 18);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(&bytes).unwrap();
        let packed = encoder.finish().unwrap().len();
        let ratio = packed as f64 / bytes.len() as f64;
        assert!((0.2..0.7).contains(&ratio), "{ratio}");
    }
}
