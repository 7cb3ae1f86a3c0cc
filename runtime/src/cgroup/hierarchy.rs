//! Where the groups of this process stand.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a hierarchy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Version {
    /// Version 1: these controllers.
    Legacy(Vec<String>),
    /// Version 2: those that its groups say.
    Unified,
}

/// One hierarchy of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    version: Version,
    /// Where it is mounted.
    mount: PathBuf,
    /// The directory of our own group.
    own: PathBuf,
}

/// All that are mounted.
#[derive(Debug)]
pub(super) struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    /// Those of this process.
    pub(super) fn of_this_process() -> io::Result<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(Self(read(&groups, &mounts)))
    }

    /// The one that has a controller. A controller is in one hierarchy at a time.
    pub(super) fn with(&self, controller: &str) -> Option<&Hierarchy> {
        self.0.iter().find(|hierarchy| hierarchy.has(controller))
    }

    /// Those of version 1.
    pub(super) fn legacy(&self) -> impl Iterator<Item = &Hierarchy> {
        self.0.iter().filter(|hierarchy| !hierarchy.is_unified())
    }

    /// The one of version 2.
    pub(super) fn unified(&self) -> Option<&Hierarchy> {
        self.0.iter().find(|hierarchy| hierarchy.is_unified())
    }
}

/// `/proc/self/cgroup` (cgroups(7)) put together with `/proc/self/mountinfo` (proc(5)).
fn read(groups: &str, mounts: &str) -> Vec<Hierarchy> {
    let group_of = |version: &Version| {
        groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (names, path) = (fields.next()?, fields.next()?);
            let matches = match version {
                Version::Unified => names.is_empty(),
                Version::Legacy(wanted) => {
                    names.split(',').any(|name| wanted.iter().any(|w| w == name))
                }
            };
            matches.then(|| path.to_owned())
        })
    };
    mounts
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut before = before.split(' ').skip(3);
            let (root, mount) = (before.next()?, before.next()?);
            let mut after = after.split(' ');
            let version = match after.next()? {
                "cgroup2" => Version::Unified,
                "cgroup" => {
                    let options = after.nth(1)?;
                    Version::Legacy(options.split(',').map(str::to_owned).collect())
                }
                _ => return None,
            };
            let path = group_of(&version)?;
            // What is mounted may be a part, as in a container without a namespace for groups.
            let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or("");
            let mount = PathBuf::from(mount);
            let own = mount.join(below.trim_start_matches('/'));
            Some(Hierarchy { version, mount, own })
        })
        .collect()
}

impl Hierarchy {
    /// Whether this is version 2.
    pub(super) fn is_unified(&self) -> bool {
        self.version == Version::Unified
    }

    /// The options by which one of version 1 is known: its controllers, or a name.
    pub(super) fn options(&self) -> impl Iterator<Item = &str> {
        const OTHERS: [&str; 7] =
            ["rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "seclabel"];
        let all = match &self.version {
            Version::Legacy(options) => options.as_slice(),
            Version::Unified => &[],
        };
        let is_other = |option: &str| OTHERS.contains(&option) || option.starts_with("release_");
        all.iter().map(String::as_str).filter(move |option| !is_other(option))
    }

    /// Where it is mounted.
    pub(super) fn mount(&self) -> &Path {
        &self.mount
    }

    /// The directory of our own group.
    pub(super) fn own(&self) -> &Path {
        &self.own
    }

    fn has(&self, controller: &str) -> bool {
        match &self.version {
            Version::Legacy(controllers) => controllers.iter().any(|name| name == controller),
            Version::Unified => controllers_of(&self.mount).iter().any(|name| name == controller),
        }
    }

    /// Where groups of ours may be made, best first. In version 1 that is our own group. In
    /// version 2 no group has both processes and controllers for those below, except the first:
    /// ours has us, so it is the one above, or the first.
    pub(super) fn parents(&self) -> Vec<PathBuf> {
        match self.version {
            Version::Legacy(_) => vec![self.own.clone()],
            Version::Unified if self.own == self.mount => vec![self.mount.clone()],
            Version::Unified => {
                let above = self.own.parent().unwrap_or(&self.mount).to_owned();
                vec![above, self.mount.clone()]
            }
        }
    }

    /// Makes a group below `parent` that has a controller.
    pub(super) fn make(&self, parent: &Path, controller: &str, name: &str) -> io::Result<()> {
        if self.is_unified() {
            let enabled = parent.join("cgroup.subtree_control");
            if !words(&enabled).iter().any(|word| word == controller) {
                fs::write(&enabled, format!("+{controller}"))?;
            }
        }
        fs::create_dir(parent.join(name))
    }
}

fn controllers_of(group: &Path) -> Vec<String> {
    words(&group.join("cgroup.controllers"))
}

fn words(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_machine_has_hierarchies_of_both_versions() {
        let groups = "4:memory:/a/b\n3:cpu,cpuacct:/\n0::/\n";
        let mounts = "\
30 20 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro
31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
";
        let found = Hierarchies(read(groups, mounts));
        let memory = found.with("memory").unwrap();
        assert_eq!(memory.parents(), [Path::new("/sys/fs/cgroup/memory/a/b")]);
        assert!(!memory.is_unified());
        assert_eq!(found.with("cpu").unwrap().parents(), [Path::new("/sys/fs/cgroup/cpu")]);
        assert!(found.0.iter().any(Hierarchy::is_unified));
    }

    #[test]
    fn in_a_container_the_groups_begin_where_its_own_is_mounted() {
        let groups = "4:memory:/docker/abc\n";
        let mounts = "32 30 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let found = Hierarchies(read(groups, mounts));
        let memory = found.with("memory").unwrap();
        assert_eq!(memory.parents(), [Path::new("/sys/fs/cgroup/memory")]);
    }
}
