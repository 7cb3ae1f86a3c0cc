//! Reading a container's log, while it is written or afterwards.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use super::log::{self, LogLimits, Record};

/// How long nothing is noticed of a container that ends without a word.
const PATIENCE: Duration = Duration::from_millis(200);

/// Which records are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// None before this time.
    pub(crate) since: Option<Timestamp>,
    /// None after this time.
    pub(crate) until: Option<Timestamp>,
    /// At most so many lines of those that are there already.
    pub(crate) tail: Option<usize>,
}

impl Wanted {
    fn takes(&self, record: &Record) -> bool {
        self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time <= until)
    }

    /// Whether all that comes from now on is too late.
    fn is_past(&self) -> bool {
        self.until.is_some_and(|until| Timestamp::now() > until)
    }
}

/// A log from its oldest record on.
pub(crate) struct Replay {
    dir: PathBuf,
    files: VecDeque<BufReader<File>>,
    /// The part of a record that has been read, where its end was not written yet.
    begun: Vec<u8>,
}

impl Replay {
    /// Opens the log in a container's directory.
    pub(crate) fn open(dir: &Path, limits: LogLimits) -> io::Result<Replay> {
        let older = (1..limits.files).rev().map(|number| log::older(dir, number));
        let mut files = VecDeque::new();
        for path in older.chain([log::path(dir)]) {
            match File::open(path) {
                Ok(file) => files.push_back(BufReader::new(file)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Replay { dir: dir.to_owned(), files, begun: Vec::new() })
    }

    /// The next record; `None` if there is none now.
    fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(file) = self.files.front_mut() else { return Ok(None) };
            file.read_until(b'\n', &mut self.begun)?;
            if self.begun.ends_with(b"\n") {
                let line = std::mem::take(&mut self.begun);
                // What a killed keeper left of a record is nothing to show.
                match serde_json::from_slice(&line) {
                    Ok(record) => return Ok(Some(record)),
                    Err(_) => continue,
                }
            }
            if self.files.len() == 1 && !self.turned()? {
                return Ok(None);
            }
            self.begun.clear();
            self.files.pop_front();
        }
    }

    /// Opens the next file, if one was begun meanwhile.
    fn turned(&mut self) -> io::Result<bool> {
        let Some(last) = self.files.back() else { return Ok(false) };
        let file = match File::open(log::path(&self.dir)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        if file.metadata()?.ino() == last.get_ref().metadata()?.ino() {
            return Ok(false);
        }
        self.files.push_back(BufReader::new(file));
        Ok(true)
    }

    /// Shows the records that are there. With `tail`, only the last of them are kept meanwhile.
    pub(crate) fn show(
        &mut self,
        wanted: &Wanted,
        mut show: impl FnMut(&Record) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut last = VecDeque::new();
        // A line that was kept in several records is one line.
        let mut lines = 0;
        while let Some(record) = self.next()? {
            if !wanted.takes(&record) {
                continue;
            }
            let Some(tail) = wanted.tail else {
                show(&record)?;
                continue;
            };
            lines += usize::from(record.log.ends_with('\n'));
            last.push_back(record);
            while lines > tail || (lines == tail && !ends_line(last.back())) && !last.is_empty() {
                lines -= usize::from(ends_line(last.pop_front().as_ref()));
            }
        }
        last.iter().try_for_each(show)
    }

    /// Shows what is written from now on, as long as the container runs.
    pub(crate) fn follow(
        &mut self,
        wanted: &Wanted,
        runs: impl Fn() -> bool,
        mut show: impl FnMut(&Record) -> io::Result<()>,
    ) -> io::Result<()> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
        inotify::add_watch(&watch, &self.dir, events)?;
        let patience = Timespec { tv_sec: 0, tv_nsec: i64::from(PATIENCE.subsec_nanos()) };
        let mut buffer = [0; 4096];
        loop {
            // Asked before the rest is read: what an end wrote is read once more.
            let goes_on = runs();
            while let Some(record) = self.next()? {
                if wanted.takes(&record) {
                    show(&record)?;
                }
            }
            if !goes_on || wanted.is_past() {
                return Ok(());
            }
            poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&patience))?;
            while rustix::io::read(&watch, &mut buffer).is_ok_and(|count| count > 0) {}
        }
    }
}

fn ends_line(record: Option<&Record>) -> bool {
    record.is_some_and(|record| record.log.ends_with('\n'))
}
