//! What runs on the machine.

use std::fs;
use std::time::{Duration, Instant};

/// Nothing that a test waits for takes so long, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until something is so; the test fails if that does not come.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The command lines of live processes that have `mark` in their arguments or among their mounts,
/// where the store of a container's tree stands; this process excepted.
pub fn processes_with(mark: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").expect("/proc").flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.bytes().all(|b| b.is_ascii_digit()) && *name != *own
    });
    processes
        .filter_map(|process| {
            // A process may end at any moment, and a dead one has neither.
            let read = |name| fs::read(process.path().join(name)).unwrap_or_default();
            let (arguments, mounts) = (read("cmdline"), read("mountinfo"));
            let has = |text: &[u8]| text.windows(mark.len()).any(|part| part == mark.as_bytes());
            (has(&arguments) || has(&mounts))
                .then(|| String::from_utf8_lossy(&arguments).replace('\0', " "))
        })
        .collect()
}
