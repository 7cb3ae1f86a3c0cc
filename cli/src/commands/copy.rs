//! `tierce copy`: from one place to another.

use std::path::PathBuf;

use clap::ValueEnum;
use oci::Platform;
use oci::compress::Compression;
use oci::transfer::{CopyOptions, Edit, ManifestFormat, Platforms, Recompression};

use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::copying::{self, Pair};
use crate::error::{Doing, Failure, Outcome};
use crate::ui::say;

// What `tierce copy` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Copy all images of an index, with the index
    #[arg(short, long, conflicts_with = "platform")]
    all: bool,
    /// Which image of an index; of several the index is cut down to these
    #[arg(long, value_delimiter = ',')]
    platform: Vec<Platform>,
    /// As skopeo has it
    #[arg(long, value_enum, conflicts_with_all = ["all", "platform"])]
    multi_arch: Option<MultiArch>,
    /// Copy what refers to the images too: signatures, attestations
    #[arg(long)]
    referrers: bool,
    /// Compress layers in this way
    #[arg(long, visible_alias = "dest-compress-format", value_enum)]
    compression: Option<Kind>,
    /// How much: gzip from 1 to 12, zstd from 1 to 19
    #[arg(long, visible_alias = "dest-compress-level", requires = "compression")]
    compression_level: Option<u8>,
    /// Compress also what is compressed in this way already
    #[arg(long, visible_alias = "dest-force-compress-format", requires = "compression")]
    force_compression: bool,
    /// Write manifests in this format
    #[arg(short, long, value_enum)]
    format: Option<Format>,
    /// Write the digest of the copy to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// Fail if the copy would have another digest
    #[arg(long)]
    preserve_digests: bool,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
    /// Credentials for the source
    #[arg(long, value_name = "NAME:PASSWORD")]
    src_creds: Option<String>,
    /// Credentials for the destination
    #[arg(long, value_name = "NAME:PASSWORD")]
    dest_creds: Option<String>,
    /// The file with credentials for the source
    #[arg(long, value_name = "FILE")]
    src_authfile: Option<PathBuf>,
    /// The file with credentials for the destination
    #[arg(long, value_name = "FILE")]
    dest_authfile: Option<PathBuf>,
    /// Whether the source must have a valid certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    src_tls_verify: Option<bool>,
    /// Whether the destination must have a valid certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
          require_equals = true)]
    dest_tls_verify: Option<bool>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Where from: docker://NAME, oci:PATH[:NAME], oci-archive:PATH[:NAME],
    /// docker-archive:PATH[:NAME], dir:PATH, store:NAME. A bare name is one of the store; two are
    /// names in registries
    source: String,
    /// Where to, written in the same way
    destination: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MultiArch {
    /// The image for this platform
    System,
    /// All images
    All,
    /// The index without its images
    IndexOnly,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Gzip,
    Zstd,
    #[value(alias = "uncompressed")]
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Oci,
    #[value(name = "v2s2", alias = "docker")]
    Docker,
}

impl Args {
    /// Whether an end is the store, whose files belong to many users. Everything else is bytes,
    /// which anybody may copy.
    pub(crate) fn touches_trees(&self) -> bool {
        // What cannot be read is refused later.
        Pair::parse(&self.source, &self.destination).is_ok_and(|pair| pair.has_store())
    }
}

/// Carries it out; prints the digest of the copy.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let Pair { from, to } = Pair::parse(&args.source, &args.destination)?;
    // A lease of the store holds what is on its way: archives that are spooled, layers anew.
    let lease = app.store()?.lease()?;
    let side = |creds: &Option<String>, authfile: &Option<PathBuf>, verify: Option<bool>| {
        let mut connection = args.connection.clone();
        connection.creds = creds.clone().or(connection.creds);
        connection.authfile = authfile.clone().or(connection.authfile);
        connection.tls_verify = verify.unwrap_or(connection.tls_verify);
        connection
    };
    let source = side(&args.src_creds, &args.src_authfile, args.src_tls_verify);
    let target = side(&args.dest_creds, &args.dest_authfile, args.dest_tls_verify);
    let options = options(args, app, &lease)?;
    let origin = copying::origin(app, &lease, &from, &source)?;
    let end = copying::destination(app, &lease, &to, &target)?;
    let copied = copying::carry(app, &*origin, end, &options, args.quiet)
        .doing(|| format!("cannot copy {} to {}", args.source, args.destination))?;
    let digest = &copied.root.digest;
    if let Some(file) = &args.digestfile {
        std::fs::write(file, digest.to_string())
            .doing(|| format!("cannot write {}", file.display()))?;
    }
    if !args.quiet {
        say!("{digest}");
    }
    Ok(0)
}

fn options(args: &Args, app: &App, lease: &layerfs::Lease) -> Result<CopyOptions, Failure> {
    let platforms = match (args.multi_arch, &args.platform[..]) {
        (Some(MultiArch::All), _) => Platforms::All,
        (Some(MultiArch::IndexOnly), _) => Platforms::IndexAlone,
        _ if args.all => Platforms::All,
        (_, []) => Platforms::Best(Platform::host()),
        (_, [one]) => Platforms::Best(one.clone()),
        (_, several) => Platforms::Only(several.to_vec()),
    };
    let edits: Vec<Box<dyn Edit>> = match (args.compression, args.compression_level) {
        (None, _) => Vec::new(),
        (Some(kind), level) => {
            let compression = match (kind, level) {
                (Kind::None, Some(_)) => {
                    return Err(Failure::new("what is not compressed has no level"));
                }
                (Kind::None, None) => Compression::None,
                (Kind::Gzip, None) => Compression::GZIP,
                (Kind::Zstd, None) => Compression::ZSTD,
                (Kind::Gzip, Some(level)) => Compression::Gzip { level },
                (Kind::Zstd, Some(level)) => Compression::Zstd { level },
            };
            let scratch = lease.scratch_dir("compressed")?;
            let force = args.force_compression;
            let recompression = Recompression::new(compression, force, app.threads(), &scratch)?;
            vec![Box::new(recompression)]
        }
    };
    let format = args.format.map(|format| match format {
        Format::Oci => ManifestFormat::Oci,
        Format::Docker => ManifestFormat::Docker,
    });
    let (referrers, preserve_digests) = (args.referrers, args.preserve_digests);
    let defaults = CopyOptions::default();
    Ok(CopyOptions { platforms, referrers, format, edits, preserve_digests, ..defaults })
}
