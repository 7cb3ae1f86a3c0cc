//! The mounts of a new container: those of the command line, of other containers, of its image.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use layerfs::{
    Container, ExtractOptions, FileKind, IdMode, Lease, LinkAtTop, Root, SnapshotMode, Store,
    Volume, VolumeSpec, copy_tree,
};

use super::bind_flag::{BindFlag, BindSource};
use super::mount_flag::{Content, MountFlag};
use super::{MountArgs, MountConfig, MountContent, TmpfsConfig};
use crate::containers::ContainerConfig;
use crate::error::{Doing, Failure};

/// A mount that was asked for.
struct Wanted {
    target: PathBuf,
    read_only: bool,
    content: WantedContent,
}

enum WantedContent {
    /// Nothing is left to be done for it.
    Ready(MountContent),
    Volume {
        spec: VolumeSpec,
        subpath: PathBuf,
        /// Whether the image's files are copied to it while it is empty.
        copy: bool,
    },
}

/// Gives a container that was just made its mounts: makes the volumes that are missing, fills
/// those that are empty with what the image has in their place, and notes all of it.
pub(crate) fn attach_mounts(
    store: &Store,
    lease: &Lease,
    container: &Container,
    config: &mut ContainerConfig,
    args: &MountArgs,
) -> Result<(), Failure> {
    let mut wanted = asked_for(store, args)?;
    let chosen: Vec<PathBuf> = wanted.iter().map(|wanted| wanted.target.clone()).collect();
    // Where nothing can be mounted, what the image has there is as good as its volume.
    let mounts = store.snapshots() == SnapshotMode::Overlay;
    for path in config.runtime.volumes.keys().filter(|_| mounts) {
        let target = super::mount_flag::target(path)
            .map_err(|reason| Failure::new(format!("a volume of the image: {reason}")))?;
        if !chosen.contains(&target) {
            wanted.push(Wanted::volume(target, VolumeSpec::default()));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let specs: Vec<VolumeSpec> = wanted.iter().filter_map(Wanted::spec).collect();
    let mut volumes = store.use_volumes(lease, &container.id, &specs)?.into_iter();
    for one in wanted {
        let content = match one.content {
            WantedContent::Ready(content) => content,
            WantedContent::Volume { subpath, copy, .. } => {
                let volume = volumes.next().ok_or_else(|| Failure::new("a volume is missing"))?;
                if copy && subpath.as_os_str().is_empty() {
                    fill(store, lease, container, &one.target, &volume)
                        .doing(|| format!("cannot fill volume {}", volume.name))?;
                }
                MountContent::Volume { name: volume.name, subpath }
            }
        };
        config.mounts.push(MountConfig { target: one.target, read_only: one.read_only, content });
    }
    Ok(store.set_container_config(&container.id, &serde_json::to_value(&*config)?)?)
}

impl Wanted {
    fn volume(target: PathBuf, spec: VolumeSpec) -> Wanted {
        let content = WantedContent::Volume { spec, subpath: PathBuf::new(), copy: true };
        Wanted { target, read_only: false, content }
    }

    fn spec(&self) -> Option<VolumeSpec> {
        match &self.content {
            WantedContent::Volume { spec, .. } => Some(spec.clone()),
            WantedContent::Ready(_) => None,
        }
    }
}

/// What the command line says. Of two mounts at one place neither is right, except that one of
/// its own takes the place of another container's.
fn asked_for(store: &Store, args: &MountArgs) -> Result<Vec<Wanted>, Failure> {
    let mut wanted: BTreeMap<PathBuf, Wanted> = BTreeMap::new();
    let mut add = |one: Wanted| match wanted.insert(one.target.clone(), one) {
        None => Ok(()),
        Some(two) => Err(Failure::new(format!("duplicate mount point: {}", two.target.display()))),
    };
    for (at, flag) in args.volume.iter().enumerate() {
        // To say the same twice is no contradiction.
        if !args.volume[..at].contains(flag) {
            add(of_bind_flag(flag)?)?;
        }
    }
    for flag in &args.mount {
        add(of_mount_flag(flag)?)?;
    }
    for flag in &args.tmpfs {
        let content = WantedContent::Ready(MountContent::Tmpfs(flag.options));
        add(Wanted { target: flag.target.clone(), read_only: flag.read_only, content })?;
    }
    if let Some(size) = args.shm_size.filter(|size| *size > 0) {
        let options = TmpfsConfig { size: Some(size), ..TmpfsConfig::default() };
        let content = WantedContent::Ready(MountContent::Tmpfs(options));
        add(Wanted { target: "/dev/shm".into(), read_only: false, content })?;
    }
    let own: Vec<PathBuf> = wanted.keys().cloned().collect();
    for source in &args.volumes_from {
        for one in of_container(store, source)? {
            // docker's `-v PATH` asks for any volume there: so this one will do. Of two others'
            // the last one counts.
            let will_do = args.volume.iter().any(|flag| flag.is_any_volume_at(&one.target));
            if will_do || !own.contains(&one.target) {
                wanted.insert(one.target.clone(), one);
            }
        }
    }
    Ok(wanted.into_values().collect())
}

fn of_bind_flag(flag: &BindFlag) -> Result<Wanted, Failure> {
    let volume = |name: Option<String>| WantedContent::Volume {
        spec: VolumeSpec { name, ..VolumeSpec::default() },
        subpath: PathBuf::new(),
        copy: !flag.no_copy,
    };
    let content = match &flag.source {
        BindSource::Anonymous => volume(None),
        BindSource::Volume(name) => volume(Some(name.clone())),
        BindSource::Path(path) => {
            let source = std::path::absolute(path)?;
            // docker makes a directory of what is not there.
            if !source.exists() {
                fs::create_dir_all(&source)
                    .doing(|| format!("cannot make {}", source.display()))?;
            }
            WantedContent::Ready(MountContent::Bind {
                source,
                propagation: flag.propagation,
                no_submounts: false,
            })
        }
    };
    Ok(Wanted { target: flag.target.clone(), read_only: flag.read_only, content })
}

fn of_mount_flag(flag: &MountFlag) -> Result<Wanted, Failure> {
    let content = match &flag.content {
        Content::Bind { source, propagation, no_submounts, create } => {
            let source = std::path::absolute(source)?;
            if *create {
                fs::create_dir_all(&source)
                    .doing(|| format!("cannot make {}", source.display()))?;
            }
            if !source.exists() {
                let message =
                    format!("the source of a bind mount, {}, is not there", source.display());
                return Err(Failure::new(message).hint("`-v` makes a directory of it"));
            }
            let (propagation, no_submounts) = (*propagation, *no_submounts);
            WantedContent::Ready(MountContent::Bind { source, propagation, no_submounts })
        }
        Content::Volume { name, subpath, no_copy, labels } => WantedContent::Volume {
            spec: VolumeSpec { name: name.clone(), labels: labels.clone(), place: None },
            subpath: subpath.clone(),
            copy: !no_copy,
        },
        Content::Tmpfs(options) => WantedContent::Ready(MountContent::Tmpfs(*options)),
    };
    Ok(Wanted { target: flag.target.clone(), read_only: flag.read_only, content })
}

/// The volumes and paths that another container has mounted.
fn of_container(store: &Store, source: &str) -> Result<Vec<Wanted>, Failure> {
    let (name, read_only) = match source.split_once(':') {
        None => (source, false),
        Some((name, "ro")) => (name, true),
        Some((name, "rw")) => (name, false),
        Some((_, other)) => {
            return Err(Failure::new(format!("--volumes-from: unknown option `{other}`")));
        }
    };
    let config = ContainerConfig::of(&store.container(name)?)?;
    let wanted = config.mounts.into_iter().filter_map(|mount| {
        let content = match mount.content {
            MountContent::Tmpfs(_) => return None,
            MountContent::Volume { name, subpath } => WantedContent::Volume {
                spec: VolumeSpec { name: Some(name), ..VolumeSpec::default() },
                subpath,
                copy: false,
            },
            bind @ MountContent::Bind { .. } => WantedContent::Ready(bind),
        };
        Some(Wanted { target: mount.target, read_only: read_only || mount.read_only, content })
    });
    Ok(wanted.collect())
}

/// Copies to an empty volume what the image has where it is mounted, owner and mode included.
fn fill(
    store: &Store,
    lease: &Lease,
    container: &Container,
    target: &Path,
    volume: &Volume,
) -> Result<(), Failure> {
    // Lent to another container, it is in use, and not to be filled.
    if !volume.data.exists() {
        return Ok(());
    }
    let data = Root::open(&volume.data)?;
    if !data.top().read()?.is_empty() {
        return Ok(());
    }
    let image = store.view(lease, &container.layers)?;
    let Some(found) = image.root.stat_followed(target)? else { return Ok(()) };
    if found.kind != FileKind::Dir {
        return Ok(());
    }
    let ids = store.ids();
    let source = image.root.subtree(target)?;
    let options = ExtractOptions { ids, owner: None, strip: 0 };
    copy_tree(
        &source,
        (Path::new(""), LinkAtTop::Kept),
        Path::new(""),
        (&data, Path::new("")),
        &options,
    )?;
    let this = OsStr::new(".");
    if ids == IdMode::Full {
        data.top().chown(this, found.uid, found.gid)?;
    }
    data.top().chmod(this, found.mode)?;
    Ok(())
}
