//! `/proc/<pid>/stat` (proc_pid_stat(5)).

use std::fs;

/// What the kernel says of a process in one line.
#[derive(Debug, Clone)]
pub struct ProcessStat {
    /// The program's name, of at most 15 bytes, which may be any.
    pub name: String,
    /// The fields behind the name, of which the first is the third of the line.
    rest: Vec<String>,
}

impl ProcessStat {
    /// That of a process; `None` if there is no such process.
    pub fn of(pid: i32) -> Option<ProcessStat> {
        ProcessStat::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn read(line: &str) -> Option<ProcessStat> {
        // The name is in parentheses, and may have some of its own.
        let (before, rest) = line.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let rest = rest.split_ascii_whitespace().map(str::to_owned).collect();
        Some(ProcessStat { name: name.to_owned(), rest })
    }

    /// The field of a number of the manual's, from 3 on; empty if there is none.
    pub fn field(&self, number: usize) -> &str {
        number.checked_sub(3).and_then(|at| self.rest.get(at)).map_or("", String::as_str)
    }

    /// A field as a number; 0 if it is none, or is negative.
    pub fn number(&self, number: usize) -> u64 {
        self.field(number).parse().unwrap_or_default()
    }

    /// The id of its parent.
    pub fn parent(&self) -> i32 {
        self.field(4).parse().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = ProcessStat::read("7 (a) (b) c) S 3 7 7 0 -1").unwrap();
        assert_eq!((stat.name.as_str(), stat.field(3), stat.parent()), ("a) (b) c", "S", 3));
        assert_eq!((stat.number(6), stat.number(8), stat.field(99), stat.field(0)), (7, 0, "", ""));
        assert!(ProcessStat::read("nonsense").is_none());
    }

    #[test]
    fn this_process_has_its_parent() {
        let own = ProcessStat::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(own.parent(), i32::try_from(std::os::unix::process::parent_id()).unwrap());
    }
}
