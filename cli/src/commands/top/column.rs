//! The columns that `ps` knows, and what asks for them.

use super::process::{Machine, Process};
use crate::error::Failure;

/// A column and what stands above it.
pub(super) struct Heading {
    pub(super) column: Column,
    pub(super) text: String,
}

/// Declares columns: the names that `-o` has for each, and what stands above.
macro_rules! columns {
    ($($column:ident => [$($name:literal),+], $heading:literal;)*) => {
        /// What is shown of a process.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Column { $($column,)* }

        impl Column {
            /// All, with their names.
            const ALL: &[(Column, &[&str], &str)] = &[$((Column::$column, &[$($name),+], $heading),)*];
        }
    };
}

columns! {
    User => ["user", "uname", "euser"], "USER";
    Uid => ["uid", "euid"], "UID";
    Group => ["group", "egroup"], "GROUP";
    Gid => ["gid", "egid"], "GID";
    Pid => ["pid", "tgid"], "PID";
    Parent => ["ppid"], "PPID";
    Share => ["c"], "C";
    Percent => ["pcpu", "%cpu"], "%CPU";
    Memory => ["pmem", "%mem"], "%MEM";
    Virtual => ["vsz", "vsize"], "VSZ";
    Resident => ["rss", "rssize"], "RSS";
    Terminal => ["tty", "tt", "tname"], "TTY";
    State => ["stat", "s", "state"], "STAT";
    Start => ["stime", "start", "start_time", "bsdstart"], "STIME";
    Time => ["time", "cputime", "bsdtime"], "TIME";
    Elapsed => ["etime"], "ELAPSED";
    Seconds => ["etimes"], "ELAPSED";
    Nice => ["nice", "ni"], "NI";
    Threads => ["nlwp", "thcount"], "NLWP";
    Name => ["comm", "ucmd", "ucomm"], "COMMAND";
    Args => ["args", "cmd", "command"], "COMMAND";
}

/// What `ps -ef`, `ps aux` and `ps` show.
const FULL: [(Column, &str); 8] = [
    (Column::User, "UID"),
    (Column::Pid, "PID"),
    (Column::Parent, "PPID"),
    (Column::Share, "C"),
    (Column::Start, "STIME"),
    (Column::Terminal, "TTY"),
    (Column::Time, "TIME"),
    (Column::Args, "CMD"),
];
const USERS: [(Column, &str); 11] = [
    (Column::User, "USER"),
    (Column::Pid, "PID"),
    (Column::Percent, "%CPU"),
    (Column::Memory, "%MEM"),
    (Column::Virtual, "VSZ"),
    (Column::Resident, "RSS"),
    (Column::Terminal, "TTY"),
    (Column::State, "STAT"),
    (Column::Start, "START"),
    (Column::Time, "TIME"),
    (Column::Args, "COMMAND"),
];
const SHORT: [(Column, &str); 4] = [
    (Column::Pid, "PID"),
    (Column::Terminal, "TTY"),
    (Column::Time, "TIME"),
    (Column::Name, "CMD"),
];

/// The columns that options of ps ask for; those of `-ef` where there are none. Which processes
/// they choose does not matter: all of the container are shown.
pub(super) fn wanted(options: &[String]) -> Result<Vec<Heading>, Failure> {
    let mut chosen = Vec::new();
    let mut preset: Option<&[(Column, &str)]> = if options.is_empty() { Some(&FULL) } else { None };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let letters = option.trim_start_matches('-');
        let (letters, list) = match letters.split_once('o') {
            _ if option.starts_with("--") => return Err(unknown(option)),
            Some((before, "")) => (before, options.next().map(String::as_str)),
            Some((before, list)) => (before, Some(list.trim_start_matches('='))),
            None => (letters, Some("")),
        };
        let list = list.ok_or_else(|| Failure::new(format!("no columns after `{option}`")))?;
        for letter in letters.chars() {
            match letter {
                'f' if option.starts_with('-') => preset = Some(&FULL),
                'u' if !option.starts_with('-') || letters.contains('a') => preset = Some(&USERS),
                'e' | 'A' | 'a' | 'x' | 'w' | 'f' => {}
                _ => return Err(unknown(option)),
            }
        }
        list.split([',', ' ']).filter(|name| !name.is_empty()).try_for_each(|name| {
            chosen.push(named(name)?);
            Ok::<_, Failure>(())
        })?;
    }
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let preset = preset.unwrap_or(&SHORT).iter();
    Ok(preset.map(|(column, text)| Heading { column: *column, text: (*text).to_owned() }).collect())
}

/// `pid`, or `pid=NUMBER` with a heading of one's own.
fn named(name: &str) -> Result<Heading, Failure> {
    let (name, own) = name.split_once('=').map_or((name, None), |(name, own)| (name, Some(own)));
    let found = Column::ALL.iter().find(|(_, names, _)| names.contains(&name));
    let (column, _, text) = found.ok_or_else(|| {
        let known: Vec<&str> = Column::ALL.iter().map(|(_, names, _)| names[0]).collect();
        Failure::new(format!("no column `{name}`; these are: {}", known.join(", ")))
    })?;
    Ok(Heading { column: *column, text: own.unwrap_or(text).to_owned() })
}

fn unknown(option: &str) -> Failure {
    Failure::new(format!("the ps option `{option}` is not known; these are: -ef, aux, -o COLUMNS"))
}

impl Column {
    /// What is shown of a process.
    pub(super) fn cell(self, process: &Process, machine: &Machine) -> String {
        match self {
            Column::User => machine.user(process.uid),
            Column::Uid => process.uid.to_string(),
            Column::Group => machine.group(process.gid),
            Column::Gid => process.gid.to_string(),
            Column::Pid => process.pid.to_string(),
            Column::Parent => process.parent.to_string(),
            Column::Share => format!("{:.0}", process.share(machine)),
            Column::Percent => format!("{:.1}", process.share(machine)),
            Column::Memory => {
                let whole = machine.memory.max(1) as f64;
                format!("{:.1}", 100.0 * process.resident() as f64 / whole)
            }
            Column::Virtual => (process.virtual_size / 1024).to_string(),
            Column::Resident => process.resident().to_string(),
            Column::Terminal => terminal(process.terminal),
            Column::State => process.state.clone(),
            Column::Start => {
                let recent = process.age(machine) < 24 * 3600;
                let format = if recent { "%H:%M" } else { "%b%d" };
                process.started(machine).strftime(format).to_string()
            }
            Column::Time => clock(process.busy(machine)),
            Column::Elapsed => elapsed(process.age(machine)),
            Column::Seconds => process.age(machine).to_string(),
            Column::Nice => process.nice.clone(),
            Column::Threads => process.threads.to_string(),
            Column::Name => process.name.clone(),
            Column::Args => process.args.clone(),
        }
    }
}

/// The name of a terminal's device number (tty_nr of proc_pid_stat(5)).
fn terminal(number: u64) -> String {
    let major = (number >> 8) & 0xfff;
    let minor = (number & 0xff) | ((number >> 12) & 0xf_ff00);
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 if minor < 64 => format!("tty{minor}"),
        _ => "?".into(),
    }
}

fn clock(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn elapsed(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24) {
        (0, 0) => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        (0, _) => clock(seconds),
        (days, _) => format!("{days}-{}", clock(seconds % 86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(options: &[&str]) -> Result<String, String> {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let texts = |all: Vec<Heading>| all.into_iter().map(|one| one.text).collect::<Vec<_>>();
        wanted(&options).map(|all| texts(all).join(" ")).map_err(|failure| failure.message)
    }

    #[test]
    fn the_columns_are_those_of_ps() {
        let full = "UID PID PPID C STIME TTY TIME CMD";
        let users = "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND";
        for (options, expected) in [
            (&[][..], full),
            (&["-ef"], full),
            (&["-e", "-f"], full),
            (&["aux"], users),
            (&["-aux"], users),
            (&["-A"], "PID TTY TIME CMD"),
            (&["-o", "pid,args"], "PID COMMAND"),
            (&["-eo", "pid,comm=NAME"], "PID NAME"),
            (&["-opid", "-o", "user"], "PID USER"),
        ] {
            assert_eq!(headings(options).as_deref(), Ok(expected), "{options:?}");
        }
    }

    #[test]
    fn what_ps_does_not_know_is_refused() {
        for options in [&["-Z"][..], &["--forest"], &["-o"], &["-o", "nothing"]] {
            assert!(headings(options).is_err(), "{options:?}");
        }
    }

    #[test]
    fn terminals_and_times_are_written_as_ps_does() {
        assert_eq!(terminal(0), "?");
        assert_eq!(terminal((136 << 8) | 3), "pts/3");
        assert_eq!(clock(3_723), "01:02:03");
        assert_eq!(elapsed(62), "01:02");
        assert_eq!(elapsed(90_061), "1-01:01:01");
    }
}
