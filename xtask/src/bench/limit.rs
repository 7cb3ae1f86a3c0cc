//! The least time that each scenario can take on this machine, from the probe's rates.
//!
//! C and U are compressed and uncompressed bytes, F files. A model counts only what nobody can
//! leave out; so none of them is reached, and that is their use.

use super::probe::Probe;

/// Megabytes, as the rates are in MB/s.
fn mb(bytes: f64) -> f64 {
    bytes / 1e6
}

/// Seconds of one process.
fn start(p: &Probe) -> f64 {
    p.spawn / 1e3
}

/// What is moved.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// C.
    pub(crate) compressed: f64,
    /// U.
    pub(crate) uncompressed: f64,
    /// F.
    pub(crate) files: f64,
}

/// Pull and unpack: hash what comes, inflate, hash what comes out, make the files, write them; all
/// cores share that, and the loopback takes its part of them.
pub(crate) fn pull(p: &Probe, load: Load) -> f64 {
    let Load { compressed, uncompressed, files } = load;
    let cpu = mb(compressed + uncompressed) / p.sha256
        + mb(uncompressed) / p.inflate
        + mb(uncompressed) / p.write
        + files * p.create / 1e6
        + mb(compressed) / p.loopback;
    start(p) + cpu / p.cores
}

/// Push of new layers: hash, deflate, hash what comes out, send.
pub(crate) fn push(p: &Probe, load: Load) -> f64 {
    let Load { compressed, uncompressed, files } = load;
    let cpu = mb(uncompressed) / p.deflate
        + mb(compressed + uncompressed) / p.sha256
        + files * p.stat / 1e6
        + mb(compressed) / p.loopback;
    start(p) + cpu / p.cores
}

/// A rebuild in which nothing changed: look at each file.
pub(crate) fn look(p: &Probe, load: Load) -> f64 {
    start(p) + load.files * p.stat / 1e6 / p.cores
}

/// A COPY: look at each file, hash, make, write.
pub(crate) fn copy(p: &Probe, load: Load) -> f64 {
    let cpu = mb(load.uncompressed) / p.sha256
        + mb(load.uncompressed) / p.write
        + load.files * (p.stat + p.create) / 1e6;
    start(p) + cpu / p.cores
}

/// A COPY in which one file changed, its layer new: look at each file, hash the layer.
pub(crate) fn copy_again(p: &Probe, load: Load) -> f64 {
    look(p, load) + mb(load.uncompressed) / p.sha256 / p.cores
}

/// Blobs that a registry takes: hashed and written, from loopback.
pub(crate) fn receive(p: &Probe, bytes: f64) -> f64 {
    (mb(bytes) / p.sha256 + mb(bytes) / p.write + mb(bytes) / p.loopback) / p.cores
}

/// Processes, one after the other.
pub(crate) fn processes(p: &Probe, count: f64) -> f64 {
    count * start(p)
}

/// The changes of a container: look at each, and at what was there before.
pub(crate) fn diff(p: &Probe, changes: f64) -> f64 {
    start(p) + 2.0 * changes * p.stat / 1e6
}

/// A layer of the changes: find them, hash them as a tar.
pub(crate) fn commit(p: &Probe, changes: f64, bytes: f64) -> f64 {
    diff(p, changes) + mb(bytes) / p.sha256
}

/// Bytes through the loopback.
pub(crate) fn serve(p: &Probe, bytes: f64) -> f64 {
    mb(bytes) / p.loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe() -> Probe {
        Probe {
            cores: 2.0,
            sha256: 1000.0,
            inflate: 500.0,
            deflate: 200.0,
            write: 2000.0,
            create: 10.0,
            stat: 1.0,
            loopback: 4000.0,
            spawn: 1.0,
        }
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    const LOAD: Load = Load { compressed: 400e6, uncompressed: 1000e6, files: 50_000.0 };

    #[test]
    fn a_pull_hashes_inflates_and_makes_files_on_all_cores() {
        // 1.4 s of hashes, 2 of inflating, 0.5 of writing, 0.5 of files, 0.1 of loopback.
        near(pull(&probe(), LOAD), 0.001 + (1.4 + 2.0 + 0.5 + 0.5 + 0.1) / 2.0);
    }

    #[test]
    fn a_push_deflates() {
        near(push(&probe(), LOAD), 0.001 + (5.0 + 1.4 + 0.05 + 0.1) / 2.0);
    }

    #[test]
    fn what_did_not_change_is_only_looked_at() {
        near(look(&probe(), LOAD), 0.001 + 0.025);
        near(copy_again(&probe(), LOAD), 0.001 + 0.025 + 0.5);
        near(copy(&probe(), LOAD), 0.001 + (1.0 + 0.5 + 0.55) / 2.0);
    }

    #[test]
    fn small_things_cost_processes_and_looks() {
        near(processes(&probe(), 10.0), 0.01);
        near(diff(&probe(), 1000.0), 0.001 + 0.002);
        near(commit(&probe(), 1000.0, 5e6), 0.003 + 0.005);
        near(serve(&probe(), 8e9), 2.0);
        near(receive(&probe(), 8e9), (8.0 + 4.0 + 2.0) / 2.0);
    }
}
