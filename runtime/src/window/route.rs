//! Which paths are looked up outside of the root, and where.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use crate::system_path;

/// A path of the machine that stands for one of the container's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// Where it is.
    pub(super) path: CString,
    /// Whether it may be written to.
    pub(super) writable: bool,
}

/// The process that asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    /// Its thread.
    pub(super) thread: i32,
    /// The process.
    pub(super) process: i32,
}

/// Devices that a container may have to go without.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

/// Where a path leads, if it leads out. `is_ours` tells whether a process is the container's. What
/// goes up again (`..`) is the kernel's to resolve, inside.
pub(super) fn route(path: &[u8], asker: Asker, is_ours: impl Fn(i32) -> bool) -> Option<Route> {
    let path = Path::new(OsStr::from_bytes(path));
    let mut names = Vec::new();
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return None;
    }
    for component in components {
        match component {
            Component::Normal(name) => names.push(name.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    let Asker { thread, process } = asker;
    let (start, rest) = match names.as_slice() {
        ["dev", "stdin"] => (format!("/proc/{process}/fd/0"), &[][..]),
        ["dev", "stdout"] => (format!("/proc/{process}/fd/1"), &[][..]),
        ["dev", "stderr"] => (format!("/proc/{process}/fd/2"), &[][..]),
        ["dev", "fd", ..] => (format!("/proc/{process}"), names.get(1..)?),
        ["dev", name] if DEVICES.contains(name) => (format!("/dev/{name}"), &[][..]),
        ["proc", "self", rest @ ..] => (format!("/proc/{process}"), rest),
        ["proc", "thread-self", rest @ ..] => (format!("/proc/{process}/task/{thread}"), rest),
        ["proc", rest @ ("net" | "mounts"), below @ ..] => {
            (format!("/proc/{process}/{rest}"), below)
        }
        ["proc", number, rest @ ..] if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            (format!("/proc/{}", number.parse().ok().filter(|number| is_ours(*number))?), rest)
        }
        ["proc" | "sys", _, ..] => return of_the_kernel(&names),
        _ => return None,
    };
    if leads_elsewhere(rest) {
        return None;
    }
    let path = rest.iter().fold(start, |path, name| path + "/" + name);
    Some(Route { path: CString::new(path).ok()?, writable: true })
}

/// Whether names below a process's directory go on behind a link to what is no part of /proc: the
/// links on such a way would be followed outside.
fn leads_elsewhere(names: &[&str]) -> bool {
    let links = ["cwd", "exe", "root"];
    names.iter().enumerate().any(|(at, name)| {
        let further = names.len() - at - 1;
        (links.contains(name) && further > 0)
            || (matches!(*name, "fd" | "map_files") && further > 1)
    })
}

/// What is the same for all processes is only to be read, and some of it not even that.
fn of_the_kernel(names: &[&str]) -> Option<Route> {
    let path = names.join("/");
    let is_masked = system_path::MASKED.iter().any(|masked| Path::new(&path).starts_with(masked));
    let path = CString::new(format!("/{path}")).ok()?;
    (!is_masked).then_some(Route { path, writable: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(path: &str) -> Option<(String, bool)> {
        let asker = Asker { thread: 8, process: 7 };
        let route = route(path.as_bytes(), asker, |number| number == 9)?;
        Some((route.path.into_string().unwrap(), route.writable))
    }

    #[test]
    fn paths_lead_where_they_should() {
        for (path, expected) in [
            ("/dev/stderr", "/proc/7/fd/2"),
            ("//dev/./fd//63", "/proc/7/fd/63"),
            ("/dev/fd", "/proc/7/fd"),
            ("/dev/null", "/dev/null"),
            ("/proc/self/exe", "/proc/7/exe"),
            ("/proc/self", "/proc/7"),
            ("/proc/thread-self/comm", "/proc/7/task/8/comm"),
            ("/proc/9/status", "/proc/9/status"),
            ("/proc/mounts", "/proc/7/mounts"),
        ] {
            assert_eq!(to(path), Some((expected.to_owned(), true)), "{path}");
        }
        for path in ["/proc/cpuinfo", "/proc/sys/kernel/ostype", "/sys/devices/system/cpu/online"] {
            assert_eq!(to(path), Some((path.to_owned(), false)), "{path}");
        }
    }

    #[test]
    fn all_else_stays_inside() {
        for path in [
            "",
            "/",
            "proc/self",
            "/proc",
            "/sys",
            "/proc/",
            "/proc/1/root",
            "/proc/self/../1/root",
            "/proc/99999999999",
            "/etc/passwd",
            "/dev",
            "/dev/sda",
            "/proc/kcore",
            "/sys/firmware/x",
            "/../proc/self",
            "/procfs",
            "/proc/self/root/etc/passwd",
            "/proc/self/cwd/x",
            "/proc/9/task/9/root/x",
            "/dev/fd/3/x",
            "/proc/self/fd/3/etc",
        ] {
            assert_eq!(to(path), None, "{path}");
        }
    }
}
