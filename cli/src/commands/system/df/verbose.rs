//! Every image, container and volume with the room that it takes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use layerfs::{Container, ImageRecord, Store};
use oci::{DiffId, Digest};

use crate::containers::ContainerConfig;
use crate::containers::mounts::MountContent;
use crate::containers::status::status;
use crate::error::{Failure, Outcome};
use crate::tree_size::tree_size;
use crate::ui::table::Table;
use crate::ui::{human, say};

/// Shows them, in docker's words.
pub(super) fn show(store: &Store) -> Outcome {
    let containers = store.containers()?;
    say!("Images space usage:\n");
    say!("{}", images(store, &containers)?.render());
    say!("Containers space usage:\n");
    say!("{}", of_containers(&containers).render());
    say!("Local Volumes space usage:\n");
    let mut table = Table::new(&["VOLUME NAME", "LINKS", "SIZE"]);
    for volume in store.volumes()? {
        let size = human::size(tree_size(&volume.data).unwrap_or(0));
        table.row(vec![volume.name, volume.users.len().to_string(), size]);
    }
    say!("{}", table.render().trim_end());
    Ok(0)
}

fn images(store: &Store, containers: &[Container]) -> Result<Table, Failure> {
    let all = store.images()?;
    // A layer of several images is shared by them; of one that has it twice it is not.
    let mut layers: BTreeMap<Digest, BTreeSet<DiffId>> = BTreeMap::new();
    for image in &all {
        let own = store.image_layers(&image.id)?.into_iter().map(|(diff_id, _)| diff_id);
        layers.insert(image.id.clone(), own.collect());
    }
    let mut table = Table::new(&[
        "REPOSITORY",
        "TAG",
        "IMAGE ID",
        "CREATED",
        "SIZE",
        "SHARED SIZE",
        "UNIQUE SIZE",
        "CONTAINERS",
    ]);
    for image in &all {
        let others = |layer: &DiffId| {
            layers.iter().any(|(id, layers)| *id != image.id && layers.contains(layer))
        };
        let (mut shared, mut unique) = (0, 0);
        for layer in layers.get(&image.id).into_iter().flatten() {
            let size = store.layer(layer)?.map_or(0, |layer| layer.size);
            if others(layer) { shared += size } else { unique += size }
        }
        let (repository, tag) = name(image);
        let users = containers.iter().filter(|one| one.image.as_ref() == Some(&image.id)).count();
        table.row(vec![
            repository,
            tag,
            image.id.short().to_owned(),
            age(store, image)?,
            human::size(image.size),
            human::size(shared),
            human::size(unique),
            users.to_string(),
        ]);
    }
    Ok(table)
}

fn name(image: &ImageRecord) -> (String, String) {
    let none = || "<none>".to_owned();
    match image.names.first() {
        Some(name) => (name.familiar_repository(), name.tag().map_or_else(none, str::to_owned)),
        None => (none(), none()),
    }
}

fn age(store: &Store, image: &ImageRecord) -> Result<String, Failure> {
    let config = store.config(&image.id)?;
    let created = config.created.as_deref().and_then(|time| time.parse().ok());
    Ok(created.map_or("N/A".into(), |created| human::ago(created, Timestamp::now())))
}

fn of_containers(containers: &[Container]) -> Table {
    let mut table = Table::new(&[
        "CONTAINER ID",
        "IMAGE",
        "COMMAND",
        "LOCAL VOLUMES",
        "SIZE",
        "CREATED",
        "STATUS",
        "NAMES",
    ]);
    let now = Timestamp::now();
    for container in containers {
        let config = ContainerConfig::of(container).ok();
        let mounts = config.iter().flat_map(|config| &config.mounts);
        let is_volume = |content: &MountContent| matches!(content, MountContent::Volume { .. });
        let volumes = mounts.filter(|mount| is_volume(&mount.content)).count();
        let command = config.as_ref().map(ContainerConfig::command).unwrap_or_default().join(" ");
        let created = Timestamp::from_second(container.created).unwrap_or(now);
        table.row(vec![
            container.id[..12].to_owned(),
            container.image_name.clone(),
            format!("\"{}\"", command.chars().take(20).collect::<String>()),
            volumes.to_string(),
            human::size(tree_size(&container.upper()).unwrap_or(0)),
            human::ago(created, now),
            status(container, now),
            container.name.clone(),
        ]);
    }
    table
}
