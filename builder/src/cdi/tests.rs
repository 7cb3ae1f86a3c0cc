#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use super::*;

const YAML: &str = "\
cdiVersion: \"0.6.0\"
kind: vendor.com/gpu
annotations:
  org.mobyproject.buildkit.device.autoallow: \"true\"
devices:
- name: \"1\"
  containerEdits:
    deviceNodes:
    - path: /dev/one
      hostPath: /dev/null
      fileMode: 438
- name: \"0\"
  annotations: {org.mobyproject.buildkit.device.class: small}
containerEdits:
  env: [ALL=1]
  mounts:
  - hostPath: /usr/lib/a.so
    containerPath: /usr/lib/a.so
    options: [ro, nosuid, nodev, bind]
";

const JSON: &str = r#"{"cdiVersion": "0.3.0", "kind": "vendor.com/gpu", "devices":
    [{"name": "1", "containerEdits": {"env": ["NEWER=1"]}}]}"#;

fn names(found: &[&Registered]) -> Vec<String> {
    found.iter().map(|device| device.name.clone()).collect()
}

#[test]
fn devices_are_found_by_name_kind_and_class() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("gpu.yaml"), YAML).unwrap();
    fs::write(dir.path().join("README"), "no description").unwrap();
    let registry = Registry::read(&[dir.path().join("none"), dir.path().to_owned()]).unwrap();
    for (name, expected) in [
        ("vendor.com/gpu=1", &["vendor.com/gpu=1"][..]),
        ("vendor.com/gpu", &["vendor.com/gpu=0"]),
        ("vendor.com/gpu=*", &["vendor.com/gpu=0", "vendor.com/gpu=1"]),
        ("vendor.com/gpu=small", &["vendor.com/gpu=0"]),
        ("vendor.com/gpu=2", &[]),
        ("vendor.com/gp", &[]),
    ] {
        assert_eq!(names(&registry.find(name).unwrap()), expected, "{name}");
    }
    for name in ["", "gpu", "gpu=1", "/gpu", "vendor.com/", "../x"] {
        assert!(matches!(registry.find(name), Err(DeviceError::Name { .. })), "{name}");
    }
    let one = registry.find("vendor.com/gpu=1").unwrap()[0];
    assert!(one.is_free);
    let edits = one.edits().unwrap();
    assert_eq!(edits[0].env, ["ALL=1"]);
    assert_eq!(edits[1].device_nodes[0].host_path.as_deref(), Some(Path::new("/dev/null")));
}

#[test]
fn a_later_directory_counts_more_and_one_directory_must_agree() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("1"), dir.path().join("2"));
    fs::create_dir(&first).unwrap();
    fs::create_dir(&second).unwrap();
    fs::write(first.join("a.yml"), YAML).unwrap();
    fs::write(second.join("a.json"), JSON).unwrap();
    let registry = Registry::read(&[first.clone(), second]).unwrap();
    let one = registry.find("vendor.com/gpu=1").unwrap()[0];
    assert_eq!(one.edits().unwrap()[1].env, ["NEWER=1"]);
    assert!(!one.is_free);

    fs::write(first.join("b.json"), JSON).unwrap();
    assert!(matches!(Registry::read(&[first]), Err(DeviceError::Twice { .. })));
}

#[test]
fn what_is_not_understood_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let registry = Registry::read(&[dir.path().to_owned()]);
        fs::remove_file(path).unwrap();
        registry
    };
    for (name, text) in [
        ("a.json", "{"),
        ("a.json", r#"{"cdiVersion": "9", "kind": "v/c", "devices": [], "more": 1}"#),
        ("a.yaml", "kind: [v"),
        ("a.yaml", "- 1"),
    ] {
        assert!(matches!(read(name, text), Err(DeviceError::Spec { .. })), "{text}");
    }
    let hooks = r#"{"cdiVersion": "0.5.0", "kind": "v/c", "devices":
        [{"name": "d", "containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/x"}]}}]}"#;
    let registry = read("a.json", hooks).unwrap();
    let edits = registry.find("v/c=d").unwrap()[0].edits();
    assert!(matches!(edits, Err(DeviceError::Hooks { .. })));
}
