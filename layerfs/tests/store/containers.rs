//! Containers: made, found, run, committed and removed.

use std::io::Write;
use std::path::Path;

use layerfs::{
    Container, ContainerSpec, ContainerState, DirectoryTimes, Durability, Error, PruneOptions,
    Store,
};
use oci::DiffId;
use serde_json::json;

use crate::common::*;

fn spec(name: Option<&str>, layers: &[DiffId]) -> ContainerSpec {
    ContainerSpec {
        name: name.map(str::to_owned),
        image: None,
        image_name: "app".into(),
        layers: layers.to_vec(),
        config: json!({"args": ["sh"]}),
    }
}

fn create(store: &Store, name: Option<&str>) -> Container {
    store.create_container(&store.lease().unwrap(), &spec(name, &[])).unwrap()
}

#[test]
fn a_container_is_found_by_name_and_by_the_beginning_of_its_id() {
    let (_dir, store) = new_store();
    let web = create(&store, Some("web"));
    let drawn = create(&store, None);
    assert_eq!(web.id.len(), 64);
    assert!(drawn.name.contains('_'), "{}", drawn.name);
    assert!(web.upper().is_dir() && web.work().is_dir());
    assert_eq!(web.state, ContainerState::Created);
    for text in ["web", &web.id, &web.id[..20]] {
        assert_eq!(store.container(text).unwrap(), web, "{text}");
    }
    for text in ["nobody", "", "we"] {
        let error = store.container(text).unwrap_err();
        assert!(matches!(error, Error::ContainerNotFound { .. }), "{text}: {error}");
    }
    for _ in 0..16 {
        create(&store, None);
    }
    assert_eq!(store.containers().unwrap().len(), 18);
    let first: Vec<String> =
        store.containers().unwrap().iter().map(|c| c.id[..1].to_owned()).collect();
    let shared =
        first.iter().find(|f| first.iter().filter(|other| other == f).count() > 1).unwrap();
    let error = store.container(shared).unwrap_err();
    assert!(matches!(error, Error::AmbiguousId { kind: "container", .. }), "{error}");
}

#[test]
fn a_name_is_had_by_one_container_only() {
    let (_dir, store) = new_store();
    let web = create(&store, Some("web"));
    let lease = store.lease().unwrap();
    let error = store.create_container(&lease, &spec(Some("web"), &[])).unwrap_err();
    assert!(matches!(error, Error::ContainerNameInUse { id, .. } if id == web.id));
    let other = create(&store, Some("other"));
    assert!(store.rename_container(&other.id, "web").is_err());
    assert!(store.rename_container(&other.id, "-bad").is_err());
    store.rename_container(&web.id, "www").unwrap();
    store.rename_container(&other.id, "web").unwrap();
    assert_eq!(store.container("web").unwrap().id, other.id);
}

#[test]
fn a_container_that_runs_stays_and_one_whose_process_is_gone_has_ended() {
    let (_dir, store) = new_store();
    let web = create(&store, Some("web"));
    let lease = store.lease().unwrap();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let running = ContainerState::running(child.id()).unwrap();
    store.set_container_state(&web.id, running).unwrap();
    assert_eq!(store.container("web").unwrap().state, running);
    let error = store.remove_container(&lease, &web.id).unwrap_err();
    assert!(matches!(error, Error::ContainerRunning { .. }), "{error}");

    child.kill().unwrap();
    child.wait().unwrap();
    let state = store.container("web").unwrap().state;
    assert!(matches!(state, ContainerState::Exited { code: 137, at: None, .. }), "{state:?}");
    store.set_container_state(&web.id, ContainerState::exited(3)).unwrap();
    store.remove_container(&lease, &web.id).unwrap();
    assert!(names_in(store.root().join("containers")).is_empty());
    assert!(store.set_container_state(&web.id, ContainerState::Created).is_err());
}

#[test]
fn of_several_who_start_a_container_one_does() {
    let (_dir, store) = new_store();
    let maker = store.lease().unwrap();
    let web = store.create_container(&maker, &spec(Some("web"), &[])).unwrap();
    let state = ContainerState::running(std::process::id()).unwrap();
    store.begin_container(&maker, &web.id, state).unwrap();
    let error = store.begin_container(&maker, &web.id, state).unwrap_err();
    assert!(matches!(error, Error::ContainerRunning { .. }), "{error}");
    // Its maker keeps it no longer: whoever runs it may.
    let lease = store.lease().unwrap();
    store.prepare_container(&lease, &web, Durability::Volatile).unwrap();
}

#[test]
fn what_a_container_changed_becomes_one_layer_and_stays_in_the_container() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let base = build(&store, &lease, &[], &[("gone", "1"), ("same", "1"), ("new", "0")]).layer;
    let below = [base.diff_id.clone()];
    let web = store.create_container(&lease, &spec(Some("web"), &below)).unwrap();
    {
        let active = store.prepare_container(&lease, &web, Durability::Durable).unwrap();
        active.root.unlink("gone").unwrap();
        active.root.unlink("new").unwrap();
        active.root.create_file("new", 0o644).unwrap().write_all(b"2").unwrap();
        // Copied up, and still the same.
        active.root.chmod("same", 0o600).unwrap();
        active.root.chmod("same", 0o644).unwrap();
    }
    let listed: Vec<_> = store
        .container_changes(&lease, &web)
        .unwrap()
        .into_iter()
        .map(|change| (change.path.to_str().unwrap().to_owned(), change.kind))
        .collect();
    assert_eq!(
        listed,
        [
            ("gone".into(), layerfs::ChangeKind::Deleted),
            ("new".into(), layerfs::ChangeKind::Modified)
        ]
    );
    let commit = |container: &Container| {
        store.commit_container(&lease, container, DirectoryTimes::Keep).unwrap()
    };
    // As if it ran: this process stands for its own.
    let mut running = web.clone();
    running.state = ContainerState::running(std::process::id()).unwrap();
    let while_running = commit(&running);
    let committed = commit(&web);
    assert_eq!(while_running.layer, committed.layer);
    assert_eq!(names_in(committed.layer.tree()), ["gone", "new"]);
    assert_eq!(content(&committed.layer, "new"), "2");
    assert!(is_whole(&committed.layer));

    let active = store.prepare_container(&lease, &web, Durability::Durable).unwrap();
    assert!(active.root.stat("gone").unwrap().is_none());
    assert!(active.root.stat("new").unwrap().is_some());
}

#[test]
fn a_directory_made_anew_becomes_the_same_layer_whether_its_container_runs_or_not() {
    let (_dir, store) = new_store();
    let lease = store.lease().unwrap();
    let fill = |root: &layerfs::Root, names: &[&str]| {
        root.mkdir("dir", 0o755).unwrap();
        for name in names {
            let path = Path::new("dir").join(name);
            root.create_file(&path, 0o644).unwrap().write_all(b"1").unwrap();
            let dir = root.open_dir("dir").unwrap();
            dir.set_mtime(name, layerfs::Timestamp::at(1000)).unwrap();
        }
    };
    let snapshot = store.prepare(&lease, &[]).unwrap();
    fill(&snapshot.active.root, &["gone", "same"]);
    let base = store.commit(&lease, snapshot, DirectoryTimes::Keep, None).unwrap().layer;
    let below = [base.diff_id.clone()];
    let web = store.create_container(&lease, &spec(Some("web"), &below)).unwrap();
    {
        let active = store.prepare_container(&lease, &web, Durability::Durable).unwrap();
        active.root.remove_tree("dir").unwrap();
        fill(&active.root, &["new", "same"]);
    }
    let mut running = web.clone();
    running.state = ContainerState::running(std::process::id()).unwrap();
    let layers = [&running, &web].map(|container| {
        store.commit_container(&lease, container, DirectoryTimes::Keep).unwrap().layer
    });
    for layer in &layers {
        assert_eq!(names_in(layer.tree().join("dir")), ["gone", "new"]);
        let view = store.view(&lease, &[base.diff_id.clone(), layer.diff_id.clone()]).unwrap();
        let names = view.root.read_dir("dir").unwrap().into_iter().map(|(name, _)| name);
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["new", "same"]);
    }
    assert_eq!(layers[0], layers[1]);
}

#[test]
fn an_image_stays_while_a_container_is_based_on_it() {
    let (_dir, store) = new_store();
    let id = put_empty(&store, "x", &["app"]);
    let lease = store.lease().unwrap();
    let with_image = ContainerSpec { image: Some(id.clone()), ..spec(Some("web"), &[]) };
    let web = store.create_container(&lease, &with_image).unwrap();
    let error = store.remove_image(&id).unwrap_err();
    assert!(matches!(error, Error::ImageInUse { container, .. } if container == "web"));
    store.remove_container(&lease, &web.id).unwrap();
    store.remove_image(&id).unwrap();
    assert!(store.resolve("app").is_err());
    let error = store.create_container(&lease, &with_image).unwrap_err();
    assert!(matches!(error, Error::ImageNotFound { .. }), "{error}");
}

#[test]
fn a_container_is_used_by_one_at_a_time_and_not_pruned_meanwhile() {
    let (_dir, store) = new_store();
    let web = create(&store, Some("web"));
    let lease = store.lease().unwrap();
    let prune = PruneOptions { stopped_containers: true, ..PruneOptions::default() };
    let active = store.prepare_container(&lease, &web, Durability::Durable).unwrap();
    let other = store.lease().unwrap();
    let error = store.prepare_container(&other, &web, Durability::Durable).unwrap_err();
    assert!(matches!(error, Error::ContainerRunning { .. }), "{error}");
    assert!(store.prune(&prune).unwrap().containers.is_empty());
    // What is mounted is committed from a copy, and stays as it is.
    active.root.create_file("file", 0o644).unwrap();
    let committed = store.commit_container(&other, &web, DirectoryTimes::Keep).unwrap();
    assert_eq!(names_in(committed.layer.tree()), ["file"]);
    assert!(active.root.stat("file").unwrap().is_some());
    // Who has just been killed may need a moment to let go.
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(300));
            drop((active, lease));
        });
        store.prepare_container(&other, &web, Durability::Durable).unwrap();
    });
    drop(other);
    assert_eq!(store.prune(&prune).unwrap().containers, [web.id]);
}
