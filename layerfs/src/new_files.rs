//! What new files have before anything is given to them.

/// The owner and the mode of what this process creates: to give them once more is a call for
/// nothing, for each of many thousand files.
#[derive(Debug, Clone, Copy)]
pub struct NewFiles {
    /// The owner.
    pub uid: u32,
    umask: u32,
}

impl NewFiles {
    /// Those of this process, as it is now.
    pub fn of_this_process() -> NewFiles {
        NewFiles { uid: rustix::process::geteuid().as_raw(), umask: process_umask() }
    }

    /// Whether a file has the very bits of `mode` that it was created with.
    pub fn keep(self, mode: u32) -> bool {
        mode & (0o7000 | self.umask) == 0
    }
}

/// The bits that the kernel takes from new files' modes. There is no call that asks for them
/// without changing them for all threads; where the kernel does not tell, every mode is set.
fn process_umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o777)
}
