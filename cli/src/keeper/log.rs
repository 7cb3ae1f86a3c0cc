//! What a container said, line by line, as docker's `json-file` has it; old files go.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::ui::quantity::parse_size;

/// The longest line that is kept in one piece, in bytes, as docker's.
const MAX_LINE: usize = 16 << 10;

/// How much is kept of what a container says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogLimits {
    /// The size of a file in bytes, at which another is begun.
    pub(crate) size: u64,
    /// How many files are kept.
    pub(crate) files: u32,
}

impl Default for LogLimits {
    /// As docker's driver `local`: a hundred megabytes.
    fn default() -> LogLimits {
        LogLimits { size: 20 << 20, files: 5 }
    }
}

impl LogLimits {
    /// Reads `max-size=10m` and `max-file=3`.
    pub(crate) fn read(options: &[String]) -> Result<LogLimits, Failure> {
        let mut limits = LogLimits::default();
        for option in options {
            let bad = || Failure::new(format!("`{option}` is no option of a log here"));
            match option.split_once('=').ok_or_else(bad)? {
                ("max-size", size) => limits.size = size_in_bytes(size).ok_or_else(bad)?,
                ("max-file", files) => {
                    limits.files = files.parse().ok().filter(|files| *files > 0).ok_or_else(bad)?;
                }
                _ => {
                    return Err(bad().hint(
                        "these are: max-size, max-file, labels, labels-regex, env, env-regex, tag",
                    ));
                }
            }
        }
        Ok(limits)
    }
}

/// A size with a unit of 1024: `10m`.
fn size_in_bytes(text: &str) -> Option<u64> {
    parse_size(text).ok().filter(|size| *size > 0)
}

/// A line of a log, or a part of a long one: then it does not end in a newline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The text. What is not UTF-8 is replaced, as docker does.
    pub(crate) log: String,
    /// `stdout` or `stderr`.
    pub(crate) stream: Channel,
    /// When it was said.
    pub(crate) time: Timestamp,
}

/// Which of its two outputs a container wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

/// The file that is written to, in a container's directory; older ones have a number behind.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("log.json")
}

/// An older file: 1 is the youngest of them.
pub(crate) fn older(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("log.json.{number}"))
}

/// The log of a container while it is written.
pub(crate) struct Log {
    dir: PathBuf,
    limits: LogLimits,
    file: File,
    size: u64,
    /// What has not come to the end of its line yet, of each channel.
    begun: [Vec<u8>; 2],
}

impl Log {
    /// Opens the log in a container's directory, to go on with it.
    pub(crate) fn open(dir: &Path, limits: LogLimits) -> io::Result<Log> {
        let file = File::options().create(true).append(true).open(path(dir))?;
        let size = file.metadata()?.len();
        Ok(Log { dir: dir.to_owned(), limits, file, size, begun: [Vec::new(), Vec::new()] })
    }

    /// Writes what came.
    pub(crate) fn write(&mut self, channel: Channel, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let begun = &mut self.begun[channel as usize];
            let room = MAX_LINE - begun.len();
            let end = rest.iter().take(room).position(|byte| *byte == b'\n');
            let (piece, behind) = rest.split_at(end.map_or(rest.len().min(room), |end| end + 1));
            begun.extend_from_slice(piece);
            rest = behind;
            if end.is_some() || begun.len() == MAX_LINE {
                self.end_line(channel)?;
            }
        }
        Ok(())
    }

    /// Writes what has been begun, as it is: there will be no more of it.
    pub(crate) fn end_line(&mut self, channel: Channel) -> io::Result<()> {
        let line = std::mem::take(&mut self.begun[channel as usize]);
        if line.is_empty() {
            return Ok(());
        }
        let log = String::from_utf8_lossy(&line).into_owned();
        let mut record =
            serde_json::to_vec(&Record { log, stream: channel, time: Timestamp::now() })?;
        record.push(b'\n');
        if self.size > 0 && self.size + record.len() as u64 > self.limits.size {
            self.turn()?;
        }
        self.file.write_all(&record)?;
        self.size += record.len() as u64;
        Ok(())
    }

    /// Begins another file.
    fn turn(&mut self) -> io::Result<()> {
        if self.limits.files <= 1 {
            // Who reads the log may have it open: he finds another file here.
            fs::remove_file(path(&self.dir))?;
        }
        for number in (1..self.limits.files).rev() {
            let younger = if number == 1 { path(&self.dir) } else { older(&self.dir, number - 1) };
            match fs::rename(younger, older(&self.dir, number)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        self.file = File::options().create(true).append(true).open(path(&self.dir))?;
        self.size = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(path: &Path) -> Vec<(String, Channel)> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let records = text.lines().map(|line| serde_json::from_str::<Record>(line).unwrap());
        records.map(|record| (record.log, record.stream)).collect()
    }

    #[test]
    fn lines_of_two_channels_are_kept_whole_and_long_ones_in_parts() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), LogLimits::default()).unwrap();
        log.write(Channel::Stdout, b"one\ntw").unwrap();
        log.write(Channel::Stderr, b"other\n").unwrap();
        log.write(Channel::Stdout, b"o\n").unwrap();
        let long = "x".repeat(MAX_LINE + 1);
        log.write(Channel::Stdout, long.as_bytes()).unwrap();
        log.end_line(Channel::Stdout).unwrap();
        let (start, end) = long.split_at(MAX_LINE);
        let expected =
            [("one\n", true), ("other\n", false), ("two\n", true), (start, true), (end, true)];
        let expected = expected.map(|(text, out)| {
            (text.to_owned(), if out { Channel::Stdout } else { Channel::Stderr })
        });
        assert_eq!(records(&path(dir.path())), expected);
    }

    #[test]
    fn old_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let limits = LogLimits { size: 150, files: 2 };
        let mut log = Log::open(dir.path(), limits).unwrap();
        for number in 0..7 {
            log.write(Channel::Stdout, format!("line {number}\n").as_bytes()).unwrap();
        }
        assert_eq!(records(&path(dir.path())).last().unwrap().0, "line 6\n");
        assert_eq!(records(&older(dir.path(), 1)).last().unwrap().0, "line 5\n");
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["log.json", "log.json.1"]);
    }
}
