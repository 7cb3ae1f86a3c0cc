//! What this machine can do at most, measured in the same run.
//!
//! Every rate is that of one core while all cores do the same, as they do in a good run.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::corpus;
use super::statistics::median;
use crate::step::Result;

/// How much data the rates are measured on.
const SAMPLE: usize = 32 << 20;
/// How many small files are made.
const FILES: usize = 5_000;
/// How many bytes cross the loopback.
const LOOPBACK: usize = 1 << 30;

/// The machine's limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probe {
    /// Cores that may be used.
    pub(crate) cores: f64,
    /// Hashed, MB/s a core.
    pub(crate) sha256: f64,
    /// Inflated, MB/s of output a core.
    pub(crate) inflate: f64,
    /// Deflated by libdeflate at level 1, MB/s of input a core.
    pub(crate) deflate: f64,
    /// Written to a file in memory, MB/s a core.
    pub(crate) write: f64,
    /// Making a file, writing 4 KiB and closing it: µs.
    pub(crate) create: f64,
    /// Looking at a file whose folder is open: µs.
    pub(crate) stat: f64,
    /// Through one connection on loopback, sendfile to a reader that drops: MB/s.
    pub(crate) loopback: f64,
    /// Starting a static program and waiting for it: ms.
    pub(crate) spawn: f64,
}

impl Probe {
    /// Measures everything, in about five seconds.
    pub(crate) fn measure(folder: &Path, busybox: &Path) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let sample = corpus::sample(SAMPLE)?;
        let packed = pack(&sample, 6)?;
        let each = |work: &(dyn Fn(usize) -> Result<()> + Sync)| on_all(cores, work);
        let megabytes = sample.len() as f64 / 1e6;
        let sha256 = megabytes
            / each(&|_| {
                std::hint::black_box(Sha256::digest(&sample));
                Ok(())
            })?;
        let inflate = megabytes / each(&|_| unpack(&packed))?;
        let deflate = megabytes / each(&|_| pack(&sample, 1).map(drop))?;
        let write = megabytes / each(&|core| write_one(&folder.join(format!("w{core}")), &sample))?;
        let create = each(&|core| create_many(&folder.join(format!("c{core}"))))?;
        let stat = each(&|core| stat_many(&folder.join(format!("c{core}"))))?;
        let per_file = 1e6 / FILES as f64;
        Ok(Probe {
            cores: cores as f64,
            sha256,
            inflate,
            deflate,
            write,
            create: create * per_file,
            stat: stat * per_file,
            loopback: loopback(&folder.join("w0"))?,
            spawn: spawn(busybox)?,
        })
    }
}

/// Runs work on all cores at once; answers with the seconds that one took, the middle of three
/// times.
fn on_all(cores: usize, work: &(dyn Fn(usize) -> Result<()> + Sync)) -> Result<f64> {
    let mut seconds = Vec::new();
    for _ in 0..3 {
        let taken: Vec<Result<f64>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..cores)
                .map(|core| {
                    scope.spawn(move || {
                        let start = Instant::now();
                        work(core).map(|()| start.elapsed().as_secs_f64())
                    })
                })
                .collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.map(|t| t.unwrap_or_else(|_| Err("a probe panicked".to_owned()))).collect()
        });
        for one in taken {
            seconds.push(one?);
        }
    }
    median(&seconds).ok_or_else(|| "no probe ran".to_owned())
}

fn pack(data: &[u8], level: i32) -> Result<Vec<u8>> {
    let level = libdeflater::CompressionLvl::new(level).map_err(|e| format!("{e:?}"))?;
    let mut encoder = libdeflater::Compressor::new(level);
    let mut packed = Vec::new();
    // In pieces, as a layer is packed; each is a member of its own.
    let mut buffer = vec![0; encoder.gzip_compress_bound(1 << 20)];
    for piece in data.chunks(1 << 20) {
        let n = encoder
            .gzip_compress(piece, &mut buffer)
            .map_err(|e| format!("cannot deflate: {e}"))?;
        packed.extend_from_slice(&buffer[..n]);
    }
    Ok(packed)
}

fn unpack(packed: &[u8]) -> Result<()> {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(packed);
    let mut buffer = vec![0; 1 << 17];
    while decoder.read(&mut buffer).map_err(|e| format!("cannot inflate: {e}"))? > 0 {}
    Ok(())
}

fn write_one(path: &Path, data: &[u8]) -> Result<()> {
    let failed = |e| format!("cannot write {}: {e}", path.display());
    let mut file = std::fs::File::create(path).map_err(failed)?;
    data.chunks(1 << 20).try_for_each(|piece| file.write_all(piece)).map_err(failed)
}

fn create_many(folder: &Path) -> Result<()> {
    super::arena::remove(folder)?;
    let failed = |e| format!("cannot write into {}: {e}", folder.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    let data = [b'x'; 4096];
    let handle = std::fs::File::open(folder).map_err(failed)?;
    for i in 0..FILES {
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&handle, i.to_string(), flags, Mode::from_raw_mode(0o644))
            .map_err(|e| failed(e.into()))?;
        std::fs::File::from(file).write_all(&data).map_err(failed)?;
    }
    Ok(())
}

fn stat_many(folder: &Path) -> Result<()> {
    let failed = |e| format!("cannot look into {}: {e}", folder.display());
    let handle = std::fs::File::open(folder).map_err(failed)?;
    for i in 0..FILES {
        use rustix::fs::{AtFlags, StatxFlags, statx};
        statx(&handle, i.to_string(), AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
            .map_err(|e| failed(e.into()))?;
    }
    Ok(())
}

/// The rate of one connection that nobody thinks about.
fn loopback(file: &Path) -> Result<f64> {
    let failed = |e: std::io::Error| format!("cannot measure the loopback: {e}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let file = std::fs::File::open(file).map_err(failed)?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || -> std::io::Result<()> {
            let (stream, _) = listener.accept()?;
            let mut left = LOOPBACK;
            while left > 0 {
                let mut offset = 0;
                let n = rustix::fs::sendfile(&stream, &file, Some(&mut offset), left.min(8 << 20))?;
                left -= n;
            }
            Ok(())
        });
        let stream = std::net::TcpStream::connect(address).map_err(failed)?;
        let start = Instant::now();
        let mut nowhere = vec![0; 4 << 20];
        loop {
            use rustix::net::{RecvFlags, recv};
            let (_, n) =
                recv(&stream, &mut *nowhere, RecvFlags::TRUNC).map_err(|e| failed(e.into()))?;
            if n == 0 {
                break;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        sender.join().map_err(|_| "the sender panicked".to_owned())?.map_err(failed)?;
        Ok(LOOPBACK as f64 / 1e6 / seconds)
    })
}

fn spawn(busybox: &Path) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        Command::new(busybox)
            .arg("true")
            .stdin(Stdio::null())
            .status()
            .map_err(|e| format!("cannot run {}: {e}", busybox.display()))?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    median(&times).ok_or_else(|| "nothing was started".to_owned())
}

/// A folder for the probe's files, gone afterwards.
pub(crate) fn probe(folder: &Path, busybox: &Path) -> Result<Probe> {
    std::fs::create_dir_all(folder)
        .map_err(|e| format!("cannot create {}: {e}", folder.display()))?;
    let probe = Probe::measure(folder, busybox)?;
    super::arena::remove(folder)?;
    Ok(probe)
}
